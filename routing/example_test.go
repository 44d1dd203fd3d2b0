package routing_test

import (
	"context"
	"errors"
	"fmt"

	"tidegate/jobs"
	"tidegate/routing"
)

// A flaky provider serves every target but those that are down.
type flaky struct{ down map[string]bool }

func (f flaky) Check(*jobs.Target, jobs.Endpoint, []byte) error { return nil }

func (f flaky) Complete(_ context.Context, target *jobs.Target, _ jobs.Endpoint, _ []byte) (*jobs.Answer, *jobs.Error) {
	if f.down[target.Name] {
		return nil, &jobs.Error{Class: jobs.Overload, Status: 503, Message: "try again later", Said: true}
	}
	return &jobs.Answer{Body: []byte(`{"choices":[]}`), Model: target.Model}, nil
}

// A request goes to the first target of its route that answers. When nobody
// does, the outcome is a value with a time and a reason; a caller who cannot
// wait gets the same as an error.
func Example() {
	provider := flaky{down: map[string]bool{"cheap": true}}
	router := routing.New(routing.Config{
		Routes: []jobs.Route{{Name: "summaries", Chain: []*jobs.Target{
			{Name: "cheap", Provider: "one"},
			{Name: "dear", Provider: "two"},
		}}},
		Provider: provider,
	})
	request := &jobs.Request{Route: "summaries", Body: []byte(`{"messages":[{"role":"user","content":"…"}]}`)}

	outcome := router.Route(context.Background(), request, nil)
	fmt.Println(outcome.Verdict, "by", outcome.Answer.Target)
	for _, attempt := range outcome.Trace.Attempts() {
		fmt.Println(" ", attempt.Target, attempt.Class)
	}

	provider.down["dear"] = true
	_, err := router.Complete(context.Background(), request)
	var failed *routing.AllTargetsFailed
	if errors.As(err, &failed) {
		fmt.Println(len(failed.Trace), "targets failed; the last one said:", failed.Last)
	}
	// Output:
	// answered by dear
	//   cheap OVERLOAD
	//   dear OK
	// 2 targets failed; the last one said: OVERLOAD: status 503: try again later
}
