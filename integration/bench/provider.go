package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/goccy/go-yaml"

	"tidegate/routing/simulator"
)

// soon is how long something may take that is only waiting for a busy machine.
const soon = 30 * time.Second

// base finds where the simulator listens in what it says when it starts.
var base = regexp.MustCompile(`(http://[^/\s]+)/\S+\n`)

// simulate starts the simulator.
func (g *Ground) simulate(ctx context.Context, providers simulator.Config) error {
	script, err := yaml.Marshal(providers)
	if err != nil {
		return err
	}
	path := filepath.Join(g.dir, "simulator.yaml")
	if err := os.WriteFile(path, script, 0o600); err != nil {
		return err
	}
	g.simulator, err = Start(filepath.Join(g.dir, "simulator.log"), g.program, "simulate", "--listen", simulator.DefaultListen, "--script", path)
	if err != nil {
		return err
	}
	return Await(ctx, soon, "the simulator listens", func() (bool, error) {
		text, _ := os.ReadFile(g.simulator.log) // it is not there yet
		if found := base.FindSubmatch(text); found != nil {
			g.base = string(found[1])
		}
		return g.base != "", g.simulator.Alive()
	})
}

// A Provider is a simulated one, commanded over HTTP. It is safe for concurrent
// use.
type Provider struct {
	Name    string
	BaseURL string // of a target
	control string
}

// Provider returns the simulator's provider of that name.
func (g *Ground) Provider(name string) *Provider {
	return &Provider{Name: name, BaseURL: g.base + "/" + name + "/v1", control: g.base + "/_simulator/providers/" + name}
}

// Calls are those that reached a provider, by what became of them.
type Calls struct {
	Total       int
	InFlight    int
	Answered    int // 200
	Unavailable int // 503
	RateLimited int // 429
	// AnsweredTwice counts requests that were answered more than once; zero
	// unless the simulator remembers.
	AnsweredTwice int
}

// Admitted counts the calls that were let in: answered, or waiting for it.
func (c Calls) Admitted() int { return c.Answered + c.InFlight }

// Since is what came after an earlier value of the same Calls, but for InFlight
// and AnsweredTwice.
func (c Calls) Since(mark Calls) Calls {
	c.Total -= mark.Total
	c.Answered -= mark.Answered
	c.Unavailable -= mark.Unavailable
	c.RateLimited -= mark.RateLimited
	return c
}

// told is what the control answers.
type told struct {
	Providers []struct {
		Until *time.Time `json:"until"`
		Calls struct {
			Total    int                    `json:"total"`
			InFlight int                    `json:"in_flight"`
			Outcomes map[simulator.Mode]int `json:"outcomes"`
		} `json:"calls"`
		Seen struct {
			AnsweredTwice int `json:"answered_twice"`
		} `json:"seen"`
		FirstAnswer *time.Time `json:"first_answer"`
	} `json:"providers"`
}

// Down begins an outage: every call is answered 503 at once, for as long as d
// says, or until Up if it is zero. It returns when that will be over; zero: not by
// itself.
func (p *Provider) Down(ctx context.Context, d time.Duration) (until time.Time, err error) {
	fault := map[string]string{"mode": string(simulator.Unavailable)}
	if d > 0 {
		fault["for"] = d.String()
	}
	answer, err := p.ask(ctx, http.MethodPut, "/fault", fault)
	if err != nil || answer.Providers[0].Until == nil {
		return time.Time{}, err
	}
	return *answer.Providers[0].Until, nil
}

// Up ends an outage and returns when that was, or a moment before.
func (p *Provider) Up(ctx context.Context) (time.Time, error) {
	at := time.Now()
	_, err := p.ask(ctx, http.MethodDelete, "/fault", nil)
	return at, err
}

// Carry changes what the provider carries from now on.
func (p *Provider) Carry(ctx context.Context, capacity simulator.Capacity) error {
	_, err := p.ask(ctx, http.MethodPut, "/capacity", capacity)
	return err
}

// Calls counts what has reached the provider.
func (p *Provider) Calls(ctx context.Context) (Calls, error) {
	answer, err := p.ask(ctx, http.MethodGet, "", nil)
	if err != nil {
		return Calls{}, err
	}
	one := answer.Providers[0]
	return Calls{
		Total: one.Calls.Total, InFlight: one.Calls.InFlight, Answered: one.Calls.Outcomes[simulator.OK],
		Unavailable: one.Calls.Outcomes[simulator.Unavailable], RateLimited: one.Calls.Outcomes[simulator.RateLimit],
		AnsweredTwice: one.Seen.AnsweredTwice,
	}, nil
}

// FirstAnswer is when the first whole answer since a time was given; zero: none
// was.
func (p *Provider) FirstAnswer(ctx context.Context, since time.Time) (time.Time, error) {
	answer, err := p.ask(ctx, http.MethodGet, "/seconds?since="+url.QueryEscape(since.Format(time.RFC3339Nano)), nil)
	if err != nil || answer.Providers[0].FirstAnswer == nil {
		return time.Time{}, err
	}
	return *answer.Providers[0].FirstAnswer, nil
}

func (p *Provider) ask(ctx context.Context, method, path string, body any) (told, error) {
	var answer told
	sent, err := json.Marshal(body)
	if err != nil {
		return answer, err
	}
	request, err := http.NewRequestWithContext(ctx, method, p.control+path, bytes.NewReader(sent))
	if err != nil {
		return answer, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer, fmt.Errorf("asking the simulator: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer, fmt.Errorf("reading what the simulator says: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	return answer, readTold(text, &answer)
}

// readTold decodes what the control says of one provider.
func readTold(text []byte, into *told) error {
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading what the simulator says: %w", err)
	}
	if len(into.Providers) != 1 {
		return fmt.Errorf("the simulator speaks of %d providers, not of one", len(into.Providers))
	}
	return nil
}
