package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// leastBytes is how long a body is that says hardly anything.
const leastBytes = 200

// A call sends requests and returns when they are acknowledged; n is another number each
// time.
type call func(ctx context.Context, n int64) error

// A speed is what came of sending by one door.
type speed struct {
	calls    int64
	took     time.Duration
	p50, p99 time.Duration // of a call
}

// rate is requests a second, of calls that had so many each.
func (s speed) rate(each int) float64 { return float64(s.calls) * float64(each) / s.took.Seconds() }

// send has senders call for some time, and ends with their first error. What was begun
// is waited for.
func (p plan) send(ctx context.Context, do call) (speed, error) {
	var number atomic.Int64
	var all sync.WaitGroup
	latencies, errs := make([][]time.Duration, p.senders), make([]error, p.senders)
	began := time.Now()
	until := began.Add(time.Duration(p.seconds) * time.Second)
	for sender := range p.senders {
		all.Go(func() {
			for errs[sender] == nil && time.Now().Before(until) {
				at := time.Now()
				errs[sender] = do(ctx, number.Add(1))
				latencies[sender] = append(latencies[sender], time.Since(at))
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	for _, err := range errs {
		if err != nil {
			return speed{}, err
		}
	}
	every := slices.Concat(latencies...)
	slices.Sort(every)
	return speed{int64(len(every)), took, quantile(every, 0.5), quantile(every, 0.99)}, nil
}

// quantile is that of sorted values; of none it is zero.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// body is a chat of so many bytes, as no other number has it.
func (p plan) body(n int64) string {
	head := fmt.Sprintf(`{"model":"sim","max_tokens":50,"messages":[{"role":"user","content":"Summarise %d: `, n)
	const tail, sentence = `"}]}`, "The tide rose over the wall. "
	room := p.bytes - len(head) - len(tail)
	return head + strings.Repeat(sentence, room/len(sentence)+1)[:room] + tail
}

// client keeps a connection for each sender.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: mostSenders}}

// post sends a body, and reads the answer, which must have a status.
func post(ctx context.Context, url, body string, want int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != want {
		return fmt.Errorf("POST %s: %s: %.300s", url, response.Status, text)
	}
	return nil
}
