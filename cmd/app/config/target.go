package config

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"tidegate/jobs"
)

const (
	// MaxKeyBytes bounds what a file with a key may hold.
	MaxKeyBytes = 64 << 10
	// mostLimit is above every real limit: one for each minute, or at once.
	mostLimit = 1_000_000_000
)

// checkTarget notes what is wrong with one target, trims its URL, and reads its
// key from a file if it has one.
func (r *reader) checkTarget(t *Target, at string, known Known) {
	if r.required(at+".name", t.Name, "name the target, as in gpt-5-mini") {
		r.name(at+".name", t.Name)
	}
	if r.required(at+".provider", t.Provider, "name the account that quota and keys hang on, as in openai") {
		r.name(at+".provider", t.Provider)
	}
	if t.Region != "" {
		r.name(at+".region", t.Region)
	}
	r.required(at+".model", t.Model, "write the model as the provider calls it")
	if !slices.Contains(known.Dialects, t.Dialect) {
		r.problem(at+".dialect", "unknown dialect %s; %s", r.shown(at+".dialect", t.Dialect), jobs.DidYouMean(t.Dialect, known.Dialects))
	}
	if t.ContentPolicy != "" {
		r.name(at+".content_policy", t.ContentPolicy)
	}
	if t.ContextTokens < 0 {
		r.problem(at+".context_tokens", "must not be below zero; leave it out if it is not known")
	}
	r.checkLimits(&t.Limits, at+".limits")
	r.checkKey(t, at)
	r.checkBase(t, at)
	r.checkVariant(t, at)
	r.checkEndpoints(t, at)
	r.checkTimeouts(&t.Timeouts, at+".timeouts")
	r.checkCircuit(&t.Circuit, at+".circuit")
}

func (r *reader) checkBase(t *Target, at string) {
	field := at + ".base_url"
	if !r.required(field, t.BaseURL, "where the provider's API is, as in https://api.example.com/v1") {
		return
	}
	t.BaseURL = strings.TrimRight(t.BaseURL, "/")
	base, wrong := parseBase(t.BaseURL, t.Path)
	if wrong != "" {
		r.problem(field, "%s", wrong)
		return
	}
	if path := versions[base.Hostname()]; strings.Trim(base.Path, "/") == "" && t.Path == "" && path != "" {
		r.warn(field, "has no version of the API, so the vendor will not find what is asked for: write https://%s/%s", base.Hostname(), path)
	}
	if base.Scheme != "http" || isLoopback(base.Hostname()) {
		return
	}
	if t.APIKey != "" {
		r.warn(field, "the key is sent unencrypted over http: use https")
	} else if len(t.Headers) > 0 {
		r.warn(field, "what headers hold is sent unencrypted over http: use https")
	}
}

// versions are what the base URLs of these vendors end in. Their own clients add it, so
// people leave it out.
var versions = map[string]string{
	"api.openai.com": "v1", "api.anthropic.com": "v1", "api.mistral.ai": "v1", "generativelanguage.googleapis.com": "v1beta",
}

