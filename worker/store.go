package worker

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate/jobs"
)

// A Store is what a worker needs of the database to see requests through. All of
// these interfaces are safe for concurrent use.
type Store interface {
	// Load reads requests, in any order; those that are not there are left out.
	Load(ctx context.Context, ids []string) ([]jobs.Loaded, error)
	// Histories reads the calls that were made for requests, oldest first, by
	// request; those without any are left out.
	Histories(ctx context.Context, ids []string) (map[string]jobs.Trace, error)
	// Begin writes down calls that are about to be sent, and lists those of their
	// requests that have their result: no call may be sent for these, and none at
	// all after an error.
	Begin(ctx context.Context, worker string, calls []jobs.Begun) (ended []string, err error)
	// Commit writes entries. Those that it refuses for what is in them come back
	// as refused; after an error the whole group may be committed again.
	Commit(ctx context.Context, entries []jobs.Entry) (done jobs.Committed, refused []*jobs.EntryError, err error)
}

// A Fleet is what a worker needs of the database to be one of many.
type Fleet struct {
	Peers  Peers
	Probes Probes
	Claims Claims
	Lead   Lead
	Care   Care
	Books  Books
	// Ledger and Budgets may be nil where there are no budgets.
	Ledger  Ledger
	Budgets Budgets
	// Admission is for routes with fair admission; nil: there are none.
	Admission Admission
	// Parking is what becomes of jobs that are parked; nil: what River makes of them.
	Parking Parking
	// Survey is of what forecasts are made of; nil: there are none.
	Survey Survey
	// Removal is of what was kept long enough; nil: everything is kept.
	Removal Removal
	// History is how everything stood; nil: nobody writes it down.
	History History
	// Queues are River's rows of queues; nil: they are left to River.
	Queues Queues
}

// Queues are rows by which River, and whoever asks, knows which queues are worked.
type Queues interface {
	// KeepQueues makes rows of those queues that have none: somebody has removed them.
	KeepQueues(ctx context.Context, queues []string) error
}

// Peers is how workers tell each other of themselves.
type Peers interface {
	// Beat tells the fleet that a worker lives. It returns true if the worker was
	// declared dead.
	Beat(ctx context.Context, beat jobs.Beat) (dead bool, err error)
	// Fleet reads all that workers know of each other.
	Fleet(ctx context.Context) (jobs.Fleet, error)
	// ShareCircuits tells the fleet where circuits stand, as a worker sees them.
	ShareCircuits(ctx context.Context, worker string, circuits []jobs.Circuit) error
	// Leave is the orderly end of a worker that has no job left.
	Leave(ctx context.Context, worker string) error
}

// Probes gives one worker at a time the right to probe.
type Probes interface {
	// TakeProbe gives a worker the one probe of a circuit in the fleet.
	TakeProbe(ctx context.Context, worker, target string, generation uint64) (bool, error)
	// FreeProbe gives back a probe that told nothing.
	FreeProbe(ctx context.Context, worker, target string) error
}

// Claims is which of River's jobs a worker has, as the database says.
type Claims interface {
	// Fence makes sure that a worker was not declared dead, and is not before the
	// transaction ends: until then its jobs are no other's.
	Fence(ctx context.Context, tx pgx.Tx, worker string) error
	// Held lists those of some jobs that a worker has, in a transaction with its
	// Fence.
	Held(ctx context.Context, tx pgx.Tx, worker string, ids []int64) ([]int64, error)
	// Claimed lists the jobs that a worker has had for longer than that.
	Claimed(ctx context.Context, worker string, longer time.Duration) ([]int64, error)
	// Unclaim gives jobs of a worker back to their queues, and returns how many.
	Unclaim(ctx context.Context, worker string, ids []int64) (int, error)
}

// A Ledger is where money is reserved.
type Ledger interface {
	// Reserve is a Store's Begin for calls that are under budgets. No call may be
	// sent for those for which there is not enough money: they are short.
	Reserve(ctx context.Context, worker string, calls []jobs.Begun) (ended []string, short []jobs.Shortage, err error)
}

// Budgets is what a supervisor does for those who wait for money.
type Budgets interface {
	// BeginDay has what waited for the end of a day tried again that is over.
	BeginDay(ctx context.Context, held jobs.Lead) (int, error)
	// GiveBack gives back jobs that wait for a budget, and returns how many; zero:
	// there are no more, and with last the budget is served, as it was read.
	GiveBack(ctx context.Context, held jobs.Lead, budget *jobs.Budget, last bool) (int, error)
	// PauseForBudget and ResumeForBudget are Care's Pause and Resume for a route
	// whose budget is spent.
	PauseForBudget(ctx context.Context, held jobs.Lead, route, reason string, change func(context.Context, pgx.Tx) error) (changed bool, err error)
	ResumeForBudget(ctx context.Context, held jobs.Lead, route string, change func(context.Context, pgx.Tx) error) (changed bool, err error)
}

