package app

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestVersionIsACommandAndAFlag(t *testing.T) {
	t.Parallel()
	say := func(args ...string) string {
		var out, errors strings.Builder
		if code := Execute(t.Context(), args, &out, &errors); code != exitOK || errors.Len() > 0 {
			t.Fatalf("%v: exit code %d, %s", args, code, &errors)
		}
		return out.String()
	}
	if command, flag := say("version"), say("--version"); command != flag || !strings.HasPrefix(command, "tidegate version ") {
		t.Errorf("the command says %q, the flag %q", command, flag)
	}
	var said map[string]string
	if err := json.Unmarshal([]byte(say("version", "--json")), &said); err != nil || said["version"] != programVersion() || len(said) != 1 {
		t.Errorf("in JSON it says %v (%v)", said, err)
	}
}
