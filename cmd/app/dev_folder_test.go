package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidegate/deploy/embedded"
)

// folderOf makes a folder of files (and folders, whose names end with a slash),
// claimed or not.
func folderOf(t *testing.T, claimed bool, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	if claimed {
		claimBriefly(t, dir)
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.Mkdir(path, 0o700)
		} else {
			err = os.WriteFile(path, []byte("x"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// claimBriefly leaves of a claim what one that was killed leaves.
func claimBriefly(t *testing.T, dir string) {
	t.Helper()
	release, err := embedded.Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func TestDevLeavesFoldersOfOthersAlone(t *testing.T) {
	t.Parallel()
	unlocked := folderOf(t, false, "postgres/", "tidegate.log", "listening.json")
	claimBriefly(t, filepath.Join(unlocked, "postgres"))
	for name, c := range map[string]struct {
		dir   string
		found string // empty: it is taken
	}{
		"new":                        {filepath.Join(t.TempDir(), "new"), ""},
		"empty":                      {t.TempDir(), ""},
		"a killed start's":           {folderOf(t, true), ""},
		"dev's":                      {folderOf(t, true, "postgres/", "nats/", "tidegate.log", "listening.json"), ""},
		"dev's, with a note":         {folderOf(t, true, "notes.txt"), ""},
		"dev's, its lock taken away": {unlocked, ""},
		"a killed doctor's":          {folderOf(t, false, ".tidegate-doctor-17"), ""},
		"a new disk":                 {folderOf(t, false, "lost+found/"), ""},
		"a project":                  {folderOf(t, false, "main.go", "README.md"), "README.md"},
		"another database's":         {folderOf(t, false, "postgres/"), "postgres"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := checkFolder(c.dir)
			if c.found == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.dir+" is not a data folder of tidegate") || !strings.Contains(err.Error(), c.found) || !strings.Contains(err.Error(), "--data") {
				t.Errorf("it says %v", err)
			}
		})
	}
}
