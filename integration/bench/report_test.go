package bench

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestBars(t *testing.T) {
	t.Parallel()
	var bars Bars
	bars.AtMost("kept", Number(3), 3)
	bars.AtMost("kept", Number(0), 0)
	if err := bars.Err(); err != nil {
		t.Errorf("none is missed, but: %v", err)
	}
	bars.AtMost("over", Number(3.5), 3)
	bars.AtMost("absent", nil, 3)
	bars.AtMost("senseless", Number(math.NaN()), 3)
	for _, want := range []string{"over: 3.5, to reach: 3", "absent: never", "senseless: NaN"} {
		if err := bars.Err(); !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestFinish(t *testing.T) {
	t.Parallel()
	var missed Bars
	missed.AtMost("calls", Number(2), 1)
	for _, c := range []struct {
		options Options
		want    string
		fails   bool
	}{
		{Options{}, "a table\n{\"calls\":2}\n", true},
		{Options{JSON: true}, "{\"calls\":2}\n", true},
		{Options{JSON: true, NoBars: true}, "{\"calls\":2}\n", false},
	} {
		var out bytes.Buffer
		err := c.options.Finish(&out, "a table", map[string]int{"calls": 2}, &missed)
		if (err != nil) != c.fails || out.String() != c.want {
			t.Errorf("%+v prints %q and ends with %v", c.options, out.String(), err)
		}
	}
	if err := (&Options{}).Finish(&bytes.Buffer{}, "", math.Inf(1), &Bars{}); err == nil {
		t.Error("what JSON has no word for was printed")
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{Cell(nil), "never"},
		{Cell(Seconds(1234567 * time.Microsecond)), "1.23"},
		{Cell(Round(1.0005, 1000)), "1.001"},
		{Cell(Round(-0.26, 10)), "-0.3"},
		{Cell(Number(Share(1, 3))), "0.333"},
		{Cell(Number(Share(0, 0))), "0"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestMachineIsRead(t *testing.T) {
	t.Parallel()
	if got := modelName("processor\t: 0\nmodel name\t: AMD EPYC: 7\nflags\t: fpu\n"); got != "AMD EPYC: 7" {
		t.Errorf("the processor is called %q", got)
	}
	if got := modelName(""); got == "" {
		t.Error("a processor without a name is called nothing")
	}
	if got := lastWord("tidegate version 1e69c7f-dirty\n"); got != "1e69c7f-dirty" {
		t.Errorf("the version is %q", got)
	}
	if got := lastWord(" \n"); got != "unknown" {
		t.Errorf("no version is called %q", got)
	}
}

func TestToldIsRead(t *testing.T) {
	t.Parallel()
	var one told
	text := `{"providers":[{"name":"a","until":"2026-01-02T03:04:05Z","calls":{"total":7,"in_flight":2,"outcomes":{"ok":3,"unavailable":2}},"seen":{"answered_twice":1}}]}`
	if err := readTold([]byte(text), &one); err != nil {
		t.Fatal(err)
	}
	got := one.Providers[0]
	if got.Until.Second() != 5 || got.Calls.Total != 7 || got.Calls.InFlight != 2 || got.Calls.Outcomes["ok"] != 3 || got.Seen.AnsweredTwice != 1 {
		t.Errorf("read %+v", got)
	}
	for _, bad := range []string{`{"providers":[]}`, `{"error":{}}`, `nonsense`} {
		if err := readTold([]byte(bad), new(told)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if found := base.FindStringSubmatch("tidegate http://127.0.0.1:4711/tidegate/v1\nriver    http"); found == nil || found[1] != "http://127.0.0.1:4711" {
		t.Errorf("the simulator is found at %q", found)
	}
}

func TestCallsSince(t *testing.T) {
	t.Parallel()
	now := Calls{Total: 20, InFlight: 4, Answered: 9, Unavailable: 5, RateLimited: 2}
	got := now.Since(Calls{Total: 10, InFlight: 1, Answered: 3, Unavailable: 5, RateLimited: 1})
	if want := (Calls{Total: 10, InFlight: 4, Answered: 6, RateLimited: 1}); got != want || got.Admitted() != 10 {
		t.Errorf("since then %+v, %d admitted; want %+v", got, got.Admitted(), want)
	}
}

// What is late is told from what went wrong.
func TestAwait(t *testing.T) {
	t.Parallel()
	never := func() (bool, error) { return false, nil }
	if err := Await(t.Context(), time.Millisecond, "pigs fly", never); !errors.Is(err, ErrLate) || !strings.Contains(err.Error(), "pigs fly") {
		t.Errorf("waiting in vain ends with %v", err)
	}
	broken := errors.New("broken")
	if err := Await(t.Context(), time.Minute, "", func() (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("a failure ends with %v", err)
	}
	if err := Await(t.Context(), 0, "", func() (bool, error) { return true, nil }); err != nil {
		t.Errorf("what holds at once ends with %v", err)
	}
}
