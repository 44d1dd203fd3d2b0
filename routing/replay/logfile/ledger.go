package logfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate/jobs"
	"tidegate/routing/replay"
)

// A Ledger has the attempts of days.
type Ledger interface {
	// LoggedDays lists the days of which there are some, the first one first.
	LoggedDays(ctx context.Context) ([]jobs.LoggedDay, error)
	// LoggedDay hands over those of a day, until take says that it is enough.
	LoggedDay(ctx context.Context, day jobs.LoggedDay, take func(*jobs.Logged) bool) error
}

// A Cache reads a ledger, and keeps what it has read in files of a day each, so that a
// day that has not changed is read once. They hold no prompt, no answer, no key and no
// words of a provider.
type Cache struct {
	// Dir is the folder of the files, for this one ledger; it is made if it is not there.
	// Empty: nothing is kept.
	Dir string
	// Workers is how many days are read at a time; zero: two.
	Workers int
	// Told, if not nil, is told now and then how many attempts were read, of about how many,
	// from any goroutine.
	Told func(read, about int64)
}

// A CacheUse is how much of a log came from where.
type CacheUse struct {
	Days int // of the ledger
	Read int // of them: from the ledger, since they were not kept, or have changed
}

// margin is for how long before since a log begins and after until it ends: requests came
// before their calls, and their calls go on after.
const margin = 24 * time.Hour

// Log makes a Log of the requests that came from since on, and before until; zero: there is
// no bound. Files of days that the ledger has no longer are removed.
func (c Cache) Log(ctx context.Context, from Ledger, since, until time.Time) (*replay.Log, CacheUse, error) {
	all, err := from.LoggedDays(ctx)
	if err != nil {
		return nil, CacheUse{}, err
	}
	var days []jobs.LoggedDay
	for _, d := range all {
		if d.Until().After(since) && (until.IsZero() || d.From.Before(until.Add(margin))) {
			days = append(days, d)
		}
	}
	if c.Dir == "" {
		dir, err := os.MkdirTemp("", "tidegate-replay-")
		if err != nil {
			return nil, CacheUse{}, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		c.Dir = dir
	} else if err := c.tidy(all); err != nil {
		return nil, CacheUse{}, err
	}
	use := CacheUse{Days: len(days)}
	if use.Read, err = c.fill(ctx, from, days); err != nil {
		return nil, use, err
	}
	log, err := c.join(ctx, from, days, since, until)
	return log, use, err
}

const (
	partPrefix, partSuffix = "attempts-", ".tgpart"
	partUnfinished         = ".tmp"
	partDay                = "20060102"
)

func (c Cache) path(day jobs.LoggedDay) string {
	return filepath.Join(c.Dir, partPrefix+day.From.Format(partDay)+partSuffix)
}

// tidy makes the folder, and removes files of days that are no longer there.
func (c Cache) tidy(days []jobs.LoggedDay) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return c.cannot(err)
	}
	keep := map[string]bool{}
	for _, d := range days {
		keep[c.path(d)] = true
	}
	files, err := os.ReadDir(c.Dir)
	if err != nil {
		return c.cannot(err)
	}
	for _, file := range files {
		path := filepath.Join(c.Dir, file.Name())
		if name := file.Name(); keep[path] || !strings.HasPrefix(name, partPrefix) || !strings.HasSuffix(name, partSuffix) && !abandoned(file) {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c.cannot(err)
		}
	}
	return nil
}

// abandoned tells whether a file is one that somebody began to write, and did not finish.
func abandoned(file fs.DirEntry) bool {
	info, err := file.Info()
	return err == nil && strings.HasSuffix(file.Name(), partUnfinished) && time.Since(info.ModTime()) > 24*time.Hour
}

// A CacheError says that a folder does not keep what was read.
type CacheError struct {
	Dir string
	Err error
}

// Error names the folder, and what to do.
func (e *CacheError) Error() string {
	return fmt.Sprintf("keeping what was read of the ledger in %s: %v; name another folder, or have nothing kept", e.Dir, e.Err)
}

// Unwrap gives the reason.
func (e *CacheError) Unwrap() error { return e.Err }

func (c Cache) cannot(err error) error { return &CacheError{c.Dir, err} }

// fill reads the days that are not kept, or not as they are now, and says how many.
func (c Cache) fill(ctx context.Context, from Ledger, days []jobs.LoggedDay) (n int, err error) {
	var about int64
	var missing []jobs.LoggedDay
	for _, d := range days {
		if h, err := c.head(d); err != nil || h.Of != d.Mark {
			missing = append(missing, d)
			about += d.About
		}
	}
	var read atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cmp.Or(c.Workers, 2))
	for _, d := range missing {
		group.Go(func() error {
			return c.read(ctx, from, d, func(n int64) {
				if now := read.Add(n); c.Told != nil {
					c.Told(now, max(about, now))
				}
			})
		})
	}
	return len(missing), group.Wait()
}

func (c Cache) head(day jobs.LoggedDay) (replay.PartHead, error) {
	file, err := os.Open(c.path(day))
	if err != nil {
		return replay.PartHead{}, err
	}
	defer func() { _ = file.Close() }()
	return replay.ReadPartHead(file)
}

// read reads a day and keeps it. A file appears whole or not at all.
func (c Cache) read(ctx context.Context, from Ledger, day jobs.LoggedDay, told func(n int64)) error {
	g := NewGatherer(int(day.About))
	var fault error
	n := int64(0)
	err := from.LoggedDay(ctx, day, func(l *jobs.Logged) bool {
		if fault = g.Add(l); fault != nil {
			fault = fmt.Errorf("request %s, its call at %s: %w", l.RequestID, l.At.Format(time.RFC3339Nano), fault)
		}
		if n++; n%tellEvery == 0 {
			told(tellEvery)
		}
		return fault == nil
	})
	told(n % tellEvery)
	if err := errors.Join(fault, err); err != nil {
		return err
	}
	return c.keep(g.Part(day.From), day)
}

func (c Cache) keep(part *replay.Part, day jobs.LoggedDay) (err error) {
	file, err := os.CreateTemp(c.Dir, partPrefix+"*"+partUnfinished) // for its owner alone
	if err != nil {
		return c.cannot(err)
	}
	err = errors.Join(part.Write(file, day.Mark), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), c.path(day))
	}
	if err != nil {
		return c.cannot(errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

// join makes one log of what is kept. A file that is damaged is made anew.
func (c Cache) join(ctx context.Context, from Ledger, days []jobs.LoggedDay, since, until time.Time) (*replay.Log, error) {
	parts := make([]replay.PartSource, len(days))
	for i, d := range days {
		head, err := c.head(d)
		if err != nil {
			return nil, c.cannot(err)
		}
		parts[i] = replay.PartSource{Head: head, Load: func() (*replay.Part, error) {
			part, err := c.load(d)
			if errors.Is(err, replay.ErrPart) {
				if err := c.read(ctx, from, d, func(int64) {}); err != nil {
					return nil, err
				}
				part, err = c.load(d)
			}
			return part, err
		}}
	}
	return replay.Join(parts, since, until)
}

func (c Cache) load(day jobs.LoggedDay) (*replay.Part, error) {
	file, err := os.Open(c.path(day))
	if err != nil {
		return nil, c.cannot(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, c.cannot(err)
	}
	part, err := replay.ReadPart(file, info.Size())
	if err != nil {
		return nil, c.cannot(fmt.Errorf("%s: %w", filepath.Base(c.path(day)), err))
	}
	return part, nil
}
