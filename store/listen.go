package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	relistenMin = 100 * time.Millisecond // until the first new connection, doubling …
	relistenMax = 5 * time.Second        // … up to this
	// gatherFor is how long a word waits for more of them: many changes at once
	// are one call.
	gatherFor = 10 * time.Millisecond
)

const listenFleet = `/* tidegate: listen */ LISTEN tidegate_fleet; LISTEN tidegate_waiting`

// A Word is what a listener was told of.
type Word struct {
	Fleet   bool // circuits, pauses or drills changed
	Waiting bool // something waits on a route with fair admission where nothing did
}

// Listen calls wake soon after circuits, pauses or drills changed, or something
// waits on a route with fair admission where nothing did, and once after each connection that it makes, since nobody knows what was missed before it. It
// holds a connection of its own, and makes a new one when that is lost, after 0.1
// to 5 seconds; lost is told why each time. It returns when ctx ends.
//
// The word only wakes: who must not miss a change reads the tables from time to
// time, too. wake is called from here, at most a hundred times a second, and must
// not block for long.
func (s *Store) Listen(ctx context.Context, wake func(Word), lost func(error)) {
	wait := relistenMin
	for {
		began := time.Now()
		err := s.listen(ctx, wake)
		if ctx.Err() != nil {
			return
		}
		lost(fmt.Errorf("listening to the fleet: %w", err))
		if time.Since(began) > relistenMax { // it was a good one
			wait = relistenMin
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		wait = min(2*wait, relistenMax)
	}
}

// listen listens on one connection for as long as it lasts.
func (s *Store) listen(ctx context.Context, wake func(Word)) error {
	conn, err := connectToListen(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to be lost
	for word := (Word{true, true}); ; {
		wake(word)
		said, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		word = Word{}
		word.add(said)
		gather(ctx, conn, &word)
	}
}

func connectToListen(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, listenFleet); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}

// gather takes what is said in the next moment. A connection that breaks
// meanwhile tells the next who waits on it.
func gather(ctx context.Context, conn *pgx.Conn, word *Word) {
	ctx, cancel := context.WithTimeout(ctx, gatherFor)
	defer cancel()
	for {
		said, err := conn.WaitForNotification(ctx)
		if err != nil {
			return
		}
		word.add(said)
	}
}

func (w *Word) add(said *pgconn.Notification) {
	w.Fleet = w.Fleet || said.Channel == "tidegate_fleet"
	w.Waiting = w.Waiting || said.Channel == "tidegate_waiting"
}
