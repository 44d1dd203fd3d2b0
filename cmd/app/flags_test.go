package app

import (
	"strings"
	"testing"
)

func TestFlagsSayWhatTheyTake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"enqueue", "x", "--max-tokens", "x"}, `--max-tokens: "x" is not a whole number, as in 20`},
		{[]string{"enqueue", "x", "--max-tokens", "1.5"}, `--max-tokens: "1.5" is not a whole number, as in 20`},
		{[]string{"dev", "--nats-port", "99999999999999999999"}, `--nats-port: "99999999999999999999" is too large a number`},
		{[]string{"enqueue", "x", "--max-cost-usd", "a dime"}, `--max-cost-usd: "a dime" is not a number, as in 0.5`},
		{[]string{"drill", "--rate=half"}, `--rate: "half" is not a number, as in 0.5`},
		{[]string{"enqueue", "x", "--wait=perhaps"}, `--wait: "perhaps" is neither true nor false`},
		{[]string{"enqueue", "x", "--metadata", "team"}, `--metadata: "team" is not key=value`},
		{[]string{"results", "--since", "soon"}, `--since: "soon" is not a duration: write it like 30s, 24h or 7d`},
		{[]string{"work", "--timing", "beat=x"}, `--timing: beat: "x" is not a time above zero, as in 100ms`},
		{[]string{"status", "--nonsense"}, `unknown flag: --nonsense`},
		{[]string{"results", "--limit"}, `flag needs an argument: --limit`},
	} {
		var out, errors strings.Builder
		code := Execute(t.Context(), c.args, &out, &errors)
		if said, _, _ := strings.Cut(errors.String(), "\n"); code != exitUsage || out.Len() > 0 || said != "tidegate: "+c.says {
			t.Errorf("%v: exit code %d, %s%s", c.args, code, &out, &errors)
		}
	}
}
