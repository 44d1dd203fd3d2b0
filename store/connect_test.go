package store_test

import (
	"net"
	"net/url"
	"strings"
	"testing"

	"tidegate/integration/fixture"
	"tidegate/store"
)

const password = "hunter2secret"

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestConnectSaysWhereAndWhatToDo(t *testing.T) {
	t.Parallel()
	away := nobody(t)
	there, err := url.Parse(fixture.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	there.Path = "/nowhere"
	there.User = url.UserPassword(there.User.Username(), password)
	for _, c := range []struct {
		name, url string
		want      []string
	}{
		{"nobody listens", "postgres://ann:" + password + "@" + away + "/books", []string{away, `"books"`, `"ann"`, "no Postgres answers", "DATABASE_URL"}},
		{"no such database", there.String(), []string{"refuses", `"nowhere"`, "correct the URL"}},
		{"a setting of which nobody knows the value", "postgres://ann:" + password + "@localhost/books?sslmode=perhaps", []string{"sslmode", "postgres://USER"}},
		{"a slash in the password", "postgres://ann:" + password + "/#x@localhost/books", []string{"percent-encoded"}},
		{"a port that is none", "postgres://ann:" + password + "@localhost:port/books", []string{"postgres://USER"}},
		{"at signs", "postgres://ann:" + password + "@" + password + "@local host/books", []string{"postgres://USER"}},
		{"words", "host=localhost password='" + password + " port=x", []string{"postgres://USER"}},
		{"another kind of URL", "mysql://ann:" + password + "@localhost/books", []string{"postgres://USER"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pool, err := store.Connect(t.Context(), c.url, 1)
			if err == nil {
				pool.Close()
				t.Fatal("it connected")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has more than one line", err)
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("%q tells the password", err)
			}
		})
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		parameters, name string
		conns            int
	}{
		{"", "tidegate", 3},
		{"application_name=mine", "mine", 2},
	} {
		at, err := url.Parse(fixture.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		at.RawQuery = strings.Trim(at.RawQuery+"&"+c.parameters, "&")
		pool, err := store.Connect(t.Context(), at.String(), c.conns)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		var name string
		if err := pool.QueryRow(t.Context(), "SHOW application_name").Scan(&name); err != nil || name != c.name {
			t.Errorf("the server knows it as %q, %v", name, err)
		}
		if n := pool.Config().MaxConns; int(n) != c.conns {
			t.Errorf("at most %d connections, not %d", n, c.conns)
		}
	}
}

// A server compiles nothing for us, also one whose database says that it should.
func TestConnectedServerCompilesNothing(t *testing.T) {
	t.Parallel()
	url := fixture.Database(t)
	asks := func() (jit string) {
		t.Helper()
		pool, err := store.Connect(t.Context(), url, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		if err := pool.QueryRow(t.Context(), "SHOW jit").Scan(&jit); err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(t.Context(), "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET jit = on', current_database()); END $$"); err != nil {
			t.Fatal(err)
		}
		return jit
	}
	asks()
	if jit := asks(); jit != "off" {
		t.Errorf("on a database with jit = on, it is %s", jit)
	}
}
