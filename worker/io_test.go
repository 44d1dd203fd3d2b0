package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// A try that says nothing is given up; only one that was given up makes the next
// one longer, and not one that was refused at once.
func TestPatientGivesUpOnSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := patient{log: zerolog.Nop(), stopping: t.Context()}
		var lasted []time.Duration
		err := p.until(t.Context(), "asking", false, func(ctx context.Context) error {
			began := time.Now()
			switch len(lasted) {
			case 7, 8:
				<-ctx.Done()
			case 9:
				return nil
			}
			lasted = append(lasted, time.Since(began))
			return errors.New("no answer")
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]time.Duration{tryMin, 2 * tryMin}, lasted[7:]); diff != "" {
			t.Errorf("silence was borne for (-want +got):\n%s", diff)
		}
	})
}
