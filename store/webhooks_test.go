package store_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tidegate/jobs"
	"tidegate/store"
)

// hook makes a webhook of a tenant.
func (w *world) hook(tenant string, events ...jobs.WebhookEvent) jobs.Webhook {
	w.t.Helper()
	if len(events) == 0 {
		events = jobs.WebhookEvents()
	}
	hook, secret, err := w.CreateWebhook(w.t.Context(), jobs.Webhook{Tenant: tenant, URL: "https://example.com/", Events: events}, store.Once{})
	if err != nil || !strings.HasPrefix(secret.Reveal(), "whsec_") {
		w.t.Fatalf("%v, %d letters", err, len(secret))
	}
	return hook
}

// told lists the jobs that tell webhooks.
func (w *world) told() []jobs.WebhookArgs {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), "SELECT args FROM tidegate.river_job WHERE queue = $1 AND kind = $2 ORDER BY id", jobs.WebhookQueue, jobs.WebhookKind)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	var all []jobs.WebhookArgs
	for rows.Next() {
		var text []byte
		var args jobs.WebhookArgs
		if err := errors.Join(rows.Scan(&text), json.Unmarshal(text, &args)); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, args)
	}
	return all
}

// Each way in which a batch comes to its end tells the webhooks of its tenant that
// want to know, once.
func TestEndsOfBatchesTellWebhooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.hook("acme")
	failures := w.hook("acme", jobs.WebhookBatchFailed)
	w.hook("umbrella")
	disabled := w.hook("acme")
	if err := w.WebhookGone(t.Context(), disabled.ID, "answered 410"); err != nil {
		t.Fatal(err)
	}

	requests := w.accept("batch_plain", 2) // that did not come as a file
	w.commit(answered(&requests[0]))
	if told := w.told(); len(told) != 0 {
		t.Fatalf("before it ended: %+v", told)
	}
	w.commit(answered(&requests[1]))
	w.commit(answered(&requests[1]))
	w.accept("batch_cancelled", 2)
	if _, err := w.CancelBatch(t.Context(), "batch_cancelled"); err != nil {
		t.Fatal(err)
	}
	w.exec(`INSERT INTO tidegate.batches (id, tenant, state, input_file_id) VALUES ('batch_bad', 'acme', 'validating', 'file-1'), ('batch_late', 'acme', 'finalizing', 'file-1')`)
	if err := w.FailBatch(t.Context(), "batch_bad", nil); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE tidegate.batches SET state = 'expired', ended_at = '2026-01-02 03:04:05Z' WHERE id = 'batch_late'`)

	var got []string
	ids := map[string]string{} // of events, by batch
	for _, args := range w.told() {
		got = append(got, strings.Join([]string{args.Webhook, string(args.Type), args.Batch}, " "))
		if known, ok := ids[args.Batch]; ok && known != args.Event || !strings.HasPrefix(args.Event, "evt_") {
			t.Errorf("%s is %s for one webhook and %s for another", args.Batch, known, args.Event)
		}
		ids[args.Batch] = args.Event
		if late := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Unix(); args.Batch == "batch_late" && args.At != late {
			t.Errorf("it ended at %d, not %d", args.At, late)
		}
	}
	want := []string{
		all.ID + " batch.completed batch_plain", all.ID + " batch.cancelled batch_cancelled", all.ID + " batch.failed batch_bad",
		failures.ID + " batch.failed batch_bad", all.ID + " batch.expired batch_late",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// An end that is rolled back has told nobody.
func TestNoEndTellsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hook("acme")
	w.accept("batch_1", 1)
	tx, err := w.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "UPDATE tidegate.batches SET state = 'completed'"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if told := w.told(); len(told) != 0 {
		t.Errorf("told: %+v", told)
	}
}

func TestWebhookStates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	hook := w.hook("acme")
	state := func(want jobs.WebhookState, err error) jobs.Webhook {
		t.Helper()
		now, secrets, read := w.Webhook(ctx, hook.ID)
		if err != nil || read != nil || now.State() != want || len(secrets) != 1 {
			t.Fatalf("it is %s, not %s: %v, %v", now.State(), want, err, read)
		}
		return now
	}
	state(jobs.WebhookGood, nil)
	first := state(jobs.WebhookRetrying, w.WebhookFailed(ctx, hook.ID, "answered 500", false))
	again := state(jobs.WebhookRetrying, w.WebhookFailed(ctx, hook.ID, "answered 502", false))
	if !again.FailingSince.Equal(first.FailingSince) || again.Fault != "answered 502" {
		t.Errorf("%+v, then %+v", first, again)
	}
	state(jobs.WebhookFailing, w.WebhookFailed(ctx, hook.ID, "answered 500", true))
	state(jobs.WebhookFailing, w.WebhookFailed(ctx, hook.ID, "answered 500", false))
	if well := state(jobs.WebhookGood, w.WebhookDelivered(ctx, hook.ID)); well.DeliveredAt.IsZero() {
		t.Error("nobody knows when the last one arrived")
	}
	state(jobs.WebhookDisabled, w.WebhookGone(ctx, hook.ID, "answered 410"))
	state(jobs.WebhookGood, w.EnableWebhook(ctx, hook.ID))
	if err := w.RemoveWebhook(ctx, hook.ID, "umbrella"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another tenant removes it: %v", err)
	}
	if err := w.RemoveWebhook(ctx, hook.ID, "acme"); err != nil {
		t.Error(err)
	}
	_, trying := w.TryWebhook(ctx, hook.ID, jobs.WebhookBatchFailed)
	for doing, err := range map[string]error{
		"remove": w.RemoveWebhook(ctx, hook.ID, ""), "enable": w.EnableWebhook(ctx, hook.ID), "try": trying,
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", doing, err)
		}
	}
	if err := errors.Join(w.WebhookDelivered(ctx, hook.ID), w.WebhookFailed(ctx, hook.ID, "x", true), w.WebhookGone(ctx, hook.ID, "x")); err != nil {
		t.Errorf("of one that is gone: %v", err)
	}
}

// What a database shows of a webhook that is listed has no secret in it.
func TestListOfWebhooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second, other := w.hook("acme"), w.hook("acme", jobs.WebhookBatchFailed), w.hook("umbrella")
	for tenant, want := range map[string][]jobs.Webhook{"acme": {first, second}, "umbrella": {other}, "nobody": {}, "": {first, second, other}} {
		got, err := w.Webhooks(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("of %q (-want +got):\n%s", tenant, diff)
		}
	}
}

// A secret that was replaced is there as long as it was to be.
func TestWebhookSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hook := w.hook("acme")
	read := func(want int) [][]byte {
		t.Helper()
		_, secrets, err := w.Webhook(t.Context(), hook.ID)
		if err != nil || len(secrets) != want || len(secrets[0]) != 32 {
			t.Fatalf("%d secrets, %v", len(secrets), err)
		}
		return secrets
	}
	first := read(1)[0]
	if _, err := w.RotateWebhook(t.Context(), hook.ID, "umbrella", 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another tenant replaces it: %v", err)
	}
	if _, err := w.RotateWebhook(t.Context(), hook.ID, "acme", time.Hour); err != nil {
		t.Fatal(err)
	}
	both := read(2)
	if string(both[1]) != string(first) || string(both[0]) == string(first) {
		t.Error("the newest is not the first")
	}
	w.exec("UPDATE tidegate.webhooks SET old_until = now() - interval '1 second'")
	if now := read(1); string(now[0]) != string(both[0]) {
		t.Error("the new one is gone")
	}
	if _, err := w.RotateWebhook(t.Context(), hook.ID, "", 0); err != nil {
		t.Fatal(err)
	}
	read(1)
}
