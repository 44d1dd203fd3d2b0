package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tidegate/deploy/embedded"
)

// What dev puts into its folder, beside the lock of embedded.Claim.
const (
	devLog       = "tidegate.log"
	devListening = "listening.json"
	devPostgres  = "postgres"
	devNATS      = "nats"
)

// claim takes the data folder, so that of several that are started at once
// exactly one goes on. A folder that somebody else fills is left alone.
func (d *dev) claim() (err error) {
	if err := checkFolder(d.dir); err != nil {
		return err
	}
	d.release, err = embedded.Claim(d.dir)
	if !errors.Is(err, embedded.ErrInUse) {
		return err
	}
	if other, err := readListening(d.dir); err == nil {
		return fmt.Errorf("a dev runs on %s already (pid %d, %s): use that one, stop it, or choose another folder with --data", d.dir, other.PID, other.HTTP)
	}
	return fmt.Errorf("another dev just starts or stops: %w with --data", err)
}

// checkFolder refuses a folder that holds things and was never dev's: a person
// who names the folder of a project does not want a database in it. One that was
// dev's once may hold other things, too.
func checkFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || len(entries) == 0 && err == nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking into the data folder: %w; name another with --data", err)
	}
	if embedded.WasClaimed(dir) {
		return nil
	}
	for _, entry := range entries {
		if !isDevs(dir, entry.Name()) {
			return fmt.Errorf("%s is not a data folder of tidegate, and not empty (%s is in it): name an empty or a new folder with --data", dir, entry.Name())
		}
	}
	return nil
}

// isDevs tells whether dev put this into its folder, if only its lock was taken
// away, or whether a file system or a desktop puts it into any folder.
func isDevs(dir, name string) bool {
	switch name {
	case devLog, devListening, "lost+found", ".DS_Store":
		return true
	case devPostgres, devNATS:
		return embedded.WasClaimed(filepath.Join(dir, name))
	default:
		return strings.HasPrefix(name, doctorProbe)
	}
}
