package jobs

import "time"

// A KeyScope is what a key is good for.
type KeyScope string

// The scopes. Each stands for itself: one that may submit may not read, unless it
// has both.
const (
	ScopeSubmit KeyScope = "submit" // files, batches and jobs: make and cancel them
	ScopeRead   KeyScope = "read"   // lists, states, results, events
	ScopeAdmin  KeyScope = "admin"  // what is of the whole fleet: circuits, pauses, all tenants' status
)

// KeyScopes lists every scope.
func KeyScopes() []KeyScope { return []KeyScope{ScopeSubmit, ScopeRead, ScopeAdmin} }

// A Key lets a tenant in.
type Key struct {
	ID        string // that may be shown
	Tenant    string
	Name      string // what people call it
	Scopes    []KeyScope
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	RevokedAt time.Time // zero: it is good
	UsedAt    time.Time // about; zero: never
}
