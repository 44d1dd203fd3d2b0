package integration

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tidegate/cmd/app/config"
	"tidegate/integration/fixture"
)

// A patient is a set-up as a new user has it: a configuration, its database, its NATS.
type patient struct {
	*stage
	config   string // the file
	postgres string
	nats     string
	args     []string // more
	last     []finding
	worker   *crew // the last that awoke
}

type finding struct{ About, Level, Found, Remedy string }

func (p *patient) findings() []finding {
	p.Helper()
	args := append([]string{"doctor", "--json", "--data", p.TempDir(), "--database-url", p.postgres, "--nats-url", p.nats}, p.args...)
	if p.config != "" {
		args = append(args, "--config", p.config)
	}
	p.last = lastLine[struct{ Findings []finding }](p.T, tidegate(p.T, args...).out).Findings
	return p.last
}

// has is a finding that is no good and says something.
func (p *patient) has(says string) (found finding, is bool) {
	p.Helper()
	form := regexp.MustCompile(says)
	for _, f := range p.findings() {
		if f.Level != "ok" && f.Level != "skipped" && form.MatchString(f.About+": "+f.Found) {
			return f, true
		}
	}
	return finding{}, false
}

// rewrite writes the configuration anew, changed.
func (p *patient) rewrite(change func(string) string) {
	p.Helper()
	text, err := os.ReadFile(p.config)
	check(p.T, err)
	check(p.T, os.WriteFile(p.config, []byte(change(string(text))), 0o600))
}

func replaced(from, to string) func(*patient) {
	return func(p *patient) {
		p.rewrite(func(text string) string {
			if !strings.Contains(text, from) {
				p.Fatalf("%q is not in\n%s", from, text)
			}
			return strings.Replace(text, from, to, 1)
		})
	}
}

func (s *stage) exec(sql string) {
	s.Helper()
	_, err := s.Pool.Exec(s.Context(), sql)
	check(s.T, err)
}

// database is that of the test, as a statement names it.
func (p *patient) database() string {
	p.Helper()
	conf, err := pgx.ParseConfig(p.URL)
	check(p.T, err)
	return pgx.Identifier{conf.Database}.Sanitize()
}

// instead has a function of ours answer in the place of Postgres' own, for all who connect
// from now on.
func (p *patient) instead(function string) {
	p.Helper()
	p.exec("CREATE SCHEMA instead; CREATE FUNCTION instead." + function + "; ALTER DATABASE " + p.database() + " SET search_path = instead, pg_catalog")
}

var commandForm = regexp.MustCompile("`tidegate ([^`]+)`")

// types does what a remedy says, where it is a command.
func (p *patient) types(remedy string) {
	p.Helper()
	command := commandForm.FindStringSubmatch(remedy)
	if command == nil {
		p.Fatalf("%q names no command", remedy)
	}
	args := append(strings.Fields(command[1]), "--database-url", p.postgres)
	if got := tidegate(p.T, append(args, "--config", p.config)...); got.code != 0 {
		p.Errorf("%v: %+v", args, got)
	}
}

// A fault is planted, found with its remedy, and gone when that is done.
type fault struct {
	plant  func(*patient)
	says   string // of the finding, a pattern
	level  string
	remedy string // a part of it
	mend   func(*patient, string)
}

func withRole(p *patient, name string) string {
	conf, err := pgx.ParseConfig(p.postgres)
	check(p.T, err)
	return strings.Replace(p.postgres, conf.User, name, 1)
}

