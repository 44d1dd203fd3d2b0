package logfile_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tidegate/jobs"
	"tidegate/routing/replay"
	"tidegate/routing/replay/logfile"
)

// load reads files into a log.
func load(t testing.TB, l logfile.Load, paths ...string) *replay.Log {
	t.Helper()
	log, _, err := l.Files(context.Background(), paths...)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// requestsOf lists the requests of a log, and callsOf its calls by request.
func requestsOf(log *replay.Log) (all []replay.Request) {
	for i := range log.Requests() {
		all = append(all, log.Request(i))
	}
	return all
}

func callsOf(log *replay.Log) map[int][]replay.Attempt {
	all := map[int][]replay.Attempt{}
	for i := range log.Attempts() {
		a, request := log.Attempt(i)
		all[request] = append(all[request], a)
	}
	return all
}

func TestTraces(t *testing.T) {
	t.Parallel()
	start := time.Unix(0, 0).UTC()
	request := func(at time.Time, input, output int) replay.Request {
		return replay.Request{At: at, Route: "trace", Usage: jobs.Usage{Input: input, Output: output}}
	}
	call := func(at time.Time, target string, class jobs.Class, latency time.Duration, input, output int) replay.Attempt {
		return replay.Attempt{At: at, Target: target, Class: class, Latency: latency, Usage: jobs.Usage{Input: input, Output: output}, Propensity: 1}
	}
	for name, is := range map[string]struct {
		file     string
		requests []replay.Request
		calls    map[int][]replay.Attempt
	}{
		"azure": {
			"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9800000,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n",
			[]replay.Request{request(time.Date(2023, 11, 16, 18, 17, 3, 980e6, time.UTC), 4808, 10), request(time.Date(2023, 11, 16, 18, 17, 4, 31e6, time.UTC), 3180, 8)},
			map[int][]replay.Attempt{},
		},
		"mooncake": {
			"timestamp_ms,input_length,output_length,n_blocks\n0,6758,500,14\n27482,7322,490,15\n",
			[]replay.Request{request(start, 6758, 500), request(start.Add(27482*time.Millisecond), 7322, 490)},
			map[int][]replay.Attempt{},
		},
		"mooncake's own": {
			"{\"timestamp\": 0, \"input_length\": 6758, \"output_length\": 500, \"hash_ids\": [0, 1, 2]}\n{\"timestamp\": 27482, \"input_length\": 7322, \"output_length\": 490, \"hash_ids\": []}\n",
			[]replay.Request{request(start, 6758, 500), request(start.Add(27482*time.Millisecond), 7322, 490)},
			map[int][]replay.Attempt{},
		},
		"synthetic": {
			"t_s,target,propensity,in_tokens,out_tokens,latency_s,ok\n0.38,0,1.0000,2197,1002,93.633,1\n2.47,1,1.0000,6545,948,57.380,0\n",
			[]replay.Request{request(start.Add(380*time.Millisecond), 2197, 1002), request(start.Add(2470*time.Millisecond), 6545, 948)},
			map[int][]replay.Attempt{
				0: {call(start.Add(380*time.Millisecond), "0", jobs.OK, 93633*time.Millisecond, 2197, 1002)},
				1: {call(start.Add(2470*time.Millisecond), "1", jobs.Transient, 57380*time.Millisecond, 0, 0)},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := load(t, logfile.Load{}, file(t, "trace", is.file))
			if diff := cmp.Diff(is.requests, requestsOf(log)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(is.calls, callsOf(log)); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

// What is made up of ServeGen's rates depends on nothing but the seed, and is as much as
// was asked for, at the times and with the lengths that were measured.
func TestServeGenIsMadeUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rates := "pool,client,t_s,rate,cv,pattern,p1,p2\n"
	for window := range 20 {
		rates += fmt.Sprintf("m,0,%d,%d,3,Gamma,0.3,1\nm,1,%d,1,2,Weibull,0.6,1\n", window*600, 1+2*(window%2), window*600)
	}
	for name, content := range map[string]string{
		"arrivals.csv":   rates,
		"token_hist.csv": "pool,client,kind,bucket_lo,prob\nm,0,input_tokens,100,0.5\nm,0,input_tokens,200,0.5\nm,0,output_tokens,10,1\nm,1,input_tokens,5000,1\nm,1,output_tokens,7,1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made := func(requests int, seed uint64) []replay.Request {
		return requestsOf(load(t, logfile.Load{Options: logfile.Options{Requests: requests, Seed: seed}}, dir))
	}
	all := made(0, 1)
	if want := 20 * 600 * 3; len(all) < want*8/10 || len(all) > want*12/10 {
		t.Errorf("%d requests are made up of a rate of %d", len(all), want)
	}
	busy, of := 0, 0
	for _, r := range all {
		window := r.At.Unix() / 600
		if window < 0 || window >= 20 || r.Usage.Input < 100 || r.Usage.Input >= 6000 || r.Usage.Output < 7 || r.Usage.Output > 12 {
			t.Fatalf("of these rates comes %+v", r)
		}
		if r.Usage.Input < 5000 {
			of++
			busy += int(window % 2)
		}
	}
	if part := float64(busy) / float64(of); part < 0.65 || part > 0.85 { // 3 of 4
		t.Errorf("%d of the %d of a client come in its busy windows", busy, of)
	}
	few := made(1000, 1)
	if len(few) < 700 || len(few) > 1300 {
		t.Errorf("%d are made up where 1,000 were asked for", len(few))
	}
	if diff := cmp.Diff(few, made(1000, 1)); diff != "" {
		t.Error("the same seed gives others")
	}
	if diff := cmp.Diff(few, made(1000, 2)); diff == "" {
		t.Error("another seed gives the same")
	}
	_, warnings, err := logfile.Load{Options: logfile.Options{Requests: 1000}}.Files(t.Context(), dir)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "scaled down") {
		t.Errorf("it is said: %q, %v", warnings, err)
	}
}

// The calls of a request come together, in whatever order a file has them.
func TestCallsComeTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var sorted []jobs.Logged
		for r := range rapid.IntRange(1, 6).Draw(t, "requests") {
			arrived := noon.Add(time.Duration(r) * time.Minute)
			calls := rapid.IntRange(0, 4).Draw(t, "calls")
			of := jobs.Logged{RequestID: fmt.Sprint(r), Route: "r", Asked: jobs.Asked{Arrived: arrived, BodyBytes: 100 + r, Deadline: arrived.Add(time.Hour)}}
			if calls == 0 {
				of.At = of.Deadline
				sorted = append(sorted, of)
			}
			for n := range calls {
				of.Attempt = jobs.Attempt{At: arrived.Add(time.Duration(n+1) * time.Second), Target: "a", Class: jobs.Overload, Latency: time.Second, Propensity: 1}
				if n == 3 {
					of.Class, of.Usage = jobs.OK, jobs.Usage{Input: 10 + r, Output: 5}
				}
				sorted = append(sorted, of)
			}
		}
		probe := jobs.Logged{RequestID: jobs.NoRequest, Route: "r", Attempt: jobs.Attempt{At: noon.Add(time.Hour), Target: "b", Class: jobs.OK, Propensity: 1}}
		sorted = append(sorted, probe)
		mixed := append([]jobs.Logged(nil), sorted...)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
		random.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		gathered := func(all []jobs.Logged) *replay.Log {
			g := logfile.NewGatherer(0)
			for i := range all {
				if err := g.Add(&all[i]); err != nil {
					t.Fatal(err)
				}
			}
			log, err := g.Log()
			if err != nil {
				t.Fatal(err)
			}
			return log
		}
		want, got := gathered(sorted), gathered(mixed)
		if diff := cmp.Diff(requestsOf(want), requestsOf(got)); diff != "" {
			t.Fatalf("requests (-in order +mixed):\n%s", diff)
		}
		if diff := cmp.Diff(callsOf(want), callsOf(got)); diff != "" {
			t.Fatalf("calls (-in order +mixed):\n%s", diff)
		}
		if n := len(callsOf(got)[-1]); n != 1 {
			t.Fatalf("%d calls are of no request", n)
		}
	})
}

func TestSeveralFilesOfATime(t *testing.T) {
	t.Parallel()
	one := func(id string, minute int) jobs.Logged {
		at := noon.Add(time.Duration(minute) * time.Minute)
		return jobs.Logged{RequestID: id, Route: "r", Attempt: jobs.Attempt{At: at, Target: "a", Class: jobs.OK}, Asked: jobs.Asked{Arrived: at.Add(-time.Second)}}
	}
	first := file(t, "first.csv", string(written(t, logfile.CSV, false, one("1", 0), one("2", 1))))
	second := file(t, "second.parquet", string(written(t, logfile.Parquet, false, one("3", 2), one("4", 3))))
	if n := load(t, logfile.Load{}, first, second).Requests(); n != 4 {
		t.Errorf("of two files with two requests each come %d", n)
	}
	between := logfile.Load{Narrow: logfile.Narrow{Since: noon.Add(30 * time.Second), Until: noon.Add(150 * time.Second)}}
	log := load(t, between, second, first)
	if log.Requests() != 2 || !log.Start().Equal(noon.Add(59*time.Second)) {
		t.Errorf("between 12:00:30 and 12:02:30 came %d, the first at %s", log.Requests(), log.Start())
	}
	_, _, err := logfile.Load{Narrow: logfile.Narrow{Since: noon.Add(time.Hour)}}.Files(t.Context(), first)
	if !errors.Is(err, replay.ErrEmpty) || !strings.Contains(err.Error(), "2 records are of requests that came at other times") {
		t.Errorf("of a time with none it is said: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := (logfile.Load{Told: func(int64) {}}).Files(ctx, first); err != nil {
		t.Errorf("a short file is read all the same: %v", err)
	}
	if _, _, err := (logfile.Load{}).Files(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("of no file it is said: %v", err)
	}
	if _, _, err := (logfile.Load{}).Files(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "name the files in it") {
		t.Errorf("of a folder it is said: %v", err)
	}
	bad := file(t, "bad.csv", ledger+"2026-03-01T12:00:00Z,r,a,,1\n")
	if _, _, err := (logfile.Load{}).Files(t.Context(), bad); err == nil || !strings.HasPrefix(err.Error(), bad+":2: attempt 1: class: ") {
		t.Errorf("of a call without a class it is said: %v", err)
	}
}

// An older program did not write down when a request came: a UUID of version 7 tells.
func TestArrivalByID(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(0x019cabcdef01).UTC()
	for id, want := range map[string]time.Time{
		"019cabcd-ef01-7000-8000-000000000000": at, "019cabcd-ef01-4000-8000-000000000000": at.Add(time.Minute),
		"ffffffff-ef01-7000-8000-000000000000": at.Add(time.Minute), "mine": at.Add(time.Minute),
	} {
		g := logfile.NewGatherer(1)
		if err := g.Add(&jobs.Logged{RequestID: id, Route: "r", Attempt: jobs.Attempt{At: at.Add(time.Minute), Target: "a", Class: jobs.OK}}); err != nil {
			t.Fatal(err)
		}
		log, err := g.Log()
		if err != nil {
			t.Fatal(err)
		}
		if got := log.Request(0).At; !got.Equal(want) {
			t.Errorf("%s came at %s, not %s", id, got, want)
		}
	}
}

// Whatever a file is, it is read or refused in words, and what is read can be written.
func FuzzRead(f *testing.F) {
	l := jobs.Logged{RequestID: "1", Route: "r", Attempt: jobs.Attempt{At: noon, Target: "a", Class: jobs.OK, Decision: &jobs.Decision{Goal: "cost"}}}
	for _, format := range logfile.Written() {
		f.Add(written(f, format, false, l, l))
		f.Add(written(f, format, true, l))
	}
	f.Add([]byte("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9800000,4808,10\n"))
	f.Add([]byte("{\"timestamp\": 0, \"input_length\": 6758, \"output_length\": 500}"))
	f.Add([]byte("t_s,target,propensity,in_tokens,out_tokens,latency_s,ok\n0.38,0,1.0000,2197,1002,93.633,1\n"))
	f.Add([]byte("{\"a\\u0062\":[{\"b\":\"]\"}],\"at\":null}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, format, err := read(data, logfile.Options{})
		var placed *logfile.Error
		if err != nil && !errors.As(err, &placed) {
			t.Fatalf("an error that says no place: %v", err)
		}
		if err != nil || format == logfile.Parquet { // its library is slow at this
			return
		}
		again, _, err := read(written(t, logfile.JSONL, false, all...), logfile.Options{Format: logfile.JSONL})
		if len(all) > 0 && (err != nil || len(again) != len(all)) {
			t.Fatalf("of %d records that are written %d are read: %v", len(all), len(again), err)
		}
	})
}

// Where nothing tells when a request came but its calls, it came with the first of them,
// wherever that stands.
func TestRequestsCameWithTheirFirstCalls(t *testing.T) {
	t.Parallel()
	lines := []string{
		"2026-03-01T12:00:00Z,one,a,OVERLOAD,1000000",
		"2026-03-01T12:00:05Z,two,a,OK,1000000",
		"2026-03-01T15:00:00Z,one,b,OK,2000000",
	}
	log := func(order ...int) *replay.Log {
		path := filepath.Join(t.TempDir(), "log.csv")
		text := "at,request_id,target,class,latency_us\n"
		for _, i := range order {
			text += lines[i] + "\n"
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return load(t, logfile.Load{}, path)
	}
	want := log(0, 1, 2)
	for _, order := range [][]int{{2, 1, 0}, {1, 2, 0}, {2, 0, 1}} {
		got := log(order...)
		if diff := cmp.Diff(requestsOf(want), requestsOf(got)); diff != "" {
			t.Errorf("%v: %s", order, diff)
		}
		if diff := cmp.Diff(callsOf(want), callsOf(got)); diff != "" {
			t.Errorf("%v: %s", order, diff)
		}
	}
}

// A first line that lacks a column says which.
func TestColumnThatIsMissing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.csv")
	if err := os.WriteFile(path, []byte("at,route,target,latency_us\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := (logfile.Load{}).Files(context.Background(), path); err == nil || !strings.Contains(err.Error(), "there is no column class; there are: at, route, target, latency_us; a ledger has") {
		t.Errorf("%v", err)
	}
}
