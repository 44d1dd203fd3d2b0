package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFoldersThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(t *testing.T, dir string)
		kind    error // nil: any
		says    []string
	}{
		"of another version": {
			prepare: func(t *testing.T, dir string) { write(t, dir, "data/PG_VERSION", "13\n") },
			kind:    ErrVersion,
			says:    []string{"PostgreSQL 13", "--pg-bin", "move the folder away"},
		},
		"not a database": {
			prepare: func(t *testing.T, dir string) { write(t, dir, "data/diary.txt", "dear") },
			says:    []string{"not a PostgreSQL database", "move it away"},
		},
		"open to others": {
			prepare: func(t *testing.T, dir string) {
				if err := os.Chmod(dir, 0o777); err != nil {
					t.Fatal(err)
				}
			},
			says: []string{"chmod go-w"},
		},
		"a file": {
			prepare: func(t *testing.T, dir string) {
				if err := os.Remove(dir); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Dir(dir), filepath.Base(dir), "")
			},
			says: []string{"making the data folder"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(roomyDir(t), "pg")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			test.prepare(t, dir)
			_, err := StartPostgres(t.Context(), PostgresConfig{Dir: dir})
			if err == nil || test.kind != nil && !errors.Is(err, test.kind) {
				t.Fatalf("starting there: %v", err)
			}
			for _, says := range append(test.says, dir) {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%q does not say %q", err, says)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "data", "base")); err == nil {
				t.Error("a database was made all the same")
			}
		})
	}
}

func TestNoFolderIsForTheEphemeralOnly(t *testing.T) {
	t.Parallel()
	if _, err := StartPostgres(t.Context(), PostgresConfig{}); err == nil || !strings.Contains(err.Error(), "no data folder") {
		t.Errorf("no folder, and data to keep: %v", err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