// Lead makes one worker the supervisor, and gives it the jobs of the dead.
type Lead interface {
	// Lead takes the lead of the fleet, or renews it, for the given time. It
	// returns false while another one leads.
	Lead(ctx context.Context, worker string, lasts time.Duration) (jobs.Lead, bool, error)
	// Resign gives the lead back.
	Resign(ctx context.Context, held jobs.Lead) error
	// Rescue declares a worker dead and gives its jobs to others.
	Rescue(ctx context.Context, held jobs.Lead, worker string, limits jobs.RescueLimits) (jobs.Rescue, error)
	// Orphans lists workers whose jobs are running and whom the fleet does not
	// know.
	Orphans(ctx context.Context) ([]string, error)
}

// Care is what a supervisor does for the routes.
type Care interface {
	// Pause pauses a route for its circuits; change is River's part of it.
	Pause(ctx context.Context, held jobs.Lead, route, reason string, change func(context.Context, pgx.Tx) error) (changed bool, err error)
	// Explain says why such a pause goes on, when that has changed.
	Explain(ctx context.Context, held jobs.Lead, route, reason string) error
	// Resume ends such a pause; change is River's part of it, if nobody else
	// pauses the route.
	Resume(ctx context.Context, held jobs.Lead, route string, change func(context.Context, pgx.Tx) error) (changed bool, err error)
	// Expire ends requests whose deadline passed, as far as one sweep comes by them.
	Expire(ctx context.Context, held jobs.Lead, sweep jobs.Sweep) (jobs.Swept, error)
}

// Admission is how requests that wait for their turn get to workers.
type Admission interface {
	// Backlogs lists the routes on which requests wait, and counts these up to most.
	Backlogs(ctx context.Context, most int) ([]jobs.Backlog, error)
	// Admit makes requests of a route available: those that are chosen. It returns
	// how many, and the tenant to go on behind, if there are others.
	Admit(ctx context.Context, held jobs.Lead, in jobs.Intake, choose func(jobs.Heads) jobs.Admitted) (n int, last string, err error)
	// AdmitAll makes some of all that waits on a route available, and returns how
	// many.
	AdmitAll(ctx context.Context, held jobs.Lead, route string, atMost int) (n int, err error)
}

// Parking is how jobs wait that are given back until a time.
type Parking interface {
	// Park has them wait for it as those do that wait for their turn, where their route
	// has fair admission. Those whose requests have ended wait for nothing: they end.
	Park(ctx context.Context, tx pgx.Tx, parked []jobs.Parked) error
	// EndParked ends those jobs whose requests ended while they were being parked.
	EndParked(ctx context.Context, ids []int64) error
}

// Books is what a supervisor writes down and forgets.
type Books interface {
	// SavePace keeps the rate that a target is known to take.
	SavePace(ctx context.Context, held jobs.Lead, target string, rate float64) error
	// Unpark gives back jobs that wait for a time on the routes of a target, so many
	// at most, and returns how many; zero: there are no more.
	Unpark(ctx context.Context, held jobs.Lead, target string, atMost int) (int, error)
	// Forget drops what is known of those who died long ago.
	Forget(ctx context.Context, held jobs.Lead) error
}

// Survey is what a supervisor sees of the routes, and what it has seen.
type Survey interface {
	// Looks says of each route whether there is work.
	Looks(ctx context.Context) ([]jobs.RouteLook, error)
	// CountQueues counts what waits on routes, into their progress.
	CountQueues(ctx context.Context, all []jobs.Progress) error
	// Progress reads what was seen of all routes.
	Progress(ctx context.Context) ([]jobs.Progress, error)
	// SaveProgress writes that down.
	SaveProgress(ctx context.Context, held jobs.Lead, all []jobs.Progress) error
}

// History is what a supervisor writes down of how everything stands, for people who look.
type History interface {
	// TakeSample writes a sample.
	TakeSample(ctx context.Context, held jobs.Lead) error
	// ThinSamples adds up old samples, and drops very old ones.
	ThinSamples(ctx context.Context, held jobs.Lead) error
}

// Removal is how a supervisor removes what has ended and was kept long enough, step by
// step.
type Removal interface {
	// RemoveBatches removes batches, with their requests and results.
	RemoveBatches(ctx context.Context, held jobs.Lead, step jobs.RemovalStep) (jobs.Removed, error)
	// RemoveSingles removes requests that are in no batch, with their results.
	RemoveSingles(ctx context.Context, held jobs.Lead, step jobs.RemovalStep) (jobs.Removed, error)
	// RemoveAttempts removes days of attempts.
	RemoveAttempts(ctx context.Context, held jobs.Lead, step jobs.RemovalStep) (jobs.Removed, error)
	// SaveKept writes down how far it is. whole is how long a sweep took that has seen
	// to everything; nil: it has not.
	SaveKept(ctx context.Context, held jobs.Lead, kept jobs.Kept, whole *time.Duration) error
}
