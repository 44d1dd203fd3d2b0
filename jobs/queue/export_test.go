package queue

import "time"

// SetNow sets the clock.
func (q *Queue) SetNow(now func() time.Time) { q.now = now }
