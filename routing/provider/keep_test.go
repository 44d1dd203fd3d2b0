package provider

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// However often keys are changed, what is kept does not grow.
func TestKeepForgetsOldKeys(t *testing.T) {
	t.Parallel()
	url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
	client := newClient(t, Config{})
	stays := at(url)
	if _, failed := complete(t, client, stays); failed != nil {
		t.Fatal(failed)
	}
	for i := range 20 {
		target := at(url)
		target.Key = jobs.Secret(fmt.Sprintf("sk-number-%d", i))
		target.Timeouts.Connect += time.Duration(i) * time.Second
		client.Keep([]*jobs.Target{stays, target})
		if _, failed := complete(t, client, target); failed != nil {
			t.Fatal(failed)
		}
		if len(client.endpoints) != 2 || len(client.transports) != 1+min(i, 1) {
			t.Fatalf("after %d changes %d endpoints and %d transports are kept", i, len(client.endpoints), len(client.transports))
		}
	}
	client.Keep([]*jobs.Target{stays})
	gone := at(url)
	gone.Key, gone.Timeouts.Connect = "sk-number-19", time.Second
	if _, failed := complete(t, client, gone); failed != nil {
		t.Errorf("a call of a target that was forgotten fails: %v", failed)
	}
	if len(client.endpoints) != 1 || len(client.transports) != 1 {
		t.Errorf("%d endpoints and %d transports are kept, want those of the one target", len(client.endpoints), len(client.transports))
	}
}

// A call in flight when its key is forgotten ends as it would have, and its key
// stays hidden.
func TestKeepLeavesCallsInFlight(t *testing.T) {
	t.Parallel()
	const key = "plain-words-as-a-key"
	arrived, refuse := make(chan struct{}), make(chan struct{})
	url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-refuse
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":{"message":"who is %s?","code":"invalid_api_key"}}`, key)
	})
	client := newClient(t, Config{})
	target := at(url)
	target.Key = key
	failed := make(chan *jobs.Error, 1)
	go func() {
		_, err := client.Complete(context.WithoutCancel(t.Context()), target, jobs.EndpointChat, []byte(prompt))
		failed <- err
	}()
	<-arrived
	client.Keep(nil)
	close(refuse)
	got := <-failed
	if got == nil || got.Class != jobs.Auth || strings.Contains(got.Error(), key) || !strings.Contains(got.Message, redacted) {
		t.Errorf("it ended with %v", got)
	}
	if len(client.endpoints)+len(client.transports) != 0 {
		t.Error("something is kept of no target at all")
	}
}
