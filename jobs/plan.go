package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// A plan is all of a route that the waits of its requests hang on: for which target,
// and until when. Keys are none of it, and neither is a header that may hold one.
type plan struct {
	Chain, EscalateTo []plannedTarget
	Goal, Choosing    string
	WhenOpen          WhenOpen
	OtherPolicies     bool
}

type plannedTarget struct {
	Name, Provider, Region, Dialect, BaseURL, Model, Policy string
	Path, Query                                             string
	Endpoints                                               EndpointSet
	ContextTokens                                           int
	Price                                                   Price
	Limits                                                  Limits
}

// Plan is the same for two configurations of a route as long as what waits on it for
// a time, a target or a price has no reason to be looked at again. It tells nothing
// of what it is made of.
func (r *Route) Plan() string {
	text, _ := json.Marshal(plan{planned(r.Chain), planned(r.EscalateTo), r.Goal, r.Choosing, r.WhenOpen, r.OtherPolicies}) // texts and whole numbers, so it has no error
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

func planned(targets []*Target) []plannedTarget {
	all := make([]plannedTarget, len(targets))
	for i, t := range targets {
		all[i] = plannedTarget{
			Name: t.Name, Provider: t.Provider, Region: t.Region, Dialect: t.Dialect, BaseURL: t.BaseURL, Model: t.Model, Policy: t.Policy,
			Path: t.Variant.Path, Query: t.Variant.Query, Endpoints: t.Endpoints, ContextTokens: t.ContextTokens, Price: t.Price, Limits: t.Limits,
		}
	}
	return all
}
