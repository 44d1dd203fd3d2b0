package provider

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"tidegate/jobs"
)

const (
	maxMessage = 300 // characters
	maxID      = 200 // bytes
	// maxCleaned bounds what is searched for disguises; what is beyond it is dropped.
	maxCleaned = 4 << 10

	redacted = "[redacted]"
)

// A disguise is a form in which a key, ours or not, may show up in a text. The
// form is looked for only when one of its hints, in lower case, is there: a
// refusal comes with every 429, and the forms are slow.
type disguise struct {
	hints []string
	form  *regexp.Regexp
	to    string
}

var disguises = []disguise{
	{ // the value of an Authorization header
		[]string{"bearer ", "basic "},
		regexp.MustCompile(`(?i)\b(?:bearer\s+[^\s"',;]+|basic\s+[a-z0-9+/_=-]{8,})`), redacted,
	},
	{ // a known prefix
		[]string{"sk-", "sk_", "rk-", "rk_", "pk-", "pk_", "xai-", "sess-", "pplx-", "hf_", "fw_", "nvapi-", "r8_", "aiza"},
		regexp.MustCompile(`(?i)\b(?:(?:g?sk|rk|pk|xai|sess|pplx|hf|fw|nvapi|r8)[-_]|aiza)[a-z0-9_.*-]{4,}`), redacted,
	},
	{ // a word for a key, with its value
		[]string{"key=", "key:", "key\"", "key'", "key :", "key =", "token=", "token:", "token\"", "token'", "secret", "password"},
		regexp.MustCompile(`(?i)\b(?:api[-_ ]?key|access[-_ ]?key|token|secret|password)["']?\s*[=:]\s*["']?[^\s"',;&]{6,}`), redacted,
	},
	{ // masked by the provider itself
		[]string{"***"},
		regexp.MustCompile(`[^\s"']*\*{3,}[^\s"']*`), redacted,
	},
	{ // the user of a URL
		[]string{"@"},
		regexp.MustCompile(`//[^/\s@"']+@`), "//",
	},
}

// clean makes a text fit to be kept and shown: one line of at most 300
// characters, no key in it, valid UTF-8 and without the NUL that Postgres
// refuses.
func (end *endpoint) clean(text string) string {
	text = end.hide(oneLine(end.hide(text))) // before any cut: half a key would not be found
	if len(text) > maxCleaned {
		text = text[:maxCleaned]
	}
	lower := strings.ToLower(text)
	for _, d := range disguises {
		if slices.ContainsFunc(d.hints, func(hint string) bool { return strings.Contains(lower, hint) }) {
			text = d.form.ReplaceAllString(text, d.to)
		}
	}
	text = strings.ToValidUTF8(text, "?")
	if utf8.RuneCountInString(text) <= maxMessage {
		return text
	}
	return string([]rune(text)[:maxMessage-1]) + "…"
}

// cleanID does the same for a short word that is on the hot path.
func (end *endpoint) cleanID(id string) string {
	id = end.hide(id)
	if len(id) > maxID {
		id = id[:maxID]
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] >= 0x7f {
			return oneLine(id)
		}
	}
	return id
}

// cleanAnswer cleans what is kept of an answer beside its body, which is the
// producer's own and stays as it came.
func (end *endpoint) cleanAnswer(answer *jobs.Answer, header http.Header) {
	answer.Model = end.cleanID(answer.Model)
	answer.ProviderID = end.cleanID(answer.ProviderID)
	answer.FinishReason = end.cleanID(answer.FinishReason)
	answer.ProviderRequestID = end.cleanID(header.Get(end.dialect.requestID))
}

func (end *endpoint) hide(text string) string {
	for _, secret := range end.secrets {
		if strings.Contains(text, secret) {
			text = strings.ReplaceAll(text, secret, redacted)
		}
	}
	return text
}

// oneLine joins the words of a text with single spaces, and drops control
// characters and what is not UTF-8.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), blank), " ")
}

func blank(r rune) bool {
	return r <= ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029'
}

// place names where a redirect leads: scheme and host alone, since path, query
// and user may hold a key.
func place(location string) string {
	to, err := url.Parse(location)
	if err != nil || to.Host == "" {
		return "another path"
	}
	return to.Scheme + "://" + to.Host
}