func faults() map[string]fault {
	const price = "  price:\n    input: 0.1\n    cached_input: 0.01\n    output: 0.4\n"
	became := func(set func(*patient)) func(*patient, string) { return func(p *patient, _ string) { set(p) } }
	typed := func(p *patient, remedy string) { p.types(remedy) }
	return map[string]fault{
		"no Postgres": {
			func(p *patient) { p.postgres = "postgres://u@127.0.0.1:1/db" }, "postgres: no Postgres answers", "wrong", "start it, and check host and port",
			became(func(p *patient) { p.postgres = p.URL }),
		},
		"no such role": {
			func(p *patient) { p.postgres = withRole(p, "nobody_of_"+filepath.Base(p.TempDir())) }, "postgres: .*refuses", "wrong", "CREATE ROLE",
			became(func(p *patient) {
				conf, err := pgx.ParseConfig(p.postgres)
				check(p.T, err)
				p.exec("CREATE ROLE " + pgx.Identifier{conf.User}.Sanitize() + " LOGIN")
			}),
		},
		"no such database": {
			func(p *patient) {
				conf, err := pgx.ParseConfig(p.postgres)
				check(p.T, err)
				p.postgres = strings.Replace(p.postgres, conf.Database, conf.Database+"_not", 1)
			}, "postgres: .*refuses", "wrong", "CREATE DATABASE",
			became(func(p *patient) {
				conf, err := pgx.ParseConfig(p.postgres)
				check(p.T, err)
				p.exec("CREATE DATABASE " + pgx.Identifier{conf.Database}.Sanitize())
			}),
		},
		"not migrated": {func(p *patient) { p.postgres = fixture.EmptyDatabase(p.T) }, "postgres: .*missing", "wrong", "tidegate migrate", typed},
		"migrated by a newer version": {
			func(p *patient) { p.exec("INSERT INTO tidegate.migrations (number, name) VALUES (999, 'of tomorrow')") }, "newer tidegate", "wrong", "use the tidegate that migrated it",
			became(func(p *patient) { p.exec("DELETE FROM tidegate.migrations WHERE number = 999") }),
		},
		"an old Postgres": {
			func(p *patient) {
				p.instead("current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT CASE $1 WHEN 'server_version_num' THEN '130014' ELSE pg_catalog.current_setting($1) END $$")
			}, "postgres: its version is 13", "wrong", "PostgreSQL 14 or newer", became(func(p *patient) { p.exec("DROP SCHEMA instead CASCADE") }),
		},
		"a clock that is wrong": {
			func(p *patient) {
				p.instead("clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.clock_timestamp() - interval '1 minute' $$")
			}, "postgres: its clock differs from this machine's by (1m|59)", "warning", "NTP", became(func(p *patient) { p.exec("DROP SCHEMA instead CASCADE") }),
		},
		"a database that takes no writes": {
			func(p *patient) { p.exec("ALTER DATABASE " + p.database() + " SET default_transaction_read_only = on") }, "postgres: it takes no writes", "wrong", "RESET default_transaction_read_only",
			func(p *patient, remedy string) {
				conn, err := pgx.Connect(p.Context(), p.URL) // as a person does, who meets the same
				check(p.T, err)
				defer func() { check(p.T, conn.Close(p.Context())) }()
				for _, statement := range regexp.MustCompile(`SET [^;]+|ALTER DATABASE [^;]+`).FindAllString(remedy, -1) {
					_, err := conn.Exec(p.Context(), strings.Replace(statement, "…", p.database(), 1))
					check(p.T, err)
				}
			},
		},
		"a table that is gone": {
			func(p *patient) { p.exec("ALTER TABLE tidegate.river_job RENAME TO gone") }, "queues: .*river_job", "wrong", "restore it from a backup",
			became(func(p *patient) { p.exec("ALTER TABLE tidegate.gone RENAME TO river_job") }),
		},
		"no rights": {
			func(p *patient) {
				name := "guest_of_" + filepath.Base(p.TempDir())
				p.exec("CREATE ROLE " + pgx.Identifier{name}.Sanitize() + " LOGIN")
				p.postgres = withRole(p, name)
			}, "permission denied", "wrong", "GRANT",
			func(p *patient, remedy string) {
				statement := regexp.MustCompile(`GRANT [^;]+`).FindString(remedy)
				p.exec(statement)
			},
		},
		"a pooler of transactions": {func(p *patient) { p.postgres = pool(p.T, p.URL) }, "a pooler stands before it that", "wrong", "pool_mode = session", became(func(p *patient) { p.postgres = p.URL })},
		"no NATS":                  {func(p *patient) { p.nats = "nats://127.0.0.1:1" }, "nats: .*127.0.0.1:1\\b", "wrong", "nats-server -js", became(func(p *patient) { p.nats = p.stage.nats.URL() })},
		"no configuration": {
			func(p *patient) { p.config = "" }, "configuration: there is no file", "warning", "tidegate init",
			became(func(p *patient) {
				p.config = filepath.Join(p.TempDir(), "tidegate.yaml")
				if got := tidegate(p.T, "init", p.config); got.code != 0 {
					p.Errorf("%+v", got)
				}
			}),
		},
		"a broken configuration": {replaced("routes:", "rouets:"), "configuration: .*rouets", "wrong", "mend the file", became(replaced("rouets:", "routes:"))},
		"a variable is missing":  {replaced("model: sim-small", "model: ${NO_SUCH_MODEL}"), "NO_SUCH_MODEL is not set", "wrong", "mend the file", became(replaced("${NO_SUCH_MODEL}", "${NO_SUCH_MODEL:-sim-small}"))},
		"a wrong key": {
			func(p *patient) { p.args = []string{"--call"}; replaced("api_key: right", "api_key: wrong")(p) }, "sim-cheap: .*401", "wrong", "check its key", became(replaced("api_key: wrong", "api_key: right")),
		},
		"an unknown model": {
			func(p *patient) { p.args = []string{"--call"}; replaced("model: sim-small", "model: sim-smaller")(p) }, "sim-cheap: .*sim-smaller", "wrong", "the model's name", became(replaced("model: sim-smaller", "model: sim-small")),
		},
		"no worker": {
			func(p *patient) { p.enqueue(3, nil) }, "workers: none is alive, and 3 jobs wait", "wrong", "tidegate work",
			became(func(p *patient) { p.awakes() }),
		},
		"an older worker": {
			func(p *patient) { p.awakes(); p.exec("UPDATE tidegate.workers SET version = 'v0.1.0'") }, "workers: .*v0.1.0", "warning", "replace it",
			became(func(p *patient) { p.worker.stop(); p.awakes() }),
		},
		"a route that nobody works": {
			func(p *patient) {
				p.awakes()
				p.exec("INSERT INTO tidegate.routes (name, goal) VALUES ('labels', 'ordered')")
			}, "labels: no worker works it", "warning", "migrate --retire labels", typed,
		},
		"a queue that is paused by hand": {
			func(p *patient) {
				p.awakes()
				fixture.Await(p.T, soon, "River knows the queue", func() bool {
					return p.count("SELECT count(*) FROM tidegate.river_queue WHERE name = $1", summaries) == 1
				})
				p.exec("UPDATE tidegate.river_queue SET paused_at = now() WHERE name = 'summaries'")
			}, "summaries: is paused by a person", "warning", "tidegate resume summaries", typed,
		},
		"a port that is taken": {
			func(p *patient) {
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				check(p.T, err)
				p.Cleanup(func() { _ = listener.Close() })
				p.rewrite(func(text string) string {
					return "listen: " + listener.Addr().String() + "\n" + strings.Replace(text, "listen:", "# listen:", 1)
				})
			}, "listen: .*cannot listen", "warning", "stop the other program", became(func(p *patient) {
				p.rewrite(func(text string) string { _, rest, _ := strings.Cut(text, "\n"); return rest })
			}),
		},
		"a price that nobody knows": {replaced(price, ""), "prices: nobody knows", "warning", "tidegate prices", became(replaced("model: sim-small\n", "model: sim-small\n"+price))},
		"limits that are hardly meant": {
			replaced("model: sim-small", "model: sim-small\n  limits: {requests_per_minute: 1}"), "sim-cheap: it may be called 1 time a minute", "warning", "requests_per_minute",
			became(replaced("{requests_per_minute: 1}", "{requests_per_minute: 600}")),
		},
	}
}

