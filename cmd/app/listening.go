package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// listenTimeout bounds the look whether a dev still listens on loopback.
const listenTimeout = time.Second

// listening is what a running dev writes into its data folder, so that the
// other commands need no flags beside it.
type listening struct {
	PID       int    `json:"pid"`
	Postgres  string `json:"postgres"`
	NATS      string `json:"nats"`
	HTTP      string `json:"http"`
	Simulator string `json:"simulator,omitempty"`
	Data      string `json:"data"`
}

func listeningPath(dir string) string { return filepath.Join(dir, devListening) }

func writeListening(dir string, l listening) error {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("writing down where dev listens: %w", err)
	}
	if err := os.WriteFile(listeningPath(dir), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing down where dev listens: %w", err)
	}
	return nil
}

// readListening reads what a dev wrote that still runs.
func readListening(dir string) (listening, error) {
	var l listening
	data, err := os.ReadFile(listeningPath(dir))
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(data, &l); err != nil {
		return l, fmt.Errorf("reading %s: %w", listeningPath(dir), err)
	}
	if err := syscall.Kill(l.PID, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return l, fmt.Errorf("the dev that used %s (pid %d) is gone", dir, l.PID)
	}
	// The pid may be another's by now, or a process that is dead and not yet gone.
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(l.HTTP, "http://"), listenTimeout)
	if err != nil {
		return l, fmt.Errorf("the dev that used %s (pid %d) is gone: %w", dir, l.PID, err)
	}
	return l, conn.Close()
}
