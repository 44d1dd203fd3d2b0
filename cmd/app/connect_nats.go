package app

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
)

// dialNATS connects and stays connected: it tries again for ever, so that a NATS that is
// away at the start is only away, and one that refuses us today may let us in tomorrow.
// What happens to the connection is told to log.
func dialNATS(servers, name string, wait bool, log zerolog.Logger) (*nats.Conn, error) {
	if fault := config.NATSFault(servers); fault != "" {
		return nil, fmt.Errorf("%w: %s", errNATSURL, fault)
	}
	told := &natsLog{log: log}
	conn, err := nats.Connect(servers,
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // which ends it for ever after two refusals otherwise
		nats.ReconnectWait(500*time.Millisecond),
		nats.RetryOnFailedConnect(!wait),
		nats.Timeout(3*time.Second),
		nats.ConnectHandler(func(*nats.Conn) { told.back() }),
		nats.ReconnectHandler(func(*nats.Conn) { told.back() }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { told.away(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { told.tried(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told.failed(err) }), // else it writes to the standard error
	)
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return nil, fmt.Errorf("NATS at %s refuses us: %w; %s", config.RedactURL(jobs.Secret(servers)), err, natsRefusedRemedy)
	case err != nil:
		return nil, fmt.Errorf("no NATS answers at %s: %w; start one with `nats-server -js`, or name another with --nats-url", config.RedactURL(jobs.Secret(servers)), err)
	}
	if !conn.IsConnected() {
		told.away(cmp.Or(conn.LastError(), errNoNATSYet))
	}
	return conn, nil
}

// errNoNATSYet says that a NATS was not there when it was asked first.
var errNoNATSYet = errors.New("it does not answer yet")

// natsRefusedRemedy is what to do where NATS answers, and lets us in by no means.
const natsRefusedRemedy = "correct user and password where the URL is named, as in nats://USER:PASSWORD@HOST:4222, or let that user in"

// sameAgain is how long the same trouble with NATS is not told again.
const sameAgain = time.Minute

// natsLog says what happens to a connection: once, and not at each try. Safe for
// concurrent use.
type natsLog struct {
	log zerolog.Logger

	mu     sync.Mutex
	isAway bool
	last   string // what failed
	at     time.Time
}

func (l *natsLog) away(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isAway || err == nil { // nil: we have closed it
		return
	}
	l.isAway = true
	l.log.Warn().Err(err).Msg("NATS is away: events wait in Postgres")
}

func (l *natsLog) back() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isAway || l.last != "" {
		l.log.Info().Msg("NATS is back")
	}
	l.isAway, l.last = false, ""
}

// tried tells of a try to connect in vain only what away has not told: that we are refused.
func (l *natsLog) tried(err error) {
	if errors.Is(err, nats.ErrAuthorization) {
		l.failed(err)
	}
}

func (l *natsLog) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if text := err.Error(); text != l.last || time.Since(l.at) >= sameAgain {
		l.last, l.at = text, time.Now()
		l.log.Warn().Err(err).Msg("NATS refuses what it is asked")
	}
}
