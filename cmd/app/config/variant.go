package config

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"tidegate/jobs"
	"tidegate/routing/provider"
)

// keyNames are what keys are called in queries.
var keyNames = []string{"key", "api_key", "api-key", "apikey", "token", "access_token", "secret", "password", "sig", "signature", "code"}

// secretName is what headers are called that carry a key.
var secretName = regexp.MustCompile(`(?i)key|token|secret|auth`)

// checkVariant notes what is wrong with how a target is called otherwise than its
// dialect says.
func (r *reader) checkVariant(t *Target, at string) {
	r.checkPath(t, at+".path")
	for _, name := range slices.Sorted(maps.Keys(t.Query)) {
		field := at + ".query." + name
		switch {
		case slices.Contains(keyNames, strings.ToLower(name)) || startsLikeKey(t.Query[name]):
			r.problem(field, "looks like a key, and URLs are written down by everything that they pass: use api_key, and auth_header for how it is sent")
		case name == "":
			r.problem(at+".query", "holds a value without a name, as in {api-version: \"2024-10-21\"}")
		case t.Query[name] == "":
			r.problem(field, "is empty: give it a value, or leave it out")
		}
	}
	if field := at + ".auth_header"; t.AuthHeader != "" {
		if err := provider.CheckKeyHeader(t.AuthHeader); err != nil {
			r.problem(field, "%s %v", r.shown(field, t.AuthHeader), err)
		} else if t.APIKey == "" && t.APIKeyFile == "" {
			r.warn(field, "there is no api_key for it to carry")
		}
	}
	if field := at + ".auth_scheme"; t.AuthScheme != "" {
		if t.AuthHeader == "" {
			r.problem(field, "stands before the key in auth_header, which is missing: write auth_header: Authorization, too")
		} else if provider.CheckKeyHeader(t.AuthScheme) != nil {
			r.problem(field, "is no word, as in Bearer or Key")
		}
	}
	r.checkHeaders(t, at+".headers")
	if t.Stream && !r.broken[at+".dialect"] && !provider.Streams(t.Dialect) {
		r.problem(at+".stream", "%s sends no streams: leave it out", r.shown(at+".dialect", t.Dialect))
	}
}

func (r *reader) checkPath(t *Target, field string) {
	parsed, err := url.Parse(strings.ReplaceAll(t.Path, "{model}", "m"))
	switch {
	case t.Path == "":
		if r.given(field) {
			r.problem(field, "is empty: leave it out for the dialect's own")
		}
	case err != nil || parsed.IsAbs() || parsed.Host != "":
		r.problem(field, "is not a path, as in openai/deployments/{model}/chat/completions; scheme and host belong into base_url")
	case parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "":
		r.problem(field, "must end before any ? or #; what follows ? belongs into query")
	case slices.Contains(strings.Split(parsed.Path, "/"), ".."):
		r.problem(field, "holds .., which leads out of base_url: shorten that instead")
	case strings.ContainsAny(parsed.Path, "{}"):
		r.problem(field, "holds a { that is not {model}, the only one that is filled in")
	}
}

func (r *reader) checkHeaders(t *Target, at string) {
	keyed := http.CanonicalHeaderKey(t.AuthHeader)
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		field, value := at+"."+name, t.Headers[name].Reveal()
		canonical := http.CanonicalHeaderKey(name)
		err := provider.CheckHeader(name)
		switch {
		case err != nil:
			r.problem(field, "%v", err)
		case canonical == keyed:
			r.problem(field, "is what auth_header sends the key in: leave one of them out")
		case seen[canonical] != "":
			r.problem(field, "is the same header as %s: leave one of them out", seen[canonical])
		case strings.TrimSpace(value) == "":
			r.problem(field, "is empty: give it a value, or leave it out")
		case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }):
			r.problem(field, "holds a line break, or a character that cannot be sent in a header")
		case looksLikeKey(value) && !r.places[field].hidden && secretName.MatchString(name):
			r.warn(field, "a key stands in the file: write %s: ${NAME}", name)
		}
		seen[canonical] = name
	}
}

// variant is what of a checked target is called otherwise than its dialect says.
func (t *Target) variant() jobs.Variant {
	query := url.Values{}
	for name, value := range t.Query {
		query.Set(name, value)
	}
	var headers []string
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		headers = append(headers, name+": "+strings.TrimSpace(t.Headers[name].Reveal()))
	}
	return jobs.Variant{
		Path: strings.TrimLeft(t.Path, "/"), Query: query.Encode(), KeyHeader: t.AuthHeader, KeyScheme: t.AuthScheme,
		Headers: jobs.Secret(strings.Join(headers, "\n")),
	}
}
