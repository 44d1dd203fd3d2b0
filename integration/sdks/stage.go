package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/integration/bench"
)

const (
	sdkPackage = "openai"
	sdkVersion = "6.49.0"
	// route is the one that dev has without a configuration.
	route = "summaries"
	// soon is how long something may take that takes a moment.
	soon = 60 * time.Second
	// Tenants: whose batches are looked at, who has nothing else than its lists, and
	// who comes through the resetter.
	acme, lister, cutOff = "acme", "lister", "cut-off"
)

// pinned are the checks, and the version of the SDK with its digest.
//
//go:embed node/package.json node/package-lock.json node/check.mjs
var pinned embed.FS

// A stage is all that runs.
type stage struct {
	program  string
	dir      string // of the script, with the data of dev in it
	node     string
	dev      *bench.Process
	base     string // of the API: http://…/v1
	postgres string
	resetter *bench.Resetter
	through  *httptest.Server // of the resetter
	env      []string         // of the script
}

// open starts everything. Whoever opened a stage must close it.
func open(ctx context.Context, program string) (*stage, error) {
	s := &stage{}
	if err := s.prepare(ctx, program); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) prepare(ctx context.Context, program string) (err error) {
	if s.program, err = filepath.Abs(program); err != nil {
		return err
	}
	if _, err := os.Stat(s.program); err != nil {
		return fmt.Errorf("the built program: %w; run `make build` first", err)
	}
	if s.dir, err = os.MkdirTemp("", "tidegate-sdks-*"); err != nil {
		return err
	}
	files, err := fs.Sub(pinned, "node")
	if err != nil {
		return err
	}
	if s.node, err = bench.Install(ctx, files, s.dir); err != nil {
		return err
	}
	if err := s.startDev(ctx); err != nil {
		return err
	}
	if s.resetter, err = bench.NewResetter(strings.TrimSuffix(s.base, "/v1"), http.MethodPost, "/v1/batches"); err != nil {
		return err
	}
	s.through = httptest.NewServer(s.resetter)
	s.env = []string{"TIDEGATE_BASE=" + s.base, "TIDEGATE_CUT_BASE=" + s.through.URL + "/v1"}
	return s.makeKeys(ctx)
}

func (s *stage) data() string { return filepath.Join(s.dir, "data") }

// startDev starts dev and waits until it says where it listens.
func (s *stage) startDev(ctx context.Context) (err error) {
	cmd := exec.Command(s.program, "dev", "--data", s.data(), "--listen", "127.0.0.1:0", "--nats-port", "0")
	cmd.Dir, cmd.Env = s.dir, alone(os.Environ())
	if s.dev, err = bench.StartCommand(filepath.Join(s.dir, "dev.log"), cmd); err != nil {
		return err
	}
	return bench.Await(ctx, soon, "dev is ready", func() (bool, error) {
		var said struct{ HTTP, Postgres string }
		text, err := os.ReadFile(filepath.Join(s.data(), "listening.json"))
		if err != nil || json.Unmarshal(text, &said) != nil { // not yet, or not whole yet
			return false, s.dev.Alive()
		}
		s.base, s.postgres = said.HTTP+"/v1", said.Postgres
		return true, nil
	})
}

// alone is an environment in which dev has a Postgres and providers of its own.
func alone(env []string) (kept []string) {
	for _, one := range env {
		switch name, _, _ := strings.Cut(one, "="); name {
		case "DATABASE_URL", "NATS_URL", "TIDEGATE_DATA":
		default:
			kept = append(kept, one)
		}
	}
	return kept
}

// makeKeys makes the keys of all tenants, as their administrator does.
func (s *stage) makeKeys(ctx context.Context) error {
	for _, key := range []struct{ variable, tenant, scope string }{
		{"TIDEGATE_KEY", acme, "submit,read"},
		{"TIDEGATE_READER", acme, "read"},
		{"TIDEGATE_REVOKED", acme, "submit,read"},
		{"TIDEGATE_LISTER", lister, "submit,read"},
		{"TIDEGATE_CUT_KEY", cutOff, "submit,read"},
	} {
		said, err := s.tidegate(ctx, "keys", "create", "--tenant", key.tenant, "--scope", key.scope, "--json")
		if err != nil {
			return err
		}
		var made struct{ ID, Key string }
		if err := json.Unmarshal(said, &made); err != nil || made.ID == "" || made.Key == "" {
			return fmt.Errorf("keys create --json told no id and no key: %w", err)
		}
		if key.variable == "TIDEGATE_REVOKED" { // nobody has come with it
			if _, err := s.tidegate(ctx, "keys", "revoke", made.ID); err != nil {
				return err
			}
		}
		s.env = append(s.env, key.variable+"="+made.Key)
	}
	return nil
}

// tidegate runs a command beside dev.
func (s *stage) tidegate(ctx context.Context, args ...string) ([]byte, error) {
	var errors strings.Builder
	cmd := exec.CommandContext(ctx, s.program, append(args, "--data", s.data())...)
	cmd.Dir, cmd.Env, cmd.Stderr = s.dir, alone(os.Environ()), &errors
	said, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("tidegate %s: %w; it says:\n%s", args[0], err, &errors)
	}
	return said, nil
}

func (s *stage) verb(args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := s.tidegate(ctx, args...)
		return err
	}
}

// oneBatch wants that the SDK has repeated its create, and that one batch came of it.
func (s *stage) oneBatch(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.postgres)
	if err != nil {
		return fmt.Errorf("connecting to count batches: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var batches int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM tidegate.batches WHERE tenant = $1", cutOff).Scan(&batches); err != nil {
		return err
	}
	if creates := s.resetter.Came(); creates != 2 || batches != 1 {
		return fmt.Errorf("of a create that was cut off and repeated there have to be 2 requests and 1 batch, and are %d and %d", creates, batches)
	}
	fmt.Println("ok      one batch in Postgres, of a create that was sent twice")
	return nil
}

// close stops everything and removes the folder.
func (s *stage) close() {
	if s.through != nil {
		s.through.Close()
	}
	if s.dev != nil {
		s.dev.Stop()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}
