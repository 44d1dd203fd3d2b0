package config

import (
	"fmt"
	"regexp"
	"strings"
)

// variableForm is what stands between the braces of ${NAME} and
// ${NAME:-default}.
var variableForm = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)(:-(.*))?$`)

// bareVariable is how a shell would write it, which we do not read.
var bareVariable = regexp.MustCompile(`^\$[A-Za-z_][A-Za-z0-9_]*$`)

// An expansion is a value with its variables filled in.
type expansion struct {
	text  string
	used  bool     // text holds something of the environment: never show it
	unset []string // variables without a value and without a default
}

// expandEnv fills in ${NAME}, and ${NAME:-default} where the default stands for
// a variable that is unset or empty. $${ is a literal ${. What a variable holds
// is not expanded again.
func expandEnv(text string, env func(string) (string, bool)) (expansion, error) {
	var out expansion
	if bareVariable.MatchString(text) {
		return out, fmt.Errorf("%s is not filled in: write ${%s}", text, text[1:])
	}
	var filled strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			filled.WriteString(before)
			out.text = filled.String()
			return out, nil
		}
		if literal, escaped := strings.CutSuffix(before, "$"); escaped {
			filled.WriteString(literal + "${")
			text = rest
			continue
		}
		filled.WriteString(before)
		inside, after, closed := strings.Cut(rest, "}")
		form := variableForm.FindStringSubmatch(inside)
		if !closed || form == nil {
			return out, fmt.Errorf("a variable is written ${NAME} or ${NAME:-default}; for a literal ${ write $${")
		}
		text = after
		value, ok := env(form[1])
		switch byDefault := form[2] != ""; {
		case byDefault && value == "":
			filled.WriteString(form[3])
		case ok:
			out.used = true
			filled.WriteString(value)
		default:
			out.unset = append(out.unset, form[1])
		}
	}
}
