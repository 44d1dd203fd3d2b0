package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ErrPortInUse is that another program listens where NATS should.
var ErrPortInUse = errors.New("the port is in use")

// loopback is what NATS listens on unless it is told.
const loopback = "127.0.0.1"

// NATSConfig says where NATS listens and keeps its streams.
type NATSConfig struct {
	// Dir keeps the streams of JetStream. Empty: a folder that goes with Stop.
	Dir string
	// Host is what to listen on. Empty: 127.0.0.1. There is no password, so
	// anything but a loopback address is open to the network.
	Host string
	// Port to listen on. Zero or less: any free one.
	Port int
	// MaxPayload is the largest message that it takes, headers and data
	// together, in bytes. Zero: 1 MiB.
	MaxPayload int
	// Log is told the server's warnings and errors, a line each; it may be called
	// from several goroutines at once. Nil: nobody is.
	Log func(line string)
}

// NATS is a NATS server in this process, with JetStream. It is safe for
// concurrent use.
type NATS struct {
	server *server.Server
	store  *natsStore
	port   int
	stop   func()
}

// natsStartTimeout bounds a start, which takes milliseconds, or as long as it
// takes to read the streams that are there.
const natsStartTimeout = 30 * time.Second

// StartNATS starts the server and waits until it takes connections. It returns
// ErrPortInUse or ErrInUse where one of these is why. Whoever started it must
// Stop it; it can then be started again on the same folder and port, and has its
// streams.
func StartNATS(ctx context.Context, cfg NATSConfig) (*NATS, error) {
	cfg.Host = cmp.Or(cfg.Host, loopback)
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	store, err := openStore(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("starting NATS: %w", err)
	}
	n, err := startNATS(ctx, cfg, store)
	if err != nil {
		store.close()
		return nil, fmt.Errorf("starting NATS: %w", err)
	}
	return n, nil
}

func startNATS(ctx context.Context, cfg NATSConfig, store *natsStore) (*NATS, error) {
	if err := checkPort(ctx, cfg); err != nil {
		return nil, err
	}
	options := &server.Options{
		ServerName: "tidegate",
		Host:       cfg.Host,
		Port:       cfg.Port,
		JetStream:  true,
		StoreDir:   store.path,
		NoSigs:     true, // signals are the program's business
		MaxPayload: int32(min(cfg.MaxPayload, math.MaxInt32)),
	}
	if cfg.Port <= 0 {
		options.Port = server.RANDOM_PORT
	}
	srv, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("configuring it: %w", err)
	}
	log := &natsLog{tell: cfg.Log}
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	if err := awaitNATS(ctx, srv, log); err != nil {
		endNATS(srv)
		if strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) { // it has only words for it
			return nil, portInUse(cfg)
		}
		return nil, err
	}
	n := &NATS{server: srv, store: store, port: srv.Addr().(*net.TCPAddr).Port}
	n.stop = sync.OnceFunc(func() {
		endNATS(srv)
		store.close()
	})
	return n, nil
}

// portGrace is how long a port may stay taken before it counts as another
// program's: a listener that was just closed lives on for a moment in a process
// that is being forked.
const portGrace = 500 * time.Millisecond

// CheckPort returns ErrPortInUse if another program listens on a loopback port that
// NATS is to have: for those who want to know before they start anything else.
// Zero or less is any free one, and never in use.
func CheckPort(ctx context.Context, port int) error {
	return checkPort(ctx, NATSConfig{Host: loopback, Port: port})
}

// checkPort asks whether somebody listens, before JetStream opens its files.
func checkPort(ctx context.Context, cfg NATSConfig) error {
	if cfg.Port <= 0 {
		return nil
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	giveUp := time.After(portGrace)
	dialer := net.Dialer{Timeout: portGrace}
	for {
		conn, err := dialer.DialContext(ctx, "tcp", cfg.address())
		if err != nil {
			return ctx.Err() // nobody does; what else is wrong the server will say
		}
		conn.Close()
		select {
		case <-tick.C:
		case <-giveUp:
			return portInUse(cfg)
		}
	}
}

func (cfg NATSConfig) address() string {
	return net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
}

func portInUse(cfg NATSConfig) error {
	return fmt.Errorf("%w: another program listens on %s: stop that one, or choose another port (0 takes any free one)", ErrPortInUse, cfg.address())
}

// awaitNATS takes the server's own word for why it could not start: it tells it
// to its log only.
func awaitNATS(ctx context.Context, srv *server.Server, log *natsLog) error {
	timeout := natsStartTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	if err := log.fatal(); err != nil {
		return err
	}
	if !srv.ReadyForConnections(timeout) {
		return cmp.Or(log.fatal(), errors.New("it takes no connections"))
	}
	return ctx.Err()
}

func endNATS(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

// URL is what clients connect to.
func (n *NATS) URL() string { return n.server.ClientURL() }

// Port is what the server listens on, also if it was left to choose.
func (n *NATS) Port() int { return n.port }

// Dir is where the streams are.
func (n *NATS) Dir() string { return n.store.path }

// Stop cuts the clients off, ends the server and waits for it. What was
// acknowledged is on disk then.
func (n *NATS) Stop() { n.stop() }

// A natsStore is the folder of JetStream, which two servers must not share.
type natsStore struct {
	path      string
	temporary bool
	lock      *os.File
}

// natsLock is held by whoever has the folder.
const natsLock = "nats.lock"

func openStore(dir string) (*natsStore, error) {
	sweepAll()
	if dir == "" {
		return openTemporaryStore()
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the folder of its streams: %w", err)
	}
	if err := makePrivate(path); err != nil {
		return nil, err
	}
	lock, err := take(path, natsLock)
	return &natsStore{path: path, lock: lock}, err
}

func openTemporaryStore() (*natsStore, error) {
	var failures []error
	for range claimTries {
		path, err := os.MkdirTemp("", temporaryNATSPrefix)
		if err != nil {
			return nil, err
		}
		lock, err := take(path, natsLock)
		if err == nil {
			return &natsStore{path: path, temporary: true, lock: lock}, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

func (s *natsStore) close() {
	if s.temporary {
		_ = os.RemoveAll(s.path) // what is left is swept by a later start
	}
	unlock(s.lock)
}
