package expect

import (
	"regexp"
	"strings"
)

// versions are what a vendor adds to a model's name for one and the same model: a
// date, a number of a build, a channel. What tells models apart, as "mini" or "4.1"
// does, stays.
var versions = regexp.MustCompile(`(?:[-@_.](?:20\d{2}-?[01]\d(?:-?[0-3]\d)?|[01]\d-[0-3]\d|[01]\d-20\d{2}|[0-9]{4}|[0-9]{3}|v\d+(?::\d+)?|latest|preview|exp|experimental|stable)|:[a-z0-9]+)$`)

// Family is the name of a model without what vendors add to it for its versions:
// gpt-4o-2024-08-06 and openai/gpt-4o are of the family gpt-4o. It is empty for an
// empty name.
func Family(model string) string {
	name := strings.ToLower(strings.TrimSpace(model[strings.LastIndexByte(model, '/')+1:]))
	for range 4 { // a name has a few of them at most
		at := versions.FindStringIndex(name)
		if at == nil || at[0] == 0 {
			break
		}
		name = name[:at[0]]
	}
	return name
}
