package dashboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tidegate/jobs"
	"tidegate/store"
)

// A deed is something that somebody may do.
type deed struct {
	Of       string // a route, a target or a batch
	Verb     string // on the button
	Title    string // of what, in a question
	Text     string // what comes of it
	Asks     string // for a reason; empty: it does not
	Must     bool   // a reason must be given
	For      []choice
	Modes    []choice
	Harmless bool
	do       func(ctx context.Context, p *Page, a *asked) (string, error)
}

type choice struct{ Value, Text string }

// deeds are all of them, by name.
var deeds = map[string]deed{
	"pause": {
		Of: "route", Verb: "Pause", Title: "Pause %s?", Asks: "Why, for those who wonder",
		Text: "Workers fetch nothing more from it until somebody resumes it. What they have in hand goes on, and producers enqueue as before.",
		do: func(ctx context.Context, p *Page, a *asked) (string, error) {
			return a.Name + " is paused.", p.config.Steer.Pause(ctx, a.Name, a.Reason)
		},
	},
	"resume": {
		Of: "route", Verb: "Resume", Title: "Resume %s?", Harmless: true,
		Text: "Every pause of it ends: a person's, the circuits' and its budget's. While no target may be called, or its budget is spent, it is paused again after some seconds.",
		do: func(ctx context.Context, p *Page, a *asked) (string, error) {
			return a.Name + " is worked again.", p.config.Steer.Resume(ctx, a.Name)
		},
	},
	"open": {
		Of: "target", Verb: "Open", Title: "Open the circuit of %s?", Asks: "Why, for those who wonder", Must: true,
		Text: "Nobody calls it: its requests go to the others of their chain, or wait.",
		For:  []choice{{"10m", "10 minutes"}, {"30m", "30 minutes"}, {"1h", "an hour"}, {"4h", "4 hours"}, {"24h", "a day"}, {"", "until somebody closes it"}},
		do: func(ctx context.Context, p *Page, a *asked) (string, error) {
			return "The circuit of " + a.Name + " is open.", p.config.Store.SetCircuit(ctx, a.Name, jobs.CircuitOpen, a.lasts, a.Reason)
		},
	},
	"close": {
		Of: "target", Verb: "Close", Title: "Close the circuit of %s?", Asks: "Why, for those who wonder", Harmless: true,
		Text: "It is called at once, whatever its cooldown. If it still fails, its circuit opens again.",
		do: func(ctx context.Context, p *Page, a *asked) (string, error) {
			return "The circuit of " + a.Name + " is closed.", p.config.Store.SetCircuit(ctx, a.Name, jobs.CircuitClosed, 0, cmp.Or(a.Reason, "closed by a person"))
		},
	},
	"drill": {
		Of: "target", Verb: "Drill", Title: "Stage an outage of %s?",
		Text:  "Its calls fail in every worker for a while, as in an outage; no call leaves a worker for those that fail.",
		For:   []choice{{"1m", "a minute"}, {"2m", "2 minutes"}, {"5m", "5 minutes"}, {"10m", "10 minutes"}},
		Modes: modes(),
		do:    startDrill,
	},
	"end-drill": {
		Of: "target", Verb: "End drill", Title: "End the drill of %s?", Harmless: true,
		Text: "It is called again as before, as soon as its circuit closes.",
		do: func(ctx context.Context, p *Page, a *asked) (string, error) {
			was, err := p.config.Store.EndDrill(ctx, a.Name)
			if err == nil && !was {
				return "No drill of " + a.Name + " was on.", nil
			}
			return "The drill of " + a.Name + " is over.", err
		},
	},
	"retry": {
		Of: "batch", Verb: "Retry", Title: "Try what failed of %s again?",
		Text: "Its requests that ended without an answer make a new batch, and are paid anew.",
		do: func(ctx context.Context, p *Page, a *asked) (string, error) {
			return p.config.Steer.Retry(ctx, a.Name)
		},
	},
}

func modes() []choice {
	words := map[jobs.DrillMode]string{
		jobs.Drill503: "overloaded (503)", jobs.Drill500: "errors (500)", jobs.Drill429: "rate limit (429)",
		jobs.DrillHang: "no answer", jobs.DrillRefused: "no connection", jobs.DrillQuota: "out of money",
	}
	var all []choice
	for _, mode := range jobs.DrillModes() {
		all = append(all, choice{string(mode), cmp.Or(words[mode], string(mode))})
	}
	return all
}

