package routing

import (
	"context"
	"errors"
	"testing"
	"time"

	"tidegate/jobs"
)

func TestComplete(t *testing.T) {
	t.Parallel()
	t.Run("answered", func(t *testing.T) {
		t.Parallel()
		s := chain(t, "a")
		answer, err := s.router.Complete(context.Background(), s.request)
		if err != nil || answer.Target != "a" {
			t.Errorf("got %+v, %v", answer, err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		s := chain(t, "a").fails("a", jobs.Content, 1)
		_, err := s.router.Complete(context.Background(), s.request)
		var why *jobs.Error
		if !errors.As(err, &why) || why.Class != jobs.Content {
			t.Errorf("got %v", err)
		}
		if failed := (*AllTargetsFailed)(nil); errors.As(err, &failed) {
			t.Error("a refusal is no outage")
		}
	})
	t.Run("all targets failed", func(t *testing.T) {
		t.Parallel()
		s := chain(t, "a", "b").down("a").down("b").routes(4)
		_, err := s.router.Complete(context.Background(), s.request)
		var failed *AllTargetsFailed
		if !errors.As(err, &failed) {
			t.Fatalf("got %v", err)
		}
		if len(failed.Trace) != 2 || failed.Last.Class != jobs.Overload || failed.Until.Sub(s.clock.now()) != time.Second || failed.Reason == "" {
			t.Errorf("got %+v", failed)
		}
		var last *jobs.Error
		if !errors.As(err, &last) || last != failed.Last {
			t.Errorf("the last error is not in %v", err)
		}
	})
	t.Run("no target could be asked", func(t *testing.T) {
		t.Parallel()
		s := chain(t, "a").down("a").routes(5)
		_, err := s.router.Complete(context.Background(), s.request)
		var failed *AllTargetsFailed
		if !errors.As(err, &failed) || failed.Last != nil || len(failed.Trace) != 1 {
			t.Fatalf("got %#v", err)
		}
		if last := (*jobs.Error)(nil); errors.As(err, &last) {
			t.Errorf("no call was made, and yet there is %v", last)
		}
	})
}
