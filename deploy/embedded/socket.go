package embedded

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Who connects, to which database, and the port, which on a Unix socket is no
// more than part of the file's name.
const (
	role     = "tidegate"
	database = "postgres"
	port     = "5432"
)

// maxSocketPath is how long the path of a socket may be, bytes. The kernel's
// limit is 107 on Linux and 103 on macOS.
const maxSocketPath = 100

// socketFits tells whether clients can name a socket in the folder: to them, a
// comma separates two servers.
func socketFits(dir string) bool {
	return len(dir)+len("/.s.PGSQL."+port) <= maxSocketPath && !strings.Contains(dir, ",")
}

// socketDir is where the socket goes: the data folder itself, or if its path
// does not do, one for temporary files, named after it.
func socketDir(dir string) string {
	if socketFits(dir) {
		return dir
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(dir)) // a hash takes anything
	name := fmt.Sprintf("tidegate-%d-%x", os.Geteuid(), hash.Sum64())
	if short := filepath.Join(os.TempDir(), name); socketFits(short) {
		return short
	}
	return filepath.Join("/tmp", name)
}

// enterSocket makes the folder of the socket if it is not the data folder. One
// that is there must be private and ours: anybody may write to /tmp.
func (s *site) enterSocket() error {
	if s.socket == s.folder.path {
		return nil
	}
	err := os.Mkdir(s.socket, 0o700)
	if errors.Is(err, fs.ErrExist) {
		err = s.who.checkPrivate(s.socket)
	}
	if err != nil {
		return fmt.Errorf("making a folder for the socket (the path of the data folder is too long for one or has a comma; another would do): %w", err)
	}
	return s.who.own(s.socket)
}

// leaveSocket removes what enterSocket made.
func (s *site) leaveSocket() {
	if s.socket != s.folder.path {
		_ = os.RemoveAll(s.socket) // another start takes what is left
	}
}

// url names the socket's folder in a way that pgx and libpq both read, whatever
// the environment says of ports.
func (s *site) url() string {
	host := strings.ReplaceAll(url.QueryEscape(s.socket), "+", "%20") // libpq knows no plus
	host = strings.ReplaceAll(host, "%2F", "/")
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=%s", role, database, host, port)
}
