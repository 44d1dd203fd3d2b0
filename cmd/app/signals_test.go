package app

import "testing"

// Those that run in the background keep SIGHUP for another word.
func TestWhoEndsWithTheTerminal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		ends bool
	}{
		"a drill":               {[]string{"drill", "--target", "a"}, true},
		"a flag before it":      {[]string{"--config", "work", "drill"}, true},
		"a verb below another":  {[]string{"circuits", "open", "work"}, true},
		"enqueue":               {[]string{"enqueue", "serve"}, true},
		"work":                  {[]string{"work"}, false},
		"work after its flag":   {[]string{"--database-url", "drill", "work"}, false},
		"serve":                 {[]string{"serve", "--json"}, false},
		"dev":                   {[]string{"dev"}, false},
		"help of one":           {[]string{"help", "work"}, true},
		"nothing":               {nil, true},
		"a command of tomorrow": {[]string{"flood"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := endsWithTerminal(commandOf(c.args)); got != c.ends {
				t.Errorf("%q is told as %q, which ends: %v", c.args, commandOf(c.args), got)
			}
		})
	}
}
