package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"tidegate/deploy/embedded"
	"tidegate/migrations"
	"tidegate/store"
	"tidegate/worker/publish"
)

// A BackboneConfig says what a Backbone is to be.
type BackboneConfig struct {
	Dir         string            // keeps both; empty: folders that go with Stop, for Ephemeral only
	Ephemeral   bool              // nothing is to survive: for tests and demonstrations
	PostgresURL string            // use this server instead of a private one
	NATSURL     string            // use this server instead of an embedded one
	PostgresBin string            // folder of initdb and postgres; empty: found
	NATSPort    int               // zero: any free one
	Conns       int               // of the pool; zero: what pgx says
	Say         func(line string) // is told what takes a while; nil: nobody is
	Warn        func(line string) // is told of NATS's warnings; nil: nobody is
}

// A Backbone is Postgres and NATS on one machine, migrated and connected.
type Backbone struct {
	Postgres *embedded.Postgres // nil: somebody else's is used
	NATS     *embedded.NATS     // nil: somebody else's is used
	Pool     *pgxpool.Pool
	Conn     *nats.Conn
	URL      string // of Postgres
	NATSURL  string
}

// StartBackbone starts what is not given, both at once, brings the database up
// to date and connects. Stop it.
func StartBackbone(ctx context.Context, config BackboneConfig) (*Backbone, error) {
	if config.Say == nil {
		config.Say = func(string) {}
	}
	if config.NATSURL == "" { // before anything is made
		if err := embedded.CheckPort(ctx, config.NATSPort); err != nil {
			return nil, fmt.Errorf("starting NATS: %w", err)
		}
	}
	b := &Backbone{URL: config.PostgresURL, NATSURL: config.NATSURL}
	var parts sync.WaitGroup
	var postgresErr, natsErr error
	parts.Go(func() { postgresErr = b.startPostgres(ctx, config) })
	parts.Go(func() { natsErr = b.startNATS(ctx, config) })
	parts.Wait()
	err := errors.Join(postgresErr, natsErr)
	if postgresErr != nil && errors.Is(natsErr, embedded.ErrInUse) {
		err = postgresErr // the same folder: once is enough
	}
	if err != nil {
		return nil, errors.Join(err, b.Stop())
	}
	return b, nil
}

func (b *Backbone) startPostgres(ctx context.Context, config BackboneConfig) error {
	if b.URL == "" {
		private, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{
			Dir: below(config.Dir, devPostgres), BinDir: config.PostgresBin, Ephemeral: config.Ephemeral, Announce: config.Say,
		})
		if err != nil {
			return err
		}
		b.Postgres, b.URL = private, private.URL()
	}
	pool, err := store.Connect(ctx, b.URL, config.Conns)
	if err != nil {
		return err
	}
	b.Pool = pool
	if _, err := migrations.Up(ctx, pool); err != nil {
		return err
	}
	return nil
}

func (b *Backbone) startNATS(ctx context.Context, config BackboneConfig) error {
	if b.NATSURL == "" {
		server, err := embedded.StartNATS(ctx, embedded.NATSConfig{Dir: below(config.Dir, devNATS), Port: config.NATSPort, Log: config.Warn})
		if err != nil {
			return err
		}
		b.NATS, b.NATSURL = server, server.URL()
	}
	conn, err := dialNATS(b.NATSURL, "tidegate", true, zerolog.Nop())
	if err != nil {
		return err
	}
	b.Conn = conn
	if b.NATS == nil {
		return nil
	}
	return makeStream(ctx, conn)
}

// makeStream makes the stream of a server of our own, so that it can be watched
// as soon as it runs; of another one, the first worker does.
func makeStream(ctx context.Context, conn *nats.Conn) error {
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("preparing JetStream: %w", err)
	}
	_, err = publish.EnsureStream(ctx, js, 0)
	return err
}

func below(dir, name string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, name)
}

// Stop closes and stops all that was started, Postgres last.
func (b *Backbone) Stop() error {
	if b.Conn != nil {
		b.Conn.Close()
	}
	if b.NATS != nil {
		b.NATS.Stop()
	}
	if b.Pool != nil {
		b.Pool.Close()
	}
	if b.Postgres == nil {
		return nil
	}
	if err := b.Postgres.Stop(); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}
