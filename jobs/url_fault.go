package jobs

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// URLFault says what is wrong with a connection URL that could not be read, as
// in "its port is not a number from 1 to 65535". It says it without a word of the
// URL, any part of which may be one of a password. schemes are those that it may
// have, the usual one first. Empty: the reason is none of those that it knows.
func URLFault(at string, schemes ...string) string {
	scheme, rest, found := strings.Cut(at, "://")
	if !found || !slices.Contains(schemes, scheme) {
		return "it does not begin with " + schemes[0] + "://"
	}
	if strings.ContainsFunc(at, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }) {
		return "it has white space or a control character in it"
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 && strings.Contains(rest[end:], "@") {
		return "it has a /, ? or # before an @: in a password write %2F, %3F and %23 for these"
	}
	parsed, err := url.Parse(at)
	switch {
	case err != nil:
		return parseFault(err.Error())
	case parsed.Port() != "" && !isPort(parsed.Port()):
		return "its port is not a number from 1 to 65535"
	default:
		return ""
	}
}

// parseFault turns what net/url says, which quotes the URL, into words that do
// not.
func parseFault(said string) string {
	for _, known := range []struct{ said, fault string }{
		{"invalid URL escape", "it has a % that two hexadecimal digits do not follow: in a password write %25 for it"},
		{"invalid userinfo", "its user or password has a character that must be percent-encoded"},
		{"missing ']'", "its host begins with [ and has no ] after it"},
		{"invalid port", "its port is not a number from 1 to 65535"},
		{"in host name", "its host has a character that no host has"},
	} {
		if strings.Contains(said, known.said) {
			return known.fault
		}
	}
	return ""
}

func isPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0
}
