package simulator

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Mode is what a call meets. It is also the name under which the call is
// counted, whether a fault or the provider's own rules brought it about.
type Mode string

// The modes. Each dialect has its own bodies for the refusals among them.
const (
	OK          Mode = "ok"           // an answer
	RateLimit   Mode = "rate_limit"   // 429, with Retry-After if the fault has one
	ServerError Mode = "server_error" // 500
	Unavailable Mode = "unavailable"  // 503
	Overloaded  Mode = "overloaded"   // 529
	Quota       Mode = "quota"        // 429: the account is out of money
	DailyQuota  Mode = "daily_quota"  // 429: the day's allowance is used up
	SpendLimit  Mode = "spend_limit"  // 429: over a limit that the account has for its spending
	Unpaid      Mode = "unpaid"       // 402: the account is out of money
	Auth        Mode = "auth"         // 401
	Forbidden   Mode = "forbidden"    // 403: the key may not do this
	BadRequest  Mode = "bad_request"  // 400
	NotFound    Mode = "not_found"    // 404: no such model
	Context     Mode = "context"      // 400: longer than the model's window
	TooLarge    Mode = "too_large"    // 413: more bytes than are taken
	Content     Mode = "content"      // 400: refused by the content policy
	Filtered    Mode = "filtered"     // 200, but the answer was taken away by the content filter
	GaveUp      Mode = "gave_up"      // 504: there was no answer in time, by the provider's own clock
	Hang        Mode = "hang"         // not a byte, until the client leaves or the server stops
	Reset       Mode = "reset"        // the connection is closed before a byte
	Cut         Mode = "cut"          // the connection is closed in the middle of the body
	Garbled     Mode = "garbled"      // 200 with half a body, or with a page of HTML
	Inside      Mode = "inside"       // 200 with the error of Overloaded for a body, or in the middle of the stream
	Empty       Mode = "empty"        // 200 with no text at all
	Garbage     Mode = "garbage"      // 200 with words that mean nothing, as long as the answer would be
	Smaller     Mode = "smaller"      // 200 of another model, by its name, and half as long
	Refusing    Mode = "refusing"     // 200 with words that it will not answer
	Slow        Mode = "slow"         // the first byte comes late
	Drip        Mode = "drip"         // the header comes in time, the body in small pieces
)

// Left is how a call is counted whose client went away before the end. It is
// not a mode that could be set.
const Left Mode = "left"

// DefaultDelay is how late Slow and Drip are when the fault does not say.
const DefaultDelay = 30 * time.Second

// Modes lists every mode that a fault can have, in the order of this file.
func Modes() []Mode {
	return []Mode{
		OK, RateLimit, ServerError, Unavailable, Overloaded, Quota, DailyQuota, SpendLimit, Unpaid, Auth, Forbidden, BadRequest,
		NotFound, Context, TooLarge, Content, Filtered, GaveUp, Hang, Reset, Cut, Garbled, Inside, Empty, Garbage, Smaller, Refusing, Slow, Drip,
	}
}

// refuses tells whether the mode is an error body with a status, and no answer.
func (m Mode) refuses() bool {
	switch m {
	case RateLimit, ServerError, Unavailable, Overloaded, Quota, DailyQuota, SpendLimit, Unpaid, Auth, Forbidden, BadRequest,
		NotFound, Context, TooLarge, Content, GaveUp:
		return true
	}
	return false
}

// answers tells whether a client gets a whole answer.
func (m Mode) answers() bool {
	return m == OK || m == Slow || m == Drip || m == Garbage || m == Smaller || m == Refusing
}

// byStatus lets people say a status where it means one mode only.
var byStatus = map[string]Mode{
	"200": OK, "400": BadRequest, "401": Auth, "402": Unpaid, "403": Forbidden, "404": NotFound, "413": TooLarge,
	"429": RateLimit, "500": ServerError, "503": Unavailable, "504": GaveUp, "529": Overloaded,
}

// ParseMode reads a mode by its name, or by its HTTP status where that is
// enough to know it ("503").
func ParseMode(text string) (Mode, error) {
	if mode, ok := byStatus[text]; ok {
		return mode, nil
	}
	if slices.Contains(Modes(), Mode(text)) {
		return Mode(text), nil
	}
	names := make([]string, 0, len(Modes()))
	for _, mode := range Modes() {
		names = append(names, string(mode))
	}
	return "", fmt.Errorf("mode: %q is not known; use one of %s, or a status such as 503", text, strings.Join(names, ", "))
}

// UnmarshalText reads a mode as ParseMode does.
func (m *Mode) UnmarshalText(text []byte) error {
	mode, err := ParseMode(string(text))
	*m = mode
	return err
}

// A Fault is what is wrong with a provider, and for how long. The zero Fault is
// a provider that is well.
type Fault struct {
	Mode Mode `yaml:"mode"`
	// Rate is the share of the calls that meet the fault, in (0, 1]; zero: all
	// of them. A brown-out is a rate of 0.25.
	Rate float64 `yaml:"rate"`
	// RetryAfter is what a refusal asks the client to wait; zero: it does not say.
	RetryAfter time.Duration `yaml:"retry_after"`
	// Delay comes before the fault shows: before the refusal, the reset or the
	// answer. For Drip it is how long the body takes. Zero: DefaultDelay for
	// Slow and Drip, none for the others.
	Delay time.Duration `yaml:"delay"`
	// For is how long the fault holds; zero: until something else is said.
	For time.Duration `yaml:"for"`
	// Code replaces the dialect's usual code of a refusal, as in "slow_down".
	Code string `yaml:"code"`
}

// Validate says which field is wrong and what would be right, or nil.
func (f Fault) Validate() error {
	if f.Mode != "" {
		if _, err := ParseMode(string(f.Mode)); err != nil {
			return err
		}
	}
	if !(f.Rate >= 0 && f.Rate <= 1) {
		return fmt.Errorf("rate: %v is not a share; use a number above 0 and up to 1, or leave it out for all calls", f.Rate)
	}
	for _, field := range []struct {
		name  string
		value time.Duration
	}{{"retry_after", f.RetryAfter}, {"delay", f.Delay}, {"for", f.For}} {
		if field.value < 0 {
			return fmt.Errorf("%s: %s is below zero; use a duration such as 30s, or leave it out", field.name, field.value)
		}
	}
	return nil
}

// filled puts in what the zero values stand for.
func (f Fault) filled() Fault {
	if mode, err := ParseMode(string(f.Mode)); err == nil {
		f.Mode = mode
	} else {
		f.Mode = OK
	}
	if f.Rate == 0 {
		f.Rate = 1
	}
	if f.Delay == 0 && (f.Mode == Slow || f.Mode == Drip) {
		f.Delay = DefaultDelay
	}
	return f
}
