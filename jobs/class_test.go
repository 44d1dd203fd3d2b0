package jobs

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The table that people read says what the program does.
func TestClassesAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range Classes() {
		if class == OK {
			continue
		}
		row := fmt.Sprintf("| `%s` | %s | %s | %s |", class, class.Scope(), class.Rest(), class.Next())
		if !strings.Contains(string(text), row) {
			t.Errorf("docs/ARCHITECTURE.md has no row\n%s", row)
		}
	}
}

// What follows from a meaning follows from it in one way only.
func TestClassesAreConsistent(t *testing.T) {
	t.Parallel()
	for _, class := range Classes() {
		does := 0
		for _, one := range []bool{class.Trips(), class.Cools(), class.Opens(), class.Rest() == NoRest} {
			if one {
				does++
			}
		}
		if does != 1 {
			t.Errorf("%s does %d things to a target", class, does)
		}
		if !class.Valid() || class.Scope() == "" || class.Rest() == "" || class.Next() == "" {
			t.Errorf("%s has no full meaning", class)
		}
		if class.Final() && class.Scope() != OnRequest {
			t.Errorf("%s ends a request that is not its reason", class)
		}
	}
	if Class("NEW").Valid() || len(meanings) != len(Classes()) {
		t.Error("Classes does not list every class, or others are valid")
	}
}
