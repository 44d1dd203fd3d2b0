package embedded

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const pidFileName = "postmaster.pid"

// A pidFile is what a server says of itself in its data folder.
type pidFile struct {
	pid   int // zero: there is no such file
	ready bool
}

// readPidFile reads what is there. A file that is half written is one of a
// server that is not ready.
func readPidFile(data string) pidFile {
	text, err := os.ReadFile(filepath.Join(data, pidFileName))
	if err != nil {
		return pidFile{}
	}
	lines := strings.Split(string(text), "\n")
	pid, err := strconv.Atoi(lines[0])
	if err != nil {
		return pidFile{}
	}
	const status = 7 // the eighth line, as pg_ctl reads it
	return pidFile{pid, len(lines) > status && strings.TrimSpace(lines[status]) == "ready"}
}

// readyAs tells whether the server takes connections and is the given process,
// rather than one that was there before.
func (f pidFile) readyAs(pid int) bool { return f.ready && f.pid == pid }
