package embedded

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// childVariable makes this binary a process that owns a folder and is killed.
const childVariable = "TIDEGATE_EMBEDDED_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		ownFolder(dir)
	}
	goleak.VerifyTestMain(m)
}

// ownFolder starts a server, says the steps of it, and waits to be killed.
func ownFolder(dir string) {
	p, err := StartPostgres(context.Background(), PostgresConfig{
		Dir:      dir,
		Announce: func(line string) { fmt.Println(line) },
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready", p.server.pid())
	select {}
}

// otherOwner runs this binary as another owner of the folder, until it says a
// line that begins with the given word. It returns that line; kill kills it as
// kill -9 does.
func otherOwner(t *testing.T, dir, until string) (line string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill() // a second time: it is dead
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), until) {
			return lines.Text(), kill
		}
		line += lines.Text() + "\n"
	}
	t.Fatalf("the other owner ended before it said %q:\n%s", until, line)
	return "", nil
}

// await waits for a fact, at most 20 s.
func await(t *testing.T, what string, fact func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !fact() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		<-tick.C
	}
}

// startIn starts a server and stops it with the test.
func startIn(t *testing.T, cfg PostgresConfig) *Postgres {
	t.Helper()
	p, err := StartPostgres(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() }) // what it returns is asked where it matters
	return p
}

func stop(t *testing.T, p *Postgres) {
	t.Helper()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
}

// ask executes SQL, and returns the first column of the first row as text.
func ask(t *testing.T, p *Postgres, sql string) string {
	t.Helper()
	answer, err := query(t.Context(), p, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

func query(ctx context.Context, p *Postgres, sql string) (string, error) {
	conn, err := pgx.Connect(ctx, p.URL())
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx) //nolint:errcheck // the answer is there
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	for _, result := range results {
		if len(result.Rows) > 0 {
			return string(result.Rows[0][0]), nil
		}
	}
	return "", nil
}

// roomyDir is a new folder that every user can look into, where there is much
// room for databases: in memory, if possible. That of t.TempDir is closed to all
// users but one.
func roomyDir(t *testing.T) string {
	t.Helper()
	base := os.TempDir()
	if hasRoom(memoryDir) {
		base = memoryDir
	}
	dir, err := os.MkdirTemp(base, "tidegate-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	number, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return number
}
