package jobs

import (
	"strings"
	"testing"
)

func TestURLFaultSaysWhatIsWrongAndNoPassword(t *testing.T) {
	t.Parallel()
	for at, says := range map[string]string{
		"mysql://me:canary@h/db":               "begin with postgres://",
		"h:5432/canary":                        "begin with postgres://",
		"postgres://me:canary@h/db\n":          "white space",
		"postgres://me:can/ary@h/db":           "%2F",
		"postgres://me:12#canary@h/db":         "%23",
		"postgres://me:canary%ET@h/db":         "%25",
		"postgres://me:cana<ry@h/db":           "percent-encoded",
		"postgres://me:canary@[::1/db":         "no ]",
		"postgres://me:canary@h:port/db":       "port",
		"postgresql://me:canary@h:65536/db":    "port",
		"postgres://me:canary@h^st/db":         "host",
		"postgres://me:canary@h/db?sslmode=no": "",
		"postgres://me:canary@h:5432/db":       "",
	} {
		got := URLFault(at, "postgres", "postgresql")
		if !strings.Contains(got, says) || (says == "") != (got == "") {
			t.Errorf("URLFault(%q) = %q; want it to say %q", at, got, says)
		}
		if strings.Contains(got, "canary") || strings.Contains(got, "ary") {
			t.Errorf("URLFault(%q) = %q tells the password", at, got)
		}
	}
}
