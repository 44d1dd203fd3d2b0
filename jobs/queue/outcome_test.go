package queue_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/integration/fixture"
	"tidegate/jobs"
	"tidegate/jobs/queue"
)

var errCut = errors.New("the line is cut")

// A cut is how a connection is lost.
type cut struct {
	before  bool // before the server reads the COMMIT; else its answer is lost
	forGood bool // nobody connects afterwards
}

// A cutter cuts the connection on which a COMMIT is sent.
type cutter struct {
	cut
	done atomic.Bool
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if c.forGood && c.done.Load() {
		return nil, errCut
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	return &cutLine{Conn: conn, cutter: c}, err
}

type cutLine struct {
	net.Conn
	*cutter
	committing atomic.Bool
}

func (l *cutLine) Write(p []byte) (int, error) {
	if !bytes.Contains(p, []byte("commit\x00")) {
		return l.Conn.Write(p)
	}
	l.done.Store(true)
	if l.before {
		return 0, errors.Join(errCut, l.Close())
	}
	l.committing.Store(true)
	return l.Conn.Write(p)
}

func (l *cutLine) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p) // of a COMMIT's answer: it has happened
	if l.committing.Load() {
		return 0, errors.Join(errCut, err, l.Close())
	}
	return n, err
}

// Whoever is told that nothing was enqueued enqueues it again: where the answer
// to a COMMIT is lost, the database says what became of it, or nobody knows.
func TestLostAnswerToCommit(t *testing.T) {
	t.Parallel()
	ways := map[string]func(context.Context, *queue.Queue) (string, error){
		"one": func(ctx context.Context, q *queue.Queue) (string, error) {
			request, err := q.Enqueue(ctx, some(1)[0])
			return request.ID, err
		},
		"a batch": func(ctx context.Context, q *queue.Queue) (string, error) {
			batch, err := q.EnqueueMany(ctx, some(1))
			return batch.ID, err
		},
		"one, once": func(ctx context.Context, q *queue.Queue) (string, error) {
			return q.EnqueueOnce(ctx, some(1)[0], onceBy("k"))
		},
		"a batch, once": func(ctx context.Context, q *queue.Queue) (string, error) {
			return q.EnqueueManyOnce(ctx, jobs.DefaultTenant, some(1), jobs.BudgetLimits{}, onceBy("k"))
		},
	}
	for name, c := range map[string]struct {
		cut    cut
		known  bool
		stored int
	}{
		"committed":               {cut{}, true, 1},
		"not committed":           {cut{before: true}, true, 0},
		"committed, nobody knows": {cut{forGood: true}, false, 1},
		"not, and nobody knows":   {cut{forGood: true, before: true}, false, 0},
	} {
		for way, enqueue := range ways {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				url := fixture.Database(t)
				w := newWorldAt(t, url)
				id, err := enqueue(t.Context(), cutQueue(t, url, &cutter{cut: c.cut}))
				var unknown *queue.UnknownError
				switch {
				case !c.known && (!errors.As(err, &unknown) || unknown.ID != id || id == ""):
					t.Errorf("of %q it says %v", id, err)
				case c.known && (err == nil) != (c.stored == 1), c.known && errors.As(err, &unknown):
					t.Errorf("it says %v", err)
				}
				if n := w.number("SELECT count(*) FROM tidegate.requests WHERE $1 IN (id::text, batch_id)", id); n != c.stored {
					t.Errorf("%d are stored under %s", n, id)
				}
			})
		}
	}
}

func cutQueue(t *testing.T, url string, c *cutter) *queue.Queue {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.DialFunc = c.dial
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	q, err := queue.New(pool)
	if err != nil {
		t.Fatal(err)
	}
	if c.forGood {
		q.SetLook(50 * time.Millisecond)
	}
	return q
}

// A stream that has nothing to say yet holds no connection.
func TestStreamBeginsWithItsFirstRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batch, err := w.Stream(t.Context(), func(yield func(jobs.Request, error) bool) {
		for i, r := range some(1500) {
			if n := w.pool.Stat().AcquiredConns(); i < 1000 && n != 0 {
				t.Errorf("at request %d it holds %d connections", i, n)
			}
			if !yield(r, nil) {
				return
			}
		}
	})
	if err != nil || batch.Total != 1500 {
		t.Errorf("%+v, %v", batch, err)
	}
	w.stands("in the end", 1500, 1)
}
