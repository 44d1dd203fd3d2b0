package logfile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
	"tidegate/routing/replay"
	"tidegate/routing/replay/logfile"
)

// shelves are a ledger in memory, in the order in which attempts were written.
type shelves struct {
	all   []jobs.Logged
	reads []string // days
	err   error
}

func (s *shelves) LoggedDays(context.Context) (days []jobs.LoggedDay, err error) {
	of := map[time.Time]int{}
	for i := range s.all {
		of[s.all[i].At.Truncate(24*time.Hour)]++
	}
	for from, n := range of {
		days = append(days, jobs.LoggedDay{From: from, About: int64(n), Mark: fmt.Sprint(n, " attempts")})
	}
	slices.SortFunc(days, func(a, b jobs.LoggedDay) int { return a.From.Compare(b.From) })
	return days, s.err
}

func (s *shelves) LoggedDay(_ context.Context, day jobs.LoggedDay, take func(*jobs.Logged) bool) error {
	s.reads = append(s.reads, day.From.Format("02"))
	for i := range s.all {
		if l := s.all[i]; !l.At.Before(day.From) && l.At.Before(day.Until()) && !take(&l) {
			break
		}
	}
	return s.err
}

// askedOf is a request's call, so many hours after noon, of a request that came a while before.
func askedOf(id int, hours float64, class jobs.Class, waited time.Duration) jobs.Logged {
	at := noon.Add(time.Duration(hours * float64(time.Hour)))
	return jobs.Logged{
		RequestID: fmt.Sprintf("%08d-0000-7000-8000-000000000000", id), Route: "r", Attempt: jobs.Attempt{At: at, Target: "a", Class: class, Latency: time.Second},
		Asked: jobs.Asked{Arrived: at.Add(-waited)},
	}
}

func fromCache(t *testing.T, c logfile.Cache, s *shelves, since time.Time) (*replay.Log, []string) {
	t.Helper()
	s.reads, c.Workers = nil, 1
	log, use, err := c.Log(t.Context(), s, since, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if use.Read != len(s.reads) {
		t.Errorf("it says that it read %d days: %v", use.Read, s.reads)
	}
	slices.Sort(s.reads)
	return log, s.reads
}

// A day is read once, and again when something was added to it or its file is damaged;
// calls of one request on two days are those of one request.
func TestCacheReadsADayOnce(t *testing.T) {
	t.Parallel()
	s := &shelves{all: []jobs.Logged{
		askedOf(1, 1, jobs.OK, time.Minute), askedOf(2, 11, jobs.Overload, time.Minute), askedOf(2, 13, jobs.OK, 2*time.Hour+time.Minute),
		askedOf(3, 14, jobs.OK, 5*time.Hour), askedOf(4, 40, jobs.OK, 0),
	}}
	c := logfile.Cache{Dir: filepath.Join(t.TempDir(), "deep", "cache")}
	expect := func(what string, since time.Time, requests, attempts int, reads ...string) {
		t.Helper()
		log, read := fromCache(t, c, s, since)
		if log.Requests() != requests || log.Attempts() != attempts || !slices.Equal(read, reads) {
			t.Errorf("%s: %d requests, %d attempts, days %v were read; want %d, %d, %v", what, log.Requests(), log.Attempts(), read, requests, attempts, reads)
		}
		plain, _ := fromCache(t, logfile.Cache{}, s, since)
		if diff := cmp.Diff(plain, log, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
			t.Errorf("%s, with nothing kept (-) and from what is kept (+):\n%s", what, diff)
		}
	}
	expect("at first", time.Time{}, 4, 5, "01", "02", "03")
	expect("again", time.Time{}, 4, 5)
	s.all = append(s.all, askedOf(5, 10, jobs.OK, 0))
	expect("with one more on the first day", time.Time{}, 5, 6, "01")
	expect("since the second day", noon.Add(12*time.Hour), 1, 1)
	expect("since two hours before", noon.Add(9*time.Hour), 4, 5)
	files, err := filepath.Glob(filepath.Join(c.Dir, "*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	raw, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-10] ^= 1
	if err := os.WriteFile(files[1], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	log, use, err := c.Log(t.Context(), s, time.Time{}, time.Time{})
	if err != nil || log.Requests() != 5 || use.Read != 0 {
		t.Errorf("with a damaged file: %+v, %v", use, err)
	}
	expect("behind a damaged file", time.Time{}, 5, 6)
	s.all = slices.DeleteFunc(s.all, func(l jobs.Logged) bool { return l.At.Before(noon.Add(12 * time.Hour)) })
	expect("without the first day", time.Time{}, 3, 3)
	if files, _ = filepath.Glob(filepath.Join(c.Dir, "*")); len(files) != 2 {
		t.Errorf("the file of a day that was removed is there: %v", files)
	}
}

func TestCacheSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	taken := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bad := askedOf(1, 1, jobs.OK, 0)
	bad.Class = "NONE"
	away := errors.New("the database is away")
	for _, c := range []struct {
		dir  string
		of   shelves
		want string
	}{
		{taken, shelves{all: []jobs.Logged{askedOf(1, 1, jobs.OK, 0)}}, "name another folder"},
		{"", shelves{all: []jobs.Logged{bad}}, "class"},
		{"", shelves{err: away}, "away"},
		{"", shelves{}, "holds no request"},
	} {
		_, _, err := logfile.Cache{Dir: c.dir}.Log(t.Context(), &c.of, time.Time{}, time.Time{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	_, _, err := logfile.Cache{}.Log(t.Context(), &shelves{}, time.Time{}, time.Time{})
	if !errors.Is(err, replay.ErrEmpty) {
		t.Error(err)
	}
}