// awakes starts a worker, and waits until the fleet has heard of it.
func (p *patient) awakes() {
	p.Helper()
	p.worker = p.work(nil)
	fixture.Await(p.T, soon, "a worker is heard of", func() bool { return p.count("SELECT count(*) FROM tidegate.workers WHERE dead_at IS NULL") > 0 })
}

// A new user's doctor: each fault is found, says what is wrong, and its remedy helps.
func TestDoctorFindsFaults(t *testing.T) {
	t.Parallel()
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStage(t, staging{key: "right", config: func(c *config.Config) {
				for i := range c.Targets {
					c.Targets[i].APIKey = "right"
				}
			}})
			st.prepare()
			p := &patient{stage: st, postgres: st.URL, nats: st.nats.URL(), config: write(t, "tidegate.yaml", doctorConfig(st.config)...)}
			if found, is := p.has(f.says); is {
				t.Fatalf("before the fault it finds %+v", found)
			}
			f.plant(p)
			found, is := p.has(f.says)
			if !is || found.Level != f.level || !strings.Contains(found.Remedy, f.remedy) {
				t.Fatalf("it finds %+v\nof %+v", found, p.last)
			}
			f.mend(p, found.Remedy)
			fixture.Await(t, soon, "the remedy helps", func() bool { _, is := p.has(f.says); return !is })
		})
	}
}

// doctorConfig is a configuration as a file has it, with its keys.
func doctorConfig(conf *config.Config) []string {
	text := regexp.MustCompile(`api_key: .*`).ReplaceAllString(conf.String(), "api_key: right")
	return strings.Split(text, "\n")
}
