package integration

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tidegate/cmd/app"
	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/routing/replay"
)

// policyOf is a configuration as a file, in which something is otherwise.
func (s *stage) policyOf(name string, change func(*config.Config)) string {
	s.Helper()
	conf := *s.config
	conf.Routes = slices.Clone(conf.Routes)
	conf.Postgres, conf.NATS = "", ""
	if change != nil {
		change(&conf)
	}
	return write(s.T, name, conf.String())
}

// newReplayed is a stage whose worker asks any target now and then, with the ledger of some
// requests of all goals.
func newReplayed(t *testing.T) (s *stage, old string) {
	t.Helper()
	s = newStage(t, staging{config: func(c *config.Config) {
		c.Worker.Concurrency, c.Routes[0].Deadline, c.Estimator.Explore = atOnce, 0, 0.5
	}})
	s.work(func(c *app.StackConfig) { c.Choosing.Explore = s.config.Estimator.Explore })
	goals := []string{"cost", "speed", "balanced"}
	s.settle(s.enqueue(120, func(i int, r *jobs.Request) { r.Goal = goals[i%3] }))
	return s, s.policyOf("old.yaml", nil)
}

// replay is `tidegate replay`, which keeps nothing of the ledger.
func (s *stage) replay(args ...string) said {
	s.Helper()
	return s.must(append([]string{"replay", "--no-cache"}, args...)...)
}

// What a fleet did is replayed from its ledger: how far that is off is said, and what a
// policy would cost that prefers the dearest target. The same from a file is the same, and
// each time the same, to the byte.
func TestLedgerIsReplayed(t *testing.T) {
	t.Parallel()
	s, old := newReplayed(t)
	dear := s.policyOf("dear.yaml", func(c *config.Config) { c.Routes[0].Chain, c.Estimator.Explore = []string{"sim-dear"}, 0 })
	file := filepath.Join(t.TempDir(), "log.parquet")
	s.must("attempts", "export", "-o", file)

	got := s.replay("--against", old, "--policy", dear)
	for _, want := range []string{
		"Replayed 120 requests with 120 calls of the ledger", "Self-replay error: old.yaml, replayed against its own log, takes ", "dear.yaml: no verdict",
		"cost of 1,000 requests", "times the calls of its busiest minute in the log",
	} {
		if !strings.Contains(got.out, want) {
			t.Errorf("it is not said: %s\n%s", want, got.out)
		}
	}
	r := lastLine[replayed](t, s.replay("--against", old, "--policy", dear, "--json").out)
	filed := lastLine[replayed](t, s.replay("--against", old, "--policy", dear, "--from-file", file, "--json").out)
	for _, of := range []replayed{r, filed} {
		if of.Requests != 120 || of.Attempts != 120 || math.Abs(of.Logged[replay.Mean]/r.Logged[replay.Mean]-1) > 1e-9 || !gocmp.Equal(of.Shares, r.Shares) {
			t.Errorf("from %s it is another log: %+v", of.Log, of)
		}
	}
	was, is := r.Results[0], r.Results[1]
	if r.Self == nil || r.Self.Cost < 0.5 || r.Self.Cost > 2 || len(is.Shares) != 1 || is.Shares["sim-dear"].At != 1 {
		t.Errorf("the self-replay is %+v, and the shares are %v", r.Self, is.Shares)
	}
	spent := float64(s.count("SELECT sum(cost_micro_usd) FROM tidegate.attempts")) / 1e6 / 120 * 1000
	if logged := r.Logged[replay.Cost]; math.Abs(logged/spent-1) > 0.001 {
		t.Errorf("the ledger has a cost of %v, and the report says %v", spent, logged)
	}
	if cost := is.Metrics[replay.Cost].At; cost < 2*was.Metrics[replay.Cost].At || is.Change[replay.Cost].At < 1 {
		t.Errorf("the dear one costs %v, and the old policy %v: a change of %+v", cost, was.Metrics[replay.Cost].At, is.Change[replay.Cost])
	}

	dir := filepath.Join(t.TempDir(), "kept")
	kept := []string{"replay", "--cache", dir, "--route", summaries, "--against", old, "--json"}
	read := s.must(kept...)
	if days, err := filepath.Glob(filepath.Join(dir, "attempts-*.tgpart")); err != nil || len(days) == 0 {
		t.Errorf("nothing was kept: %v", err)
	}
	again := read
	fixture.Await(t, soon, "Postgres has counted all that was written, and the day is not read anew", func() bool {
		again = s.must(kept...)
		return strings.Contains(again.errors, "Read 0 of 1 day")
	})
	if again.out != read.out || !strings.Contains(read.errors, "Read 1 of 1 day of the ledger anew") {
		t.Errorf("what was kept is not what was read:\n%s%s%s", read.out, again.out, again.errors)
	}

	out := []string{"--against", old, "--policy", dear, "--from-file", file, "--json", "--workers", "3", "--outage", "target=sim-dear,mode=503,from=0s,for=1s", "--limit", "target=sim-cheap,concurrency=1"}
	first, second := s.replay(out...), s.replay(out...)
	if first.out != second.out {
		t.Errorf("it says another thing the second time:\n%s%s", first.out, second.out)
	}
	r = lastLine[replayed](t, first.out)
	if is = r.Results[1]; is.Tripped["sim-dear"] == 0 || is.Metrics[replay.Mean].At < 1 || len(r.Outages) != 1 || len(r.Limits) != 1 || !strings.HasPrefix(r.Assumed, "3 workers of 4 calls") {
		t.Errorf("with an outage it is %+v", r)
	}
}

