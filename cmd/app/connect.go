package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/cmd/app/config"
	"tidegate/routing"
	"tidegate/routing/prices"
	"tidegate/routing/provider"
	"tidegate/store"
)

// nowhere says that nothing tells where tidegate runs: a kind of server, and what would.
func (o *options) nowhere(server, named string) error {
	dir, err := o.dataDir()
	if err != nil {
		return err
	}
	return fmt.Errorf("no %s is named and no dev runs in %s: start `tidegate dev` in another shell, say with --data in which folder it runs, or name one with %s", server, dir, named)
}

// endpoints are where Postgres and NATS listen.
type endpoints struct {
	postgres, nats string
	dev            *listening // the running dev that was found; nil: none was looked for
}

// endpoints finds out where tidegate runs: what the flags say, what the
// configuration says, what the environment says, what a running dev wrote down.
func (o *options) endpoints(conf *config.Config) endpoints {
	e := o.named(conf)
	if e.postgres != "" && e.nats != "" {
		return e
	}
	if dir, err := o.dataDir(); err == nil && e.postgres == "" { // one's own Postgres with dev's NATS would be a surprise
		if running, err := readListening(dir); err == nil {
			return endpoints{postgres: running.Postgres, nats: cmp.Or(e.nats, running.NATS), dev: &running}
		}
	}
	return e
}

// named is endpoints without a running dev: what somebody chose.
func (o *options) named(conf *config.Config) endpoints {
	return endpoints{
		postgres: cmp.Or(o.postgres, conf.Postgres.Reveal(), os.Getenv("DATABASE_URL")),
		nats:     cmp.Or(o.nats, conf.NATS.Reveal(), os.Getenv("NATS_URL")),
	}
}

// connect opens the database that tidegate runs on.
func (o *options) connect(ctx context.Context, conns int) (*pgxpool.Pool, error) {
	conf, err := o.loadBeside(prices.Shipped())
	if err != nil {
		return nil, err
	}
	where := o.endpoints(conf)
	if where.postgres == "" {
		return nil, o.nowhere("Postgres", "--database-url, $DATABASE_URL or `postgres:` in the configuration")
	}
	return store.Connect(ctx, where.postgres, conns)
}

// loadConfig loads the configuration, or the defaults if there is no file.
func (o *options) loadConfig() (*config.Config, []config.Warning, error) {
	read := o.configReader()(nil)
	return read.Config, read.Warnings, read.Err
}

// loadKeyless is loadConfig for what calls no target, and so needs no key: who looks
// at a fleet, or gives it work, may have none.
func (o *options) loadKeyless() (*config.Config, error) {
	known := allKnown()
	known.Keyless = true
	conf, _, err := config.Load(config.Find(o.config, os.LookupEnv), os.LookupEnv, known)
	return conf, err
}

// loadBeside is loadKeyless with a table in place of the one that the file names,
// which may be broken, or not there yet: for what does not ask for prices.
func (o *options) loadBeside(table *prices.Table) (*config.Config, error) {
	known := allKnown()
	known.Keyless = true
	known.Prices = func(string) (*prices.Table, error) { return table, nil }
	conf, _, err := config.Load(config.Find(o.config, os.LookupEnv), os.LookupEnv, known)
	return conf, err
}

// allKnown is what this program can do.
func allKnown() config.Known {
	return config.Known{Goals: routing.Goals(), Dialects: provider.Dialects()}
}

// configReader reads the configuration each time that it is called: the same
// file, if there is one.
func (o *options) configReader() func(before *config.Config) config.Reading {
	path := config.Find(o.config, os.LookupEnv)
	return func(before *config.Config) config.Reading {
		known := allKnown()
		known.Before = before
		return config.Read(path, os.LookupEnv, known)
	}
}

// errNATSURL says that a URL of NATS cannot be read.
var errNATSURL = errors.New("reading the NATS URL")
