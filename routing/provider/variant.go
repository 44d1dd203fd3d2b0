package provider

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"tidegate/jobs"
)

var headerName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// takenHeaders are those that a target cannot have of its own, and why.
var takenHeaders = map[string]string{
	"Authorization": "is what api_key is for; auth_header and auth_scheme say how it is sent",
	// net/http takes it for a promise that the call may be sent twice.
	"Idempotency-Key": "would let HTTP send a call twice, unseen", "X-Idempotency-Key": "would let HTTP send a call twice, unseen",
	"Content-Type": "", "Content-Length": "", "Content-Encoding": "", "Host": "", "Accept": "", "Accept-Encoding": "", "Connection": "", "Keep-Alive": "",
	"Transfer-Encoding": "", "Te": "", "Trailer": "", "Upgrade": "", "Expect": "", "Proxy-Authorization": "", "Proxy-Connection": "",
}

// CheckHeader says why a target cannot have a header of this name; nil: it can.
func CheckHeader(name string) error {
	if !headerName.MatchString(name) {
		return errors.New("is no name of a header: use letters, digits and '-'")
	}
	why, taken := takenHeaders[http.CanonicalHeaderKey(name)]
	if taken {
		return errors.New(cmp.Or(why, "is set by the call itself, and cannot be another"))
	}
	return nil
}

// CheckKeyHeader says why a key cannot be sent in a header of this name; nil: it can.
func CheckKeyHeader(name string) error {
	if http.CanonicalHeaderKey(name) == "Authorization" {
		return nil
	}
	return CheckHeader(name)
}

// headersOf are the dialect's with what the target says otherwise. secrets are the
// values of the target's own.
func headersOf(speaks dialect, target *jobs.Target) (header http.Header, secrets []string, err error) {
	v := target.Variant
	if v.KeyHeader == "" && v.KeyScheme != "" {
		return nil, nil, errors.New("auth_scheme: stands before the key in auth_header, which is missing")
	}
	if v.KeyHeader == "" {
		header = speaks.headers(target)
	} else if header, err = keyedHeaders(speaks, target); err != nil {
		return nil, nil, err
	}
	carriers := http.Header{}
	for name, values := range header {
		if target.Key != "" && strings.Contains(strings.Join(values, " "), target.Key.Reveal()) {
			carriers[name] = values
		}
	}
	for line := range strings.Lines(v.Headers.Reveal()) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimSpace(value)
		if err := CheckHeader(name); err != nil {
			return nil, nil, fmt.Errorf("headers: %q %w", name, err)
		}
		if carriers.Get(name) != "" {
			return nil, nil, fmt.Errorf("headers: %q carries the key; it is what api_key is for", name)
		}
		if value == "" || strings.ContainsFunc(value, isControl) {
			return nil, nil, fmt.Errorf("headers: %q is empty, or holds a control character, which no header can carry", name)
		}
		header.Set(name, value)
		secrets = append(secrets, value)
	}
	return header, secrets, nil
}

// keyedHeaders are the dialect's, with the key in the header that the target names.
func keyedHeaders(speaks dialect, target *jobs.Target) (http.Header, error) {
	v := target.Variant
	if err := CheckKeyHeader(v.KeyHeader); err != nil {
		return nil, fmt.Errorf("auth_header: %q %w", v.KeyHeader, err)
	}
	if v.KeyScheme != "" && !headerName.MatchString(v.KeyScheme) {
		return nil, errors.New(`auth_scheme: is no word, as in "Bearer"`)
	}
	keyless := *target
	keyless.Key = ""
	header := speaks.headers(&keyless)
	if target.Key == "" {
		return header, nil
	}
	scheme := v.KeyScheme
	if scheme == "" && http.CanonicalHeaderKey(v.KeyHeader) == "Authorization" {
		scheme = "Bearer"
	}
	header.Set(v.KeyHeader, strings.TrimSpace(scheme+" "+target.Key.Reveal()))
	return header, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// addressOf is where a target is called: its base, the path, and the query of
// both, in which what the target says goes before what the dialect does.
func addressOf(speaks dialect, target *jobs.Target, base *url.URL) (*url.URL, error) {
	path := strings.ReplaceAll(target.Variant.Path, "{model}", url.PathEscape(target.Model))
	if path == "" {
		path = speaks.path(target)
	}
	path, query, _ := strings.Cut(path, "?")
	full := base.JoinPath(path)
	theirs, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("path: what follows its ? cannot be read")
	}
	ours, err := url.ParseQuery(target.Variant.Query)
	if err != nil {
		return nil, errors.New("query: cannot be read; its values are encoded, as in a=b&c=d")
	}
	said := base.Query()
	for name, values := range theirs {
		if !said.Has(name) {
			said[name] = values
		}
	}
	for name, values := range ours {
		said[name] = values
	}
	if len(theirs)+len(ours) > 0 {
		full.RawQuery = said.Encode()
	}
	return full, nil
}
