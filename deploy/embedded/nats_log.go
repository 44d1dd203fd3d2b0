package embedded

import (
	"fmt"
	"sync"
)

// A natsLog passes on what the NATS server says from warnings upwards, and
// keeps what it dies of: it has no other way to tell.
type natsLog struct {
	tell func(line string)

	mu   sync.Mutex // guards died
	died error
}

// fatal is what the server died of, nil if it did not.
func (l *natsLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.died
}

// Fatalf is called where the server on its own would exit.
func (l *natsLog) Fatalf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.died == nil {
		l.died = fmt.Errorf(format, args...)
	}
}

// Errorf passes an error on.
func (l *natsLog) Errorf(format string, args ...any) { l.tell(fmt.Sprintf(format, args...)) }

// Warnf passes a warning on.
func (l *natsLog) Warnf(format string, args ...any) { l.tell(fmt.Sprintf(format, args...)) }

// Noticef drops what is only news.
func (l *natsLog) Noticef(string, ...any) {}

// Debugf drops what is for the server's own authors.
func (l *natsLog) Debugf(string, ...any) {}

// Tracef drops what is for the server's own authors.
func (l *natsLog) Tracef(string, ...any) {}
