package riverpage

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// holds is for how many times as long as it took an answer is good, up to holdsMost:
	// with a million jobs waiting some take a second, and each who looks asks every two.
	holds, holdsMost = 200, 5 * time.Minute
	// answersMost is how many are kept, and askedMost how long one may take.
	answersMost, askedMost = 200, 30 * time.Second
)

// answers are what the page said lately, by what it was asked. All who look are told the
// same, and who asks while it is found out waits for that. Safe for concurrent use.
type answers struct {
	mu sync.Mutex
	of map[string]*answer
}

type answer struct {
	turn   chan struct{} // who has it may touch the rest
	made   time.Time     // zero: not yet
	until  time.Time
	status int
	header http.Header
	body   bytes.Buffer
}

// serve answers r, by page unless that was done a moment ago.
func (a *answers) serve(w http.ResponseWriter, r *http.Request, page http.Handler) {
	found := a.find(r.URL.RequestURI())
	select {
	case found.turn <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	defer func() { <-found.turn }()
	if now := time.Now(); !now.Before(found.until) {
		found.ask(r, page)
	} else if age := int(now.Sub(found.made).Seconds()); age > 0 {
		w.Header().Set("Age", strconv.Itoa(age))
	}
	maps.Copy(w.Header(), found.header)
	w.WriteHeader(found.status)
	_, _ = w.Write(found.body.Bytes()) // who asked may be gone
}

func (a *answers) find(asked string) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of[asked] == nil {
		if a.of == nil || len(a.of) >= answersMost {
			a.of = map[string]*answer{}
		}
		a.of[asked] = &answer{turn: make(chan struct{}, 1)}
	}
	return a.of[asked]
}

// forget has all be found out anew: something was changed.
func (a *answers) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of = nil
}

// ask has the page answer, also where the one who asked does not wait for it: another one
// will ask the same.
func (a *answer) ask(r *http.Request, page http.Handler) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), askedMost)
	defer cancel()
	began := time.Now()
	a.header, a.status = http.Header{}, http.StatusOK
	a.body.Reset()
	page.ServeHTTP(a, r.WithContext(ctx))
	a.made = time.Now()
	a.until = a.made.Add(min(holds*a.made.Sub(began), holdsMost))
}

// Header, Write and WriteHeader take what the page answers.
func (a *answer) Header() http.Header            { return a.header }
func (a *answer) Write(part []byte) (int, error) { return a.body.Write(part) }
func (a *answer) WriteHeader(status int)         { a.status = status }
