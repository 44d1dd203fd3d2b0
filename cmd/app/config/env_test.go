package config

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestExpandEnv(t *testing.T) {
	t.Parallel()
	env := vars("A", "one", "B", "${A}", "EMPTY", "")
	cases := map[string]struct {
		want  string
		used  bool
		unset string
	}{
		"":                    {"", false, ""},
		"plain $ and $5":      {"plain $ and $5", false, ""},
		"${A}":                {"one", true, ""},
		"x${A}y${A}z":         {"xoneyonez", true, ""},
		"${B}":                {"${A}", true, ""}, // not expanded again
		"$${A}":               {"${A}", false, ""},
		"$$${A}":              {"$${A}", false, ""},
		"${EMPTY}":            {"", true, ""},
		"${EMPTY:-two}":       {"two", false, ""},
		"${NONE:-two}":        {"two", false, ""},
		"${NONE:-}":           {"", false, ""},
		"${NONE:-http://h:1}": {"http://h:1", false, ""},
		"${A:-two}":           {"one", true, ""},
		"${NONE}${ALSO}":      {"", false, "NONE ALSO"},
	}
	for text, want := range cases {
		got, err := expandEnv(text, env)
		if err != nil || got.text != want.want || got.used != want.used || strings.Join(got.unset, " ") != want.unset {
			t.Errorf("expandEnv(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"$A", "${", "${}", "${A", "${1}", "${A B}", "${A:=x}", "${A-x}"} {
		if got, err := expandEnv(text, env); err == nil {
			t.Errorf("expandEnv(%q) = %+v, want an error", text, got)
		}
	}
}

// Any text, with its ${ doubled, stands for itself.
func TestExpandEnvKeepsWhatIsEscaped(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.StringMatching(`([a${}:-]|[^a$])*`).Draw(t, "text")
		if bareVariable.MatchString(want) || strings.Contains(want, "$${") {
			return
		}
		got, err := expandEnv(strings.ReplaceAll(want, "${", "$${"), vars())
		if err != nil || got.text != want || got.used {
			t.Fatalf("%q became %+v, %v", want, got, err)
		}
	})
}
