package replay

import (
	"fmt"
	"strconv"
	"strings"

	"tidegate/jobs"
)

// A Limit of a provider is one that it did not have, and is added: what is over it meets
// a 429, of which the policy hears as of any other.
type Limit struct {
	Target string
	jobs.Limits
}

// ParseLimit reads a limit as in "target=gpt-5-mini,requests_per_minute=600". There are
// also tokens_per_minute and concurrency.
func ParseLimit(text string) (Limit, error) {
	var made Limit
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return Limit{}, fmt.Errorf("%q is not a key and a value, as in target=gpt-5-mini", part)
		}
		if seen[key] {
			return Limit{}, fmt.Errorf("%s is said twice", key)
		}
		seen[key] = true
		into := map[string]*int{"requests_per_minute": &made.RequestsPerMinute, "tokens_per_minute": &made.TokensPerMinute, "concurrency": &made.Concurrency}[key]
		switch n, err := strconv.Atoi(value); {
		case key == "target":
			made.Target = value
		case into == nil:
			return Limit{}, fmt.Errorf("%q is not known; there are target, requests_per_minute, tokens_per_minute, concurrency", key)
		case err != nil || n < 1:
			return Limit{}, fmt.Errorf("%s=%q is not a whole number from 1", key, value)
		default:
			*into = n
		}
	}
	switch {
	case made.Target == "":
		return Limit{}, fmt.Errorf("target is missing")
	case made.Limits == jobs.Limits{}:
		return Limit{}, fmt.Errorf("it limits nothing; say requests_per_minute, tokens_per_minute or concurrency")
	}
	return made, nil
}

// String says it to people.
func (l *Limit) String() string {
	var of []string
	for _, one := range []struct {
		n    int
		what string
	}{{l.RequestsPerMinute, "requests a minute"}, {l.TokensPerMinute, "tokens a minute"}, {l.Concurrency, "calls at once"}} {
		if one.n > 0 {
			of = append(of, fmt.Sprintf("%d %s", one.n, one.what))
		}
	}
	return l.Target + " takes no more than " + strings.Join(of, ", ")
}
