package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Root runs the server in each of the ways that there are, one after another on
// one folder, and the data stays. Anybody else runs it as themselves.
func TestEveryIdentityServesTheSameFolder(t *testing.T) {
	t.Parallel()
	candidates := []identity{ourselves()}
	if os.Geteuid() == 0 {
		candidates = insteadOfRoot()
		if len(candidates) < 2 {
			t.Fatalf("root has no choice here: %v", candidates)
		}
		candidates = append(candidates, candidates[0])
	}
	cfg := PostgresConfig{Dir: filepath.Join(roomyDir(t), "pg"), Ephemeral: true}
	for i, who := range candidates {
		cfg.identities = []identity{who}
		p := startIn(t, cfg)
		ask(t, p, "CREATE TABLE IF NOT EXISTS visits (n int); INSERT INTO visits VALUES (1)")
		if got, want := ask(t, p, "SELECT count(*) FROM visits"), fmt.Sprint(i+1); got != want {
			t.Errorf("as %s, the folder knows of %s visits, not %s", who.name, got, want)
		}
		owner, err := ownerOf(filepath.Join(p.site.data(), pidFileName)) // which the server has made
		if err != nil || owner != who.uid {
			t.Errorf("as %s, the server runs as user %d, not %d (%v)", who.name, owner, who.uid, err)
		}
		stop(t, p)
	}
}

func TestFolderOutOfReachIsExplained(t *testing.T) {
	t.Parallel()
	// For root: this user cannot come here. For another: it cannot become it.
	stranger := identity{name: "a stranger", uid: 54321, gid: 54321}
	dir := filepath.Join(t.TempDir(), "pg") // t.TempDir is this user's alone
	_, err := StartPostgres(t.Context(), PostgresConfig{Dir: dir, Ephemeral: true, identities: []identity{stranger}})
	if err == nil || !strings.Contains(err.Error(), "as a stranger: ") || !strings.Contains(err.Error(), "every user can reach") {
		t.Errorf("a folder that the server's user cannot reach: %v", err)
	}
}
