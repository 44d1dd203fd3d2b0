package queue

import "time"

// SetNow sets the clock.
func (q *Queue) SetNow(now func() time.Time) { q.now = now }

// SetLook sets for how long a lost COMMIT is looked for.
func (q *Queue) SetLook(look time.Duration) { q.look = look }
