package jobs

import "fmt"

// A Secret is a key that must not be seen. Every way to print, log or marshal
// it shows a placeholder; only Reveal gives the text.
type Secret string

const hidden = "[redacted]"

// Reveal gives the text. Call it where the key goes onto the wire and nowhere
// else.
func (s Secret) Reveal() string { return string(s) }

// String hides the text.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format hides the text from every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText hides the text from encoding/json, YAML and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
