package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"tidegate/jobs"
	"tidegate/routing/provider"
)

// hurried are timeouts for a call that is known to end at once, or never.
var hurried = jobs.Timeouts{Connect: time.Second, FirstByte: time.Second, Total: 20 * time.Second}

// A word is a refusal as the client heard it, beside the class that it should have.
type word struct {
	Dialect string     `json:"dialect"`
	Asked   string     `json:"asked"` // of the mock
	Status  int        `json:"status,omitempty"`
	Code    string     `json:"code,omitempty"`
	Got     jobs.Class `json:"class"`
	Want    jobs.Class `json:"want"`
	wait    [2]time.Duration
}

func (w word) right() bool { return w.Got == w.Want && w.wait[0] == w.wait[1] }

// wordFixtures are what the mock of a dialect needs for it.
func wordFixtures(dialect string) (all []fixture) {
	for i, r := range refusals {
		if r.dialect == dialect {
			all = append(all, fixture{match{UserMessage: refusalText(i)}, r.response()})
		}
	}
	return all
}

func refusalText(i int) string { return fmt.Sprintf("Refuse this by rule %03d.", i) }

// hear lets the client meet each refusal once: those of the table, those of the mock
// itself, and each mode of chaos.
func hear(ctx context.Context, mocks map[string]*mock) ([]word, error) {
	client := provider.New(provider.Config{})
	defer client.Close()
	h := hearing{ctx: ctx, client: client}
	for i, r := range refusals {
		h.meet(target(mocks[r.dialect]), refusalText(i), word{Dialect: r.dialect, Asked: r.String(), Want: r.class}, r.wait())
	}
	nobody, err := closedPort(ctx)
	if err != nil {
		return nil, err
	}
	for _, dialect := range dialects {
		m := mocks[dialect]
		h.meet(target(m), "nothing that it knows", word{Dialect: dialect, Asked: "no fixture", Want: jobs.Auth}, 0)
		stranger := target(m)
		stranger.Key = "sk-of-somebody-else"
		h.meet(stranger, refusalText(0), word{Dialect: dialect, Asked: "another key", Want: jobs.Auth}, 0)
		away := target(m)
		away.BaseURL = nobody
		h.meet(away, refusalText(0), word{Dialect: dialect, Asked: "nobody listens", Want: jobs.Transient}, 0)
		if err := h.disturbed(m); err != nil {
			return nil, err
		}
	}
	return h.words, nil
}

// A hearing collects what was heard.
type hearing struct {
	ctx    context.Context
	client *provider.Client
	words  []word
}

func (h *hearing) meet(target *jobs.Target, text string, w word, wait time.Duration) {
	body := fmt.Appendf(nil, `{"messages":[{"role":"user","content":%q}],"max_tokens":50}`, text)
	answer, err := h.client.Complete(h.ctx, target, jobs.EndpointChat, body)
	w.Got, w.wait = jobs.OK, [2]time.Duration{0, wait}
	if answer == nil {
		w.Got, w.Status, w.Code, w.wait[0] = err.Class, err.Status, err.Code, err.RetryAfter
	}
	h.words = append(h.words, w)
}

// disturbed goes through the modes of chaos.
func (h *hearing) disturbed(m *mock) error {
	for _, mode := range []struct {
		name  string
		chaos chaos
		want  jobs.Class
		wait  time.Duration
	}{
		{"chaos: drop", chaos{Drop: 1}, jobs.Transient, 0},
		{"chaos: malformed", chaos{Malformed: 1}, jobs.Garbled, 0},
		{"chaos: ratelimit", chaos{RateLimit: 1}, jobs.Rate, time.Second},
		{"chaos: disconnect", chaos{Disconnect: 1}, jobs.Transient, 0},
		{"chaos: latency of 30 s", chaos{LatencyMS: 30_000}, jobs.Timeout, 0},
	} {
		if err := m.disturb(h.ctx, mode.chaos); err != nil {
			return err
		}
		h.meet(target(m), "ping", word{Dialect: m.dialect, Asked: mode.name, Want: mode.want}, mode.wait)
	}
	return m.disturb(h.ctx, chaos{})
}

// target is the mock as the client calls it.
func target(m *mock) *jobs.Target {
	return &jobs.Target{Name: m.dialect, Dialect: m.dialect, BaseURL: m.baseURL(), Key: jobs.Secret(m.key), Model: model(m.dialect), Timeouts: hurried}
}

func model(dialect string) string { return "mock-" + dialect }

// closedPort is a base URL at which nobody listens.
func closedPort(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return "http://" + listener.Addr().String() + "/v1", nil
}
