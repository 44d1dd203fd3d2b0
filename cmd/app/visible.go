package app

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible is a text as it may go to a terminal: what would move its cursor,
// change its title or turn its letters round is shown and not done. Providers
// and producers write these texts, not we. Lines and tabs stay.
func visible(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.IndexFunc(text, obeyed) < 0 && utf8.ValidString(text) {
		return text
	}
	var shown strings.Builder
	for _, c := range text { // bytes that are no UTF-8 come as U+FFFD
		switch {
		case !obeyed(c):
			shown.WriteRune(c)
		case c < ' ':
			shown.WriteRune('␀' + c)
		case c == '\x7f':
			shown.WriteRune('␡')
		default:
			fmt.Fprintf(&shown, "<U+%04X>", c)
		}
	}
	return shown.String()
}

// obeyed tells whether a terminal does something at c but to show it: control
// characters, and those that turn the direction of writing round.
func obeyed(c rune) bool {
	return c != '\n' && c != '\t' && unicode.IsControl(c) || c >= '\u202a' && c <= '\u202e' || c >= '\u2066' && c <= '\u2069'
}

// oneLine is visible for what stands on one line: white space is single spaces.
func oneLine(text string) string { return visible(strings.Join(strings.Fields(text), " ")) }

// shorten cuts a text to a width, in characters, on one line.
func shorten(text string, width int) string {
	runes := []rune(oneLine(text))
	if len(runes) <= width {
		return string(runes)
	}
	return string(runes[:width-1]) + "…"
}
