package jobs

import "time"

// A Logged attempt is one as the ledger has it, and as files of it have it: with what is
// known of its request. One without a target tells of a request for which no call was
// made; its At is when that ended.
type Logged struct {
	Attempt
	RequestID string // empty: not known; NoRequest: it was a probe, made for none
	Route     string
	Asked
}

// An Asked is what is known of a request apart from what it says. Any of it may be
// missing: an older program did not write it down.
type Asked struct {
	Arrived   time.Time // when it was accepted; zero: not known
	Deadline  time.Time // zero: none
	MaxCost   MicroUSD  // zero: no limit
	BodyBytes int       // as it came in; zero: not known
	Priority  int       // zero: the default
	Awaited   bool      // its sender waited for the answer
	Tenant    string
	Goal      string // its own; empty: its route's
	Endpoint  Endpoint
	// Expected is what its answer took, or would have taken, whoever gave it, as a trace
	// says; zero: not known.
	Expected Usage
}

// Called tells whether a call was made.
func (l *Logged) Called() bool { return l.Target != "" }

// Asker tells whether it was for a request, and not a probe of its own.
func (l *Logged) Asker() bool { return l.RequestID != NoRequest }

// A LoggedDay is a day of the ledger, in UTC.
type LoggedDay struct {
	From  time.Time
	About int64 // so many attempts, as far as that is known without counting; zero: it is not
	// Mark is another one whenever anything was added or removed since.
	Mark string
}

// Until is where it ends, which is no part of it.
func (d LoggedDay) Until() time.Time { return d.From.AddDate(0, 0, 1) }
