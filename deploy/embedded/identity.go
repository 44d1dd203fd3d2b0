package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// An identity is whom the server runs as.
type identity struct {
	name      string // for a person
	uid, gid  int    // whose its files are, as this machine counts
	namespace bool   // it sees itself as somebody else
}

// chooseIdentity takes the first that can run the program in the folder, which
// becomes its own. Candidates nil: ourselves, or what root can do instead.
func chooseIdentity(ctx context.Context, candidates []identity, installation Installation, dir string) (identity, error) {
	if candidates == nil && os.Geteuid() != 0 {
		return ourselves(), nil
	}
	if candidates == nil {
		candidates = insteadOfRoot()
	}
	var refusals []error
	for _, who := range candidates {
		err := who.try(ctx, installation, dir)
		if err == nil {
			return who, nil
		}
		refusals = append(refusals, fmt.Errorf("as %s: %w", who.name, err))
	}
	return identity{}, fmt.Errorf("PostgreSQL refuses to run as root, and nobody else can run it (run tidegate as an ordinary user, or use a folder that every user can reach): %w", errors.Join(refusals...))
}

func ourselves() identity {
	return identity{name: "this user", uid: os.Geteuid(), gid: os.Getegid()}
}

func insteadOfRoot() []identity {
	var candidates []identity
	if hasNamespaces {
		candidates = append(candidates, identity{name: "root in a user namespace", namespace: true})
	}
	for _, name := range []string{"postgres", "nobody"} {
		if who, ok := lookUp(name); ok {
			candidates = append(candidates, who)
		}
	}
	return candidates
}

func lookUp(name string) (identity, bool) {
	account, err := user.Lookup(name)
	if err != nil {
		return identity{}, false
	}
	uid, uidErr := strconv.Atoi(account.Uid)
	gid, gidErr := strconv.Atoi(account.Gid)
	return identity{name: "the user " + name, uid: uid, gid: gid}, uidErr == nil && gidErr == nil
}

// try runs a program of the installation that does nothing, in the folder.
func (who identity) try(ctx context.Context, installation Installation, dir string) error {
	if err := who.own(dir); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(installation.BinDir, "postgres"), "--version")
	cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, environment(), who.attributes(syscall.SIGKILL)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// own gives a file or a folder, but not what is in it, to the identity.
func (who identity) own(path string) error {
	owner, err := ownerOf(path)
	if err != nil || owner == who.uid {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s belongs to another user (%d): use a folder of your own", path, owner)
	}
	if err := os.Lchown(path, who.uid, who.gid); err != nil {
		return fmt.Errorf("giving %s to %s: %w", path, who.name, err)
	}
	return nil
}

// ownAll gives a database to the identity, if there is one and it is another's:
// root may have run it in another way before.
func (who identity) ownAll(data string) error {
	owner, err := ownerOf(data)
	if errors.Is(err, fs.ErrNotExist) || err == nil && owner == who.uid {
		return nil
	}
	return filepath.WalkDir(data, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("giving the database to %s: %w", who.name, err)
		}
		return who.own(path)
	})
}

// checkPrivate says why a folder could be another user's trap.
func (who identity) checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("looking at the socket's folder: %w", err)
	}
	owner, err := ownerOf(dir)
	if err != nil {
		return err
	}
	ours := owner == who.uid || owner == os.Geteuid()
	if !ours || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return fmt.Errorf("%s is there and is not a private folder of ours: remove it", dir)
	}
	return nil
}

func ownerOf(path string) (int, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, fmt.Errorf("looking whose folder it is: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("cannot tell whose folder %s is", path)
	}
	return int(stat.Uid), nil
}
