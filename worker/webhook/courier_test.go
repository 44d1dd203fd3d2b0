package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
	"tidegate/worker/webhook"
)

// An event arrives signed, and each try has its own time, under the same id.
func TestDeliver(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, httptest.NewServer)
	now := time.Unix(1700000100, 0)
	s := newSite(t, r.URL+"/hooks?token=t", true, webhook.Config{Now: func() time.Time { return now }})
	for range 2 {
		if err := s.deliver(false); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
	}
	events := r.all()
	if len(events) != 2 {
		t.Fatalf("%d events arrived", len(events))
	}
	for i, e := range events {
		if e.body != string(s.args().Payload()) || e.header.Get("Content-Type") != "application/json" || e.header.Get("User-Agent") != "tidegate/test" ||
			e.header.Get("Webhook-Id") != "evt_1" || e.header.Get("Webhook-Timestamp") != fmt.Sprint(1700000100+3600*i) || e.header.Get("Webhook-Signature") != s.signature(e) {
			t.Errorf("try %d: %v, %s", i, e.header, e.body)
		}
	}
	if events[0].header.Get("Webhook-Signature") == events[1].header.Get("Webhook-Signature") {
		t.Error("both have one signature")
	}
	if hook := s.state(); hook.State() != jobs.WebhookGood || hook.DeliveredAt.IsZero() {
		t.Errorf("it is noted as %+v", hook)
	}
}

// Any answer but a 2xx is a failure that names its status, and nothing that was said.
func TestAnswersThatAreFailures(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, httptest.NewServer)
	s := newSite(t, r.URL, true, webhook.Config{})
	for status := 200; status < 600; status++ {
		r.answers(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", r.URL+"/elsewhere")
			w.WriteHeader(status)
			if status != http.StatusNoContent && status != http.StatusNotModified {
				fmt.Fprint(w, "the canary sang")
			}
		})
		before := len(r.all())
		err := s.deliver(false)
		if calls := len(r.all()) - before; calls != 1 {
			t.Fatalf("%d: %d calls", status, calls)
		}
		var failed *jobs.DeliveryError
		switch {
		case status < 300:
			if err != nil {
				t.Errorf("%d: %v", status, err)
			}
		case status == http.StatusGone:
			if hook := s.state(); !errors.Is(err, jobs.ErrWebhookGone) || hook.State() != jobs.WebhookDisabled || !strings.Contains(hook.DisabledWhy, "410") {
				t.Errorf("410: %v, %+v", err, hook)
			}
			if err := s.deliver(false); err != nil || len(r.all())-before != 1 {
				t.Errorf("one that is disabled is told: %v", err)
			}
			if err := s.EnableWebhook(t.Context(), s.hook.ID); err != nil {
				t.Fatal(err)
			}
		case !errors.As(err, &failed) || failed.Status != status || !strings.Contains(failed.Reason, fmt.Sprint("answered ", status)) || strings.Contains(failed.Reason, "canary"):
			t.Errorf("%d: %v", status, err)
		}
	}
}

// What asks to be let alone is, within a day; what is not the answer of one that has
// too much to do asks nothing.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, httptest.NewServer)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := newSite(t, r.URL, true, webhook.Config{Now: func() time.Time { return now }})
	for _, c := range []struct {
		status int
		says   string
		want   time.Duration
	}{
		{429, "120", 2 * time.Minute},
		{503, "0", 0},
		{503, "-5", 0},
		{503, "99999999999", 24 * time.Hour},
		{429, now.Add(time.Hour).Format(http.TimeFormat), time.Hour},
		{429, now.Add(-time.Hour).Format(http.TimeFormat), 0},
		{429, now.Add(1000 * time.Hour).Format(http.TimeFormat), 24 * time.Hour},
		{503, "soon", 0},
		{500, "120", 0},
	} {
		r.answers(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", c.says)
			w.WriteHeader(c.status)
		})
		var failed *jobs.DeliveryError
		if err := s.deliver(false); !errors.As(err, &failed) || failed.After != c.want {
			t.Errorf("%d, %s: %+v", c.status, c.says, failed)
		}
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	if webhook.Tries() != 10 { // which the migration says, too
		t.Errorf("%d tries", webhook.Tries())
	}
	for try, want := range map[int]time.Duration{0: 5 * time.Second, 1: 5 * time.Second, 2: 5 * time.Minute, 9: 24 * time.Hour, 12: 24 * time.Hour} {
		if got := webhook.Wait(try, 0); got < want || got > want+want/10 {
			t.Errorf("behind try %d it waits %s", try, got)
		}
	}
	if got := webhook.Wait(1, time.Hour); got != time.Hour {
		t.Errorf("of one that asked for an hour: %s", got)
	}
	if got := webhook.Wait(2, time.Second); got < 5*time.Minute {
		t.Errorf("of one that asked for a second: %s", got)
	}
	if got := webhook.Wait(1, 1000*time.Hour); got != 24*time.Hour {
		t.Errorf("of one that asked for weeks: %s", got)
	}
}

// A receiver that does not answer is left; one that is cut off by our own stop is no
// failure of its own.
func TestSlowReceiver(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, httptest.NewServer)
	reached := make(chan struct{}, 2)
	r.answers(func(_ http.ResponseWriter, req *http.Request) {
		reached <- struct{}{}
		<-req.Context().Done()
	})
	s := newSite(t, r.URL, true, webhook.Config{Within: 50 * time.Millisecond})
	var failed *jobs.DeliveryError
	if err := s.deliver(false); !errors.As(err, &failed) || failed.Reason != "it did not answer in time" {
		t.Errorf("it says %v", err)
	}
	<-reached
	before := s.state()
	patient := newCourier(t, s, webhook.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	if _, err := patient.Deliver(ctx, s.args(), true); !errors.Is(err, context.Canceled) {
		t.Errorf("cut off, it says %v", err)
	}
	if after := s.state(); !after.FailedAt.Equal(before.FailedAt) {
		t.Errorf("it is held against the webhook: %+v", after)
	}
}

