package jobs

import (
	"fmt"
	"regexp"
	"time"
)

// An Error is how a call to a target failed. Providers return no other kind of
// error. It never holds a key, a prompt or a completion.
type Error struct {
	Class   Class
	Status  int    // of HTTP; zero: there was no answer
	Code    string // the provider's own, as in "rate_limit_exceeded"
	Message string // the provider's own, cut to a line and cleaned of keys
	// RetryAfter is how long the provider asked to be left alone; zero: it did
	// not say.
	RetryAfter time.Duration
	// ResetsIn is when what is used up may be whole again, where that follows from
	// the provider's rules; zero: not known.
	ResetsIn time.Duration
	// Elsewhere tells that a BAD_REQUEST is about what this target's model can do:
	// another target may take the request.
	Elsewhere bool
	// Said tells that the provider said so itself; otherwise only this host saw
	// it (a dial, a TLS handshake, a name that does not resolve).
	Said bool
	// ProviderRequestID is what the provider calls the call in its own logs.
	ProviderRequestID string
	// Usage is what was billed all the same, where the provider says so.
	Usage Usage
	// Allowance is what the provider announced beside the refusal.
	Allowance Allowance
}

// Error writes the class, the status and what the provider said.
func (e *Error) Error() string {
	text := string(e.Class)
	if e.Status != 0 {
		text = fmt.Sprintf("%s: status %d", text, e.Status)
	}
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Gist is the error without the provider's own words, which may quote a prompt:
// class, status, and a code if it reads like one. It is fit for logs and for
// reasons that everybody sees.
func (e *Error) Gist() string {
	text := string(e.Class)
	if e.Status != 0 {
		text = fmt.Sprintf("%s: status %d", text, e.Status)
	}
	if code := CleanCode(e.Code); code != "" {
		text += " " + code
	}
	return text
}

var codeForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// CleanCode returns a code that reads like one, and nothing for free text.
func CleanCode(code string) string {
	if codeForm.MatchString(code) {
		return code
	}
	return ""
}
