package worker_test

import (
	"testing"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"tidegate/jobs"
	"tidegate/worker"
)

// What River did not hear of it writes again. By then a job may be another
// worker's, or this one's anew: nothing is written of these, and of the others it
// is.
func TestRepeatedWriteTouchesNoOthersJob(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.Name = "one"
	if _, err := s.store.Beat(t.Context(), jobs.Beat{Worker: "one"}); err != nil {
		t.Fatal(err)
	}
	s.enqueue(4)
	s.exec("UPDATE tidegate.river_job SET state = 'running', attempt = 1, attempted_by = '{one}'")
	s.exec("UPDATE tidegate.river_job SET attempted_by = '{one,two}' WHERE id = 2") // which has taken it since
	s.exec("UPDATE tidegate.river_job SET state = 'available' WHERE id = 4")        // nobody has

	again := &riverdriver.JobSetStateIfRunningManyParams{Schema: "tidegate"}
	for id := range int64(4) {
		none := 0
		again.ID, again.State, again.Attempt = append(again.ID, id+1), append(again.State, rivertype.JobStateAvailable), append(again.Attempt, &none)
		again.ErrData, again.FinalizedAt, again.ScheduledAt = append(again.ErrData, nil), append(again.FinalizedAt, nil), append(again.ScheduledAt, nil)
		again.MetadataDoMerge, again.MetadataUpdates = append(again.MetadataDoMerge, true), append(again.MetadataUpdates, []byte(`{"snoozes":1}`))
	}
	if err := worker.Write(t.Context(), s.config, again.ID, []int64{3}, again); err != nil {
		t.Fatal(err)
	}
	const touched = "SELECT count(*) FROM tidegate.river_job WHERE metadata ? 'snoozes' AND id = $1"
	for id, want := range []int{1, 0, 0, 0} {
		if n := s.number(touched, id+1); n != want {
			t.Errorf("job %d was written %d times", id+1, n)
		}
	}
	if s.jobs("running", 1) != 2 || s.jobs("available", 0) != 1 {
		t.Errorf("%d run, %d wait", s.jobs("running", 1), s.jobs("available", 0))
	}
}

// What a River client left that is no more goes back to its queue, also what it
// still worked when the next one began, and nothing else does.
func TestRecoverGivesBackWhatRiverLeft(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.Name, s.config.Fleet = "one", fleetOf(s.store)
	s.enqueue(4)
	s.exec("UPDATE tidegate.river_job SET state = 'running', attempt = 1, attempted_by = '{one}'")
	s.exec("UPDATE tidegate.river_job SET attempted_by = '{one,two}' WHERE id = 2")
	s.exec("UPDATE tidegate.river_job SET state = 'completed', finalized_at = now() WHERE id = 3")
	worker.Recover(t.Context(), s.config, []int64{1, 2, 3}, []int64{4})
	if s.jobs("available", 0) != 2 || s.jobs("running", 1) != 1 || s.jobs("completed", 1) != 1 {
		t.Errorf("%d wait, %d run, %d are completed", s.jobs("available", 0), s.jobs("running", 1), s.jobs("completed", 1))
	}
}