// Where a webhook leads is looked at when it is dialed.
func TestWhereWebhooksMayLead(t *testing.T) {
	t.Parallel()
	plain, secure := newReceiver(t, httptest.NewServer), newReceiver(t, httptest.NewTLSServer)
	_, port, err := net.SplitHostPort(secure.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		at           string
		own, allowed bool // by the webhook, by the configuration
		says         string
		reached      *receiver
	}{
		"an address":                  {at: secure.URL, says: "private network"},
		"an address, allowed":         {at: secure.URL, own: true, says: "certificate"}, // it was dialed
		"an address, all are":         {at: secure.URL, allowed: true, says: "certificate"},
		"a name that leads here":      {at: "https://localtest.invalid:" + port, says: "no address"},
		"plain, allowed":              {at: plain.URL, own: true, reached: plain},
		"plain, all are":              {at: plain.URL, allowed: true, reached: plain},
		"plain":                       {at: plain.URL, says: "https://"},
		"what tells credentials":      {at: "https://169.254.169.254/", own: true, says: "no receiver"},
		"what tells them, by v6":      {at: "https://[::ffff:169.254.169.254]/", allowed: true, says: "no receiver"},
		"TLS that is none":            {at: strings.Replace(plain.URL, "http:", "https:", 1), own: true, says: "TLS"},
		"a port that nobody listens":  {at: "https://127.0.0.1:1/", own: true, says: "refuses"},
		"a public address, as http":   {at: "http://93.184.216.34/", own: true, says: "use https"},
		"this machine, by its number": {at: "https://2130706433:" + port, says: ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, c.at, c.own, webhook.Config{Private: c.allowed, Within: 5 * time.Second})
			before := 0
			if c.reached != nil {
				before = len(c.reached.all())
			}
			secureBefore := len(secure.all())
			err := s.deliver(false)
			var failed *jobs.DeliveryError
			switch {
			case c.reached != nil:
				if err != nil || len(c.reached.all()) != before+1 {
					t.Errorf("it was not reached: %v", err)
				}
			case !errors.As(err, &failed) || !strings.Contains(failed.Reason, c.says):
				t.Errorf("it says %v", err)
			}
			if len(secure.all()) != secureBefore {
				t.Error("it arrived where it must not")
			}
		})
	}
}

// A name is judged by the address that it has when it is dialed.
func TestNamesAreJudgedByTheirAddress(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, httptest.NewServer)
	_, port, err := net.SplitHostPort(r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client := webhook.NewClient("https", false)
	response, err := client.Get("http://localhost:" + port) // as a name that passed, and leads here
	if err == nil {
		response.Body.Close()
		t.Fatal("it was reached")
	}
	if got := webhook.FaultOf(err); !strings.Contains(got, "private network") || strings.Contains(got, "127.0.0.1") || strings.Contains(got, "::1") {
		t.Errorf("it says %s", got)
	}
	if len(r.all()) != 0 {
		t.Error("something arrived")
	}
}

// A person's try changes nothing of what is noted, and reaches one that is disabled.
func TestTrials(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, httptest.NewServer)
	s := newSite(t, r.URL, true, webhook.Config{})
	args := s.args()
	args.Test = true
	if err := s.WebhookGone(t.Context(), s.hook.ID, "answered 410"); err != nil {
		t.Fatal(err)
	}
	before := s.state()
	if _, err := s.courier.Deliver(t.Context(), args, true); err != nil {
		t.Error(err)
	}
	r.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	var failed *jobs.DeliveryError
	if _, err := s.courier.Deliver(t.Context(), args, true); !errors.As(err, &failed) {
		t.Error(err)
	}
	if after := s.state(); !after.FailedAt.Equal(before.FailedAt) || !after.DeliveredAt.Equal(before.DeliveredAt) {
		t.Errorf("it was %+v and is %+v", before, after)
	}
	if len(r.all()) != 2 {
		t.Errorf("%d calls", len(r.all()))
	}
}

// There is nobody to tell any more.
func TestRemovedWebhook(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, httptest.NewServer)
	s := newSite(t, r.URL, true, webhook.Config{})
	if err := s.RemoveWebhook(t.Context(), s.hook.ID, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.deliver(false); err != nil || len(r.all()) != 0 {
		t.Errorf("%v, %d calls", err, len(r.all()))
	}
}

func newCourier(t *testing.T, s *site, config webhook.Config) *webhook.Courier {
	t.Helper()
	config.Store = s.Store
	courier := webhook.New(config)
	t.Cleanup(courier.Close)
	return courier
}

// While an old secret is good, each of both has its signature.
func TestTwoSecrets(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, httptest.NewServer)
	s := newSite(t, r.URL, true, webhook.Config{})
	old := s.secret
	var err error
	if s.secret, err = s.RotateWebhook(t.Context(), s.hook.ID, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := s.deliver(false); err != nil {
		t.Fatal(err)
	}
	e := r.all()[0]
	want := s.signature(e)
	s.secret = old
	if got := e.header.Get("Webhook-Signature"); got != want+" "+s.signature(e) {
		t.Errorf("it is signed %s", got)
	}
}
