package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tidegate/cmd/app/config"
)

// lookEvery is how often the files of a configuration are looked at. What has
// changed is read when two looks in a row see the same, so that a file is not read
// while somebody writes it.
//
// They are looked at, and not watched by the system's notifications: Kubernetes
// swaps a link two folders up, editors put another file in place, network folders
// tell nobody; each of these needs care of its own, and none of them escapes who
// reads the few kilobytes. The content decides, not a time: a file that is
// touched is no other one.
const lookEvery = 2 * time.Second

// A reloader has a command that runs take its configuration anew: on SIGHUP, and
// when the content of one of its files has changed.
type reloader struct {
	read    func(before *config.Config) config.Reading
	running *config.Config       // what is in effect
	files   config.Contents      // of the last reading
	fixed   []string             // the keys that this command uses, and cannot change while it runs
	take    func(*config.Config) // has another one in effect; nil: the command calls no targets
	hangups <-chan os.Signal     // nil: nobody says so
	log     zerolog.Logger

	seen config.Contents // at the last look, if it was something new
	next time.Time       // when another price begins to hold; zero: none is known
}

// newReloader reads the configuration of a command that is about to run, and is to
// be told the rest. The warnings are for who logs.
func (o *options) newReloader() (r *reloader, warnings []config.Warning, err error) {
	read := o.configReader()
	first := read(nil)
	r = &reloader{read: read, running: first.Config, files: first.Files}
	if first.Err == nil {
		r.next = r.running.NextPrice(time.Now())
	}
	return r, first.Warnings, first.Err
}

// Run reloads until ctx ends.
func (r *reloader) Run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-r.hangups:
			r.reload()
		case <-ticker.C:
			r.look()
			r.reprice(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// look reloads if it sees the same news for the second time. If that has changed once
// more by the time that it is read, somebody writes it, and it waits.
func (r *reloader) look() {
	now := r.files.Now()
	switch {
	case maps.Equal(now, r.files):
		r.seen = nil
	case maps.Equal(now, r.seen):
		if read := r.read(r.running); read.Files.Agree(now) {
			r.takes(read)
		} else {
			r.seen = nil
		}
	default:
		r.seen = now
	}
}

// beside reloads while something runs, and returns what that does.
func (r *reloader) beside(ctx context.Context, run func(context.Context) error) error {
	reloading, stop := context.WithCancel(ctx)
	var part sync.WaitGroup
	part.Go(func() { r.Run(reloading) })
	defer part.Wait()
	defer stop()
	return run(ctx)
}

// reload reads the configuration, whatever is there.
func (r *reloader) reload() { r.takes(r.read(r.running)) }

// takes has what was read in effect. A configuration with mistakes changes nothing.
func (r *reloader) takes(read config.Reading) {
	r.files, r.seen = read.Files, nil
	if read.Err != nil {
		r.refuse(read.Err)
		return
	}
	for _, warning := range read.Warnings {
		r.log.Warn().Msg(warning.String())
	}
	for _, field := range config.ChangesOf(r.running, read.Config, r.fixed) {
		r.log.Warn().Str("field", field).Msg("configuration: " + field + " has changed, which needs a restart")
	}
	if r.take == nil {
		r.log.Info().Msg("configuration read again: it is good, and what may change while this runs concerns the workers")
		return
	}
	effective, waiting := config.Merge(r.running, read.Config)
	for _, field := range waiting {
		r.log.Warn().Str("field", field).Msg("configuration: " + field + ", which needs a restart")
	}
	changed := config.Changes(r.running, effective)
	r.running, r.next = effective, effective.NextPrice(time.Now())
	if len(changed) == 0 {
		r.log.Info().Msg("configuration read again: there is nothing to take")
		return
	}
	r.take(effective)
	r.log.Info().Strs("changed", changed).Msg("configuration taken: " + strings.Join(changed, ", "))
}

// refuse says all that is wrong, with its lines.
func (r *reloader) refuse(err error) {
	problems := 1
	var wrong *config.Error
	if errors.As(err, &wrong) {
		problems = len(wrong.Problems)
		for _, p := range wrong.Problems {
			r.log.Error().Str("file", p.File).Int("line", p.Line).Str("field", p.Field).Msg(p.String())
		}
	} else {
		r.log.Error().Msg(err.Error())
	}
	r.log.Error().Int("problems", problems).Msg(fmt.Sprintf("configuration refused for %s: the one of before stays", counted(problems, "problem")))
}