func startDrill(ctx context.Context, p *Page, a *asked) (string, error) {
	p.hub.refresh(ctx, goodFor)
	known := p.hub.view(windows[0])
	if known == nil || !slices.ContainsFunc(known.Targets, func(t Target) bool { return t.Name == a.Name }) {
		return "", store.ErrNotFound
	}
	if !slices.Contains(jobs.DrillModes(), jobs.DrillMode(a.Mode)) || a.lasts <= 0 {
		return "", errBadForm
	}
	drill := jobs.Drill{Target: a.Name, Mode: jobs.DrillMode(a.Mode), Rate: 1, Until: p.clock().Add(a.lasts)}
	return fmt.Sprintf("%s fails now, for %s.", a.Name, span(a.lasts)), p.config.Store.StartDrill(ctx, drill)
}

var errBadForm = errors.New("the form was not filled in as the page makes it")

// asked is what somebody asks for.
type asked struct {
	deed
	Do, Name, Reason, Mode, Lasts string
	lasts                         time.Duration
	Done, Error                   string // what came of it
}

// Question is what is asked before it is done.
func (a *asked) Question() string { return fmt.Sprintf(a.Title, a.Name) }

const maxReason = 200

// read reads what is asked for.
func (p *Page) read(r *http.Request) (*asked, error) {
	a := &asked{Do: r.FormValue("do"), Name: r.FormValue("name"), Reason: strings.TrimSpace(r.FormValue("reason")), Mode: r.FormValue("mode"), Lasts: r.FormValue("for")}
	known := false
	if a.deed, known = deeds[a.Do]; !known || a.Name == "" || len(a.Name) > maxReason {
		return a, errBadForm
	}
	if r.Method != http.MethodPost {
		if len(a.For) > 0 && a.Lasts == "" {
			a.Lasts = a.For[0].Value
		}
		return a, nil
	}
	switch {
	case a.Must && a.Reason == "":
		return a, errors.New("say why, for those who wonder")
	case len([]rune(a.Reason)) > maxReason:
		return a, fmt.Errorf("the reason is longer than %d characters", maxReason)
	case strings.ContainsFunc(a.Reason, func(c rune) bool { return !unicode.IsPrint(c) }):
		return a, errors.New("the reason must be one line of printable characters")
	}
	if len(a.For) > 0 && a.Lasts != "" {
		var err error
		if a.lasts, err = time.ParseDuration(a.Lasts); err != nil || a.lasts <= 0 || a.lasts > jobs.LongestCooldown {
			return a, errBadForm
		}
	}
	return a, nil
}

// askAct asks whether it is to be done: a page of its own, or what a page shows above
// itself.
func (p *Page) askAct(w http.ResponseWriter, r *http.Request, key jobs.Key) {
	a, err := p.read(r)
	if err != nil {
		p.say(w, r, http.StatusBadRequest, key, plain{"There is no such thing to do", err.Error(), false})
		return
	}
	p.showAct(w, r, http.StatusOK, key, a)
}

func (p *Page) showAct(w http.ResponseWriter, r *http.Request, status int, key jobs.Key, a *asked) {
	name := "act.html"
	if r.Header.Get("X-Part") != "" {
		name = "act-part"
	}
	p.show(w, status, name, p.layout(a.Question(), key, a))
}

// act does it.
func (p *Page) act(w http.ResponseWriter, r *http.Request, key jobs.Key) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	a, err := p.read(r)
	if errors.Is(err, errBadForm) {
		p.say(w, r, http.StatusBadRequest, key, plain{"There is no such thing to do", err.Error(), false})
		return
	}
	status := http.StatusBadRequest
	if err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), readWithin)
		defer cancel()
		a.Done, err = a.do(ctx, p, a)
		status = http.StatusOK
	}
	if err != nil {
		a.Done, a.Error = "", p.why(err, a)
		status = max(status, http.StatusBadRequest)
	}
	p.config.Log.Info().Str("do", a.Do).Str("name", a.Name).Str("reason", a.Reason).Str("key", orKey(key)).Bool("done", err == nil).Msg("somebody steers from the page")
	p.hub.again(context.WithoutCancel(r.Context()))
	p.showAct(w, r, status, key, a)
}

// why says why it was not done.
func (p *Page) why(err error, a *asked) string {
	if errors.Is(err, store.ErrNotFound) {
		return "There is no " + a.Of + " " + a.Name + "."
	}
	if store.Away(err) {
		return "Postgres does not answer: try again in some seconds. Whether it was done is shown when it is back."
	}
	first, size := utf8.DecodeRuneInString(err.Error())
	return string(unicode.ToUpper(first)) + err.Error()[size:] + "."
}