// A replayed is what `tidegate replay --json` says.
type replayed struct {
	Log     string
	Assumed string
	replay.Report
}

// What is asked for wrongly, and what is wrong with a log, is said with what would be right.
func TestReplaySaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newStage(t, staging{})
	yaml := s.policyOf("policy.yaml", nil)
	head := "at,request_id,route,target,class,latency_us,cost_micro_usd,propensity"
	row := func(second int, class string) string {
		return fmt.Sprintf("2026-03-01T12:00:%02dZ,r%d,summaries,sim-cheap,%s,120000,10,1", second, second, class)
	}
	good := write(t, "good.csv", head, row(1, "OK"), row(2, "OK"), row(3, "OVERLOAD"))
	mixed := write(t, "mixed.csv", head, row(9, "OK"), row(2, "OK"), row(5, "OK"))
	broken := write(t, "broken.csv", head, row(1, "OK"), row(2, "GOOD"))
	empty := write(t, "empty.csv", head)
	long := write(t, "long.csv", head, row(1, "OK"), "2026-09-01T12:00:00Z,x,summaries,sim-cheap,OK,1,1,1")
	other := write(t, "other.csv", head, "2026-03-01T12:00:00Z,x,reports,sim-cheap,OK,1,1,1")
	nothing := write(t, "nothing.yaml", "")
	wrong := write(t, "wrong.yaml", "routes:", "  - {name: summaries, chain: [sim-chaep]}")
	azure := write(t, "azure.csv", "TIMESTAMP,ContextTokens,GeneratedTokens", "2023-11-16 18:17:03.97,4808,10")
	for _, is := range []struct {
		code int
		want string
		args []string
	}{
		{0, "from 2026-03-01 12:00:01Z to 2026-03-01 12:00:03Z", []string{"--from-file", good}},
		{0, "Warning: 1 of 3 requests stood out of order: they were sorted by time", []string{"--from-file", mixed}},
		{0, "Warning: no request has a call: the log tells when requests came", []string{"--from-file", azure}},
		{0, "of the calls go to sim-cheap, which the log has no call of: explore it first", []string{"--from-file", azure}},
		{1, "the ledger since 20", nil},
		{1, "the log holds no request: there is nothing to replay; ask for a longer time", nil},
		{1, "empty.csv: the log holds no request", []string{"--from-file", empty}},
		{1, "broken.csv:3: class: \"GOOD\" is no class; there are", []string{"--from-file", broken}},
		{1, "long.csv:3: ", []string{"--from-file", long}},
		{1, "is more than 49 days from 2026-03-01T12:00:01Z: a log is of no longer time", []string{"--from-file", long}},
		{1, "no such file: none.csv", []string{"--from-file", "none.csv"}},
		{1, "requests of the route \"reports\", which the policy does not know", []string{"--from-file", other}},
		{1, "all of the 3 records are of other routes than none", []string{"--from-file", good, "--route", "none"}},
		{1, "all of the 3 records are of requests that came at other times than were asked for", []string{"--from-file", good, "--since", "2026-03-02"}},
		{1, "nothing.yaml: routes: there is none, so that it would route nothing", []string{"--policy", nothing}},
		{1, "wrong.yaml:2:", []string{"--policy", wrong}},
		{2, "--policy: " + yaml + " is there twice", []string{"--policy", yaml, "--policy", yaml}},
		{2, "--since: \"lately\" is neither how long ago", []string{"--since", "lately"}},
		{2, "--format: is of files; name one with --from-file", []string{"--format", "csv"}},
		{2, "--outage: mode=\"504s\" is not known; there are 429", []string{"--outage", "target=sim-cheap,mode=504s,from=0s,for=1h"}},
		{2, "--outage: no policy has a target \"sim-chaep\"; did you mean \"sim-cheap\"?", []string{"--from-file", good, "--outage", "target=sim-chaep,mode=503,from=0s,for=1h"}},
		{2, "and has none of that time; say from= as so long after its start", []string{"--from-file", good, "--outage", "target=sim-cheap,mode=503,from=2h,for=1h"}},
		{2, "--limit: it limits nothing; say requests_per_minute", []string{"--limit", "target=sim-cheap"}},
		{2, "--workers: -1 is below zero", []string{"--workers", "-1"}},
	} {
		got := s.tidegate(append([]string{"replay", "--no-cache", "--against", yaml}, is.args...)...)
		if said := got.errors + got.out; got.code != is.code || !strings.Contains(said, is.want) {
			t.Errorf("%v: exit code %d, want %q, and it is said: %s", is.args, got.code, is.want, said)
		}
	}
	got := s.tidegate("replay", "--against", yaml, "--cache", filepath.Join(empty, "kept")) // empty is a file
	if got.code != 1 || !strings.Contains(got.errors, "kept: ") || !strings.Contains(got.errors, "; name another folder with --cache, or keep nothing with --no-cache") {
		t.Errorf("in a folder that cannot be made: exit code %d, and it is said: %s", got.code, got.errors)
	}
}
