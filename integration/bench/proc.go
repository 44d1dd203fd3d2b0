package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// tick is the unit of processor times in /proc: a hundredth of a second on
// every Linux.
const tick = 10 * time.Millisecond

// CPUOfTree is the processor time of a process and its children, those that
// have ended too.
func CPUOfTree(pid int) time.Duration {
	var sum time.Duration
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		fields := statFields(path)
		if len(fields) < 16 {
			continue
		}
		own, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(fields[1])
		switch {
		case own == pid:
			sum += ticks(fields[11:15]) // its own, and of children that have ended
		case parent == pid:
			sum += ticks(fields[11:13])
		}
	}
	return sum
}

// statFields are the fields of a stat file behind the name in parentheses, so
// that the first is the state.
func statFields(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return strings.Fields(rest)
}

func ticks(fields []string) time.Duration {
	var sum time.Duration
	for _, field := range fields {
		n, _ := strconv.Atoi(field)
		sum += time.Duration(n) * tick
	}
	return sum
}

// PeakMB is the most memory that a process had at once.
func PeakMB(pid int) float64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kb, _ := strconv.ParseFloat(fields[1], 64)
			return kb / 1024
		}
	}
	return 0
}

// WALPosition is how much WAL was written since the server was made, in bytes.
func WALPosition(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	var at int64
	err := pool.QueryRow(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").Scan(&at)
	return at, err
}

// PostmasterPID is the process of the server whose data are in a folder; zero: it
// does not run.
func PostmasterPID(data string) int {
	text, _ := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	pid, _ := strconv.Atoi(strings.SplitN(string(text), "\n", 2)[0])
	return pid
}
