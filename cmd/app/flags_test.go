package app

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
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
		{[]string{"enqueue", "x", "--max-cost-usd", "0.0"}, `--max-cost-usd: must be above zero; leave it out for no limit`},
		{[]string{"enqueue", "x", "--deadline", "0s"}, `--deadline: must be above zero; leave it out for the route's`},
		{[]string{"retry", "batch_x", "--max-cost-usd", "0"}, `--max-cost-usd: must be above zero; leave it out for their own limits`},
		{[]string{"retry", "batch_x", "--deadline", "0s"}, `--deadline: must be above zero; leave it out for as long again as each had`},
		{[]string{"drill", "--rate=half"}, `--rate: "half" is not a number, as in 0.5`},
		{[]string{"enqueue", "x", "--wait=perhaps"}, `--wait: "perhaps" is neither true nor false`},
		{[]string{"enqueue", "x", "--metadata", "team"}, `--metadata: "team" is not key=value`},
		{[]string{"results", "--since", "soon"}, `--since: "soon" is not a duration: write it like 30s, 24h or 7d`},
		{[]string{"drill", "--for", "1.5d"}, `--for: "1.5d" is not a duration: write whole days like 7d or 1d12h, at most 36500d`},
		{[]string{"drill", "--drain", "soon"}, `--drain: "soon" is not a duration: write it like 30s, 24h or 7d`},
		{[]string{"circuits", "open", "a", "--for", "7"}, `--for: "7" is not a duration: write it like 30s, 24h or 7d`},
		{[]string{"work", "--timing", "beat=x"}, `--timing: beat: "x" is not a time above zero, as in 100ms`},
		{[]string{"replay", "--seed", "-1"}, `--seed: "-1" is not a whole number from 0, as in 20`},
		{[]string{"policy", "check", "x.yaml", "--min-success", "150%"}, `--min-success: 150% is more than all; use 100% at most`},
		{[]string{"policy", "check", "x.yaml", "--min-deadlines", "150%"}, `--min-deadlines: 150% is more than all; use 100% at most`},
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

// Every flag of a time takes days, of whichever command.
func TestFlagsOfTimeTakeDays(t *testing.T) {
	t.Parallel()
	found := 0
	look := func(flag *pflag.Flag) {
		if flag.Value.Type() != "duration" {
			return
		}
		found++
		for given, want := range map[string]time.Duration{"7d": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "90s": 90 * time.Second} {
			if err := flag.Value.Set(given); err != nil || flag.Value.String() != want.String() {
				t.Errorf("--%s %s is %s: %v", flag.Name, given, flag.Value, err)
			}
		}
	}
	for _, command := range New().Commands() {
		for _, one := range append(command.Commands(), command) {
			one.Flags().VisitAll(look)
		}
	}
	if found < 5 { // of enqueue, results, circuits open, and two of drill
		t.Errorf("%d flags of a time were found", found)
	}
	if flag := newDrillCommand(&options{}).Flags().Lookup("for"); flag.DefValue != "2m0s" {
		t.Errorf("a drill lasts %s if nobody says", flag.DefValue)
	}
}
