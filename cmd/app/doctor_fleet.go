package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/jobs"
	"tidegate/store"
)

// checkWorkers says whether anybody works, and whether they are of this version.
func (e *examination) checkWorkers(status *store.Status) {
	const about = "workers"
	alive, waits := 0, 0
	for _, w := range viewWorkers(status.Workers) {
		if w.Desk {
			continue
		}
		switch w.State {
		case workerAlive:
			alive++
			if w.Version != programVersion() {
				e.warn(about, "replace it by one of this version; until then leave what is new unused",
					"%s is of the version %s, and this is %s", w.Worker, orOlder(w.Version), programVersion())
			}
		case workerSilent:
			e.warn(about, "look at its log: its machine, its network or Postgres may be slow",
				"%s has not been heard of for %s", w.Worker, (time.Duration(w.SilentMS) * time.Millisecond).Round(time.Second))
		}
	}
	for i := range status.Routes {
		waits += status.Routes[i].Waiting
	}
	switch {
	case alive > 0:
		e.ok(about, "%s", together(alive, "worker", "is alive", "are alive"))
	case waits > 0:
		e.wrong(about, "start one with `tidegate work`", "none is alive, and %s", waiting(waits))
	default:
		e.warn(about, "start one with `tidegate work`", "none is alive")
	}
}

func orOlder(version string) string {
	if version == "" {
		return "of before those that say it"
	}
	return version
}

// checkPauses says which routes somebody holds, and which nobody works.
func (e *examination) checkPauses(status *store.Status, about string) {
	alive := len(status.Workers) > 0
	for i := range status.Routes {
		r := &status.Routes[i]
		view := viewRoute(status, r)
		for _, p := range view.Pauses {
			if p.Owner == jobs.OwnerPerson {
				e.warn(about, fmt.Sprintf("`tidegate resume %s`, if nobody needs that any more", r.Route), "%s: is paused by a person for %s: %s", r.Route, age(status.At, p.Since), oneLine(p.Reason))
			}
		}
		if view.State == stateUnserved && r.Waiting == 0 && alive {
			e.warn(about, "start a worker whose configuration has this route, or take it away with `tidegate migrate --retire "+r.Route+"`", "%s: no worker works it", r.Route)
		}
	}
}

// refusedRemedy is what to do about what Postgres refuses a connection for.
func refusedRemedy(err error) string {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return "start it, and check host and port"
	}
	switch refused.Code {
	case "28P01":
		return "correct the password where the URL is named, or give the user that one: ALTER ROLE … PASSWORD '…'"
	case "28000":
		return "correct the user, make it with CREATE ROLE … LOGIN PASSWORD '…', or let it in from here in pg_hba.conf"
	case "3D000":
		return "correct the name of the database, or make it: CREATE DATABASE …"
	case "53300":
		return "raise max_connections, or end who has them: SELECT usename, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2"
	case "57P03":
		return "wait until it has started"
	default:
		return "check user and password, and what Postgres says of it"
	}
}

// poolerRemedy is what to do where sessions do not last.
const poolerRemedy = "name Postgres itself, or let the pooler have pool_mode = session for this user, and start it anew"

// schemaRemedy is what to do about a schema that cannot be read.
func schemaRemedy(ctx context.Context, pool *pgxpool.Pool, err error) string {
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.Code == "42501":
		owner := "its owner"
		_ = pool.QueryRow(ctx, "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'tidegate'").Scan(&owner) // else it is named by its role
		user := pgx.Identifier{pool.Config().ConnConfig.User}.Sanitize()
		return fmt.Sprintf("have a superuser say: GRANT %s TO %s; or connect as %[1]s, who owns the schema", owner, user)
	case errors.As(err, &refused) && (refused.Code == "42P05" || refused.Code == "26000"): // statements of other sessions
		return poolerRemedy
	case errors.As(err, &refused) && slices.Contains(undefined, refused.Code):
		return "somebody took away what migrations had made: restore it from a backup, or give tidegate an empty database and `tidegate migrate`"
	case strings.Contains(err.Error(), "newer tidegate"):
		return "use the tidegate that migrated it, or a newer one: this one is " + programVersion()
	default:
		return "the user needs to read the schema tidegate"
	}
}

// checkPooler finds out whether one transaction after the other may go to other servers:
// then nothing that lasts for longer holds, as a word to those who listen.
func (e *examination) checkPooler(ctx context.Context, about string, pool *pgxpool.Pool) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	first, err := pool.Acquire(ctx)
	if err != nil {
		return
	}
	defer first.Release()
	before, err := serverOf(ctx, first.Conn())
	if err != nil || uint32(before) == first.Conn().PgConn().PID() { // whom it said hello to is who answers
		return
	}
	second, err := pool.Acquire(ctx)
	if err != nil {
		return
	}
	defer second.Release()
	moved := false
	err = pgx.BeginFunc(ctx, second.Conn(), func(tx pgx.Tx) error { // which takes the server that the first one has left
		if _, err := tx.Exec(ctx, "SELECT 1"); err != nil {
			return err
		}
		after, err := serverOf(ctx, first.Conn())
		moved = after != before
		return err
	})
	switch {
	case err != nil:
		e.warn(about, poolerRemedy, "a pooler stands before it, and not all works through that: %v", err)
	case moved:
		e.wrong(about, poolerRemedy, "a pooler stands before it that gives each transaction another server: words to those who listen are lost there, and so are locks of migrations")
	default:
		e.ok(about, "a pooler stands before it, and keeps sessions")
	}
}

func serverOf(ctx context.Context, conn *pgx.Conn) (pid int, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return pid, err
}

// freeBytes is what the disk of a folder has left for us.
func freeBytes(dir string) (free int64, known bool) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, false
	}
	return int64(disk.Bavail) * int64(disk.Bsize), true //nolint:gosec,unconvert // types of other systems differ
}

// checkListen says whether `serve` finds its port free, or is there already.
func (e *examination) checkListen(ctx context.Context) {
	const about = "listen"
	if e.config == nil || e.config.Listen == "" {
		return
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", e.config.Listen)
	if err == nil {
		_ = listener.Close()
		e.ok(about, "%s is free for `tidegate serve`", e.config.Listen)
		return
	}
	client := http.Client{Timeout: checkTimeout}
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.config.Listen+"/healthz", nil)
	if request != nil {
		if answer, err := client.Do(request); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK && answer.Header.Get("X-Request-Id") != "" {
				e.ok(about, "somebody serves at %s", e.config.Listen)
				return
			}
		}
	}
	e.warn(about, "stop the other program, or choose another address with `listen:` or `serve --listen`", "`tidegate serve` cannot listen at %s: %v", e.config.Listen, err)
}

// Limits below these are hardly meant.
const (
	fewRequests = 3
	fewTokens   = 2000
)

// checkLimits finds limits of targets that are hardly meant.
func (e *examination) checkLimits() {
	for i := range e.config.Targets {
		t := &e.config.Targets[i]
		if n := t.Limits.RequestsPerMinute; n > 0 && n < fewRequests {
			e.warn(t.Name, "raise limits.requests_per_minute, or leave it out", "it may be called %s a minute", counted(n, "time"))
		}
		if n := t.Limits.TokensPerMinute; n > 0 && n < fewTokens {
			e.warn(t.Name, "raise limits.tokens_per_minute, or leave it out", "it has %d tokens a minute, which is about one call", n)
		}
	}
}
