package metrics

import "sync"

const (
	// mostNames is how many values a label may have that come from outside of the code.
	mostNames = 1000
	// other stands for those beyond.
	other = "other"
	// none is a name that there is not, as the target of a request that was never called.
	none = "none"
)

// names keeps a label bounded. Safe for concurrent use.
type names struct {
	mu    sync.Mutex
	known map[string]bool
}

// of is the value of the label for a name.
func (n *names) of(name string) string {
	if name == "" {
		return none
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = map[string]bool{}
	}
	if n.known[name] {
		return name
	}
	if len(n.known) >= mostNames {
		return other
	}
	n.known[name] = true
	return name
}