// parseBase reads a base URL without letting an error quote it, since it may
// hold a password.
func parseBase(text, path string) (*url.URL, string) {
	base, err := url.Parse(text)
	switch {
	case err != nil, base.Host == "", base.Scheme != "http" && base.Scheme != "https":
		return nil, "is not a URL, as in https://api.example.com/v1"
	case base.User != nil:
		return nil, "must not hold a user or a password; the key belongs into api_key"
	case base.RawQuery != "" || base.Fragment != "" || base.ForceQuery:
		return nil, "must end with its path; what follows ? belongs into query, and what follows # is not sent"
	}
	for _, end := range []string{"/chat/completions", "/completions", "/embeddings", "/responses"} {
		if path == "" && strings.HasSuffix(base.Path, end) {
			return nil, "must end before " + end + ", which is added"
		}
	}
	return base, ""
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

func (r *reader) checkKey(t *Target, at string) {
	field := at + ".api_key"
	switch {
	case t.APIKeyFile != "" && r.given(field):
		r.problem(at+".api_key_file", "stands beside api_key; a target has one of them")
		return
	case t.APIKeyFile != "":
		field = at + ".api_key_file"
		r.readKey(t, field)
	case t.APIKey == "" && r.places[field].hidden:
		r.problem(field, "is empty: its variable is set to nothing; set it, or leave api_key out to send none")
	case looksLikeKey(t.APIKey.Reveal()) && !r.places[field].hidden:
		r.warn(field, "a key stands in the file: write api_key: ${NAME}, or api_key_file: PATH")
	}
	if strings.ContainsFunc(t.APIKey.Reveal(), func(c rune) bool { return c > unicode.MaxASCII || unicode.IsSpace(c) || unicode.IsControl(c) }) {
		r.problem(field, "the key holds a space or a character that cannot be sent in a header: copy it again")
	}
}

// looksLikeKey tells a real key from a placeholder by its beginning or its
// length.
func looksLikeKey(text string) bool { return startsLikeKey(text) || len(text) >= 20 }

func startsLikeKey(text string) bool {
	return slices.ContainsFunc([]string{"sk-", "gsk_", "xai-", "AIza", "key-"}, func(start string) bool { return strings.HasPrefix(text, start) })
}

// readKey takes the key from its file. A relative path is looked for beside the
// configuration.
func (r *reader) readKey(t *Target, field string) {
	if r.keyless {
		t.APIKey = notRead
		return
	}
	path := t.APIKeyFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(r.file), path)
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > MaxKeyBytes {
		r.missing(path, MaxKeyBytes)
		r.problem(field, "%s cannot be read as a key: it must be a file of at most %d bytes that exists", r.shown(field, path), MaxKeyBytes)
		return
	}
	text, err := r.readFile(path, MaxKeyBytes)
	if err != nil {
		r.problem(field, "%s cannot be read: %v", r.shown(field, path), err)
		return
	}
	if t.APIKey = jobs.Secret(strings.TrimSpace(string(text))); t.APIKey == "" {
		r.problem(field, "%s is empty: write the key into it", r.shown(field, path))
	}
	if info.Mode().Perm()&0o077 != 0 {
		r.warn(field, "others than its owner may use %s: chmod 600 it", r.shown(field, path))
	}
}

func (r *reader) checkLimits(l *Limits, at string) {
	parts := []struct {
		name  string
		value int
	}{{"requests_per_minute", l.RequestsPerMinute}, {"tokens_per_minute", l.TokensPerMinute}, {"concurrency", l.Concurrency}}
	for _, part := range parts {
		field := at + "." + part.name
		switch {
		case part.value < 0:
			r.problem(field, "must not be below zero; leave it out for no limit")
		case part.value > mostLimit:
			r.problem(field, "is over %d; leave it out for no limit", mostLimit)
		case part.value == 0 && r.given(field):
			r.warn(field, "0 is no limit: to stop calls to a target, take it out of the chains")
		}
	}
	if l.TokensPerMinute > 0 && l.TokensPerMinute < l.RequestsPerMinute {
		r.warn(at+".tokens_per_minute", "is less than one token for each of requests_per_minute: check both")
	}
}

func (r *reader) checkTimeouts(t *Timeouts, at string) {
	if t.Total <= 0 {
		r.problem(at+".total", "must be longer than nothing, as in %v", jobs.DefaultTimeouts.Total)
	}
	parts := []struct {
		name  string
		value int64
	}{{"connect", int64(t.Connect)}, {"first_byte", int64(t.FirstByte)}, {"idle", int64(t.Idle)}}
	for _, part := range parts {
		field := at + "." + part.name
		switch {
		case part.value < 0:
			r.problem(field, "must not be below zero; 0s leaves it to total")
		case r.given(field) && part.value > int64(t.Total):
			r.problem(field, "is longer than total (%v), so it would never count", t.Total)
		}
	}
}

func (r *reader) checkCircuit(c *Circuit, at string) {
	if c.FailuresInARow < 1 {
		r.problem(at+".failures_in_a_row", "must be at least 1")
	}
	if c.FailureRate <= 0 || c.FailureRate > 1 {
		r.problem(at+".failure_rate", "must be above 0 and at most 1, as in 0.2 for a fifth of the calls")
	}
	if c.Window < 1 || c.Window > 10_000 {
		r.problem(at+".window", "must be from 1 to 10000 calls")
	}
	if c.Cooldown <= 0 {
		r.problem(at+".cooldown", "must be longer than nothing, as in %v", jobs.DefaultThresholds.Cooldown)
	}
}
