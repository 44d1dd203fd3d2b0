package routing

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate/jobs"
)

// An asking is a kind of requests: who sends them, what they look like, and how any
// healthy target answers them.
type asking struct {
	tenant, batch string
	begins, ends  string // of the prompt
	members       string // of the body beside the messages, each with a comma behind it
	answered      string // as a talker has it; empty: well
}

func (a asking) request(i int) *jobs.Request {
	words := strings.Fields(talkerDocument)
	from := i * 7 % 20
	content := fmt.Sprintf("%s%d %s %d%s", a.begins, i, strings.Join(words[from:from+40], " "), i, a.ends)
	return &jobs.Request{
		Route: theRoute, Tenant: a.tenant, BatchID: a.batch,
		Body: fmt.Appendf(nil, `{%s"user":"%s","messages":[{"role":"user","content":"%s"}]}`, a.members, a.answered, content),
	}
}

// howAsked is how a request of an asking wants to be answered.
func howAsked(body []byte) string {
	_, rest, found := bytes.Cut(body, []byte(`"user":"`))
	if !found {
		return ""
	}
	how, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(how)
}

var (
	summaries = asking{tenant: "acme", batch: "b1", begins: "Summarise this: ", ends: " Be brief."}
	rawTexts  = asking{tenant: "acme", batch: "b1"}
)

// changed is an asking that differs in some things.
func (a asking) changed(change func(*asking)) asking {
	change(&a)
	return a
}

// otherMixes are changes of what is asked, after which a healthy target answers
// otherwise than before.
var otherMixes = map[string]struct {
	before []asking // in turns
	after  []asking
}{
	"another tenant, short answers": {[]asking{summaries}, []asking{summaries.changed(func(a *asking) { a.tenant, a.batch, a.answered = "others", "b2", "short" })}},
	"less is asked for":             {[]asking{summaries}, []asking{summaries.changed(func(a *asking) { a.batch, a.members, a.answered = "b2", `"max_tokens":8,`, "short" })}},
	"more is asked for":             {[]asking{summaries.changed(func(a *asking) { a.members, a.answered = `"max_tokens":8,`, "short" })}, []asking{summaries}},
	"tools": {[]asking{summaries}, []asking{summaries.changed(func(a *asking) {
		a.members, a.answered = `"tools":[{"type":"function","function":{"name":"f"}}],`, "salad"
	})}},
	"a form": {[]asking{summaries}, []asking{summaries.changed(func(a *asking) {
		a.members, a.answered = `"response_format":{"type":"json_object"},`, "says {\\\"a\\\":1}"
	})}},
	"prompts begin so":       {[]asking{summaries}, []asking{summaries.changed(func(a *asking) { a.begins, a.answered = "Translate this: ", "salad" })}},
	"prompts end so":         {[]asking{summaries}, []asking{summaries.changed(func(a *asking) { a.ends, a.answered = " Answer with yes or no.", "says yes" })}},
	"they begin alike":       {[]asking{summaries.changed(func(a *asking) { a.begins = "You are a helpful assistant that summarises. " })}, []asking{summaries.changed(func(a *asking) { a.begins, a.answered = "You are a helpful assistant that translates. ", "salad" })}},
	"refused":                {[]asking{summaries}, []asking{summaries.changed(func(a *asking) { a.tenant, a.answered = "others", "refuses" })}},
	"another batch of texts": {[]asking{rawTexts}, []asking{rawTexts.changed(func(a *asking) { a.batch, a.answered = "b2", "short" })}},
	"more of one kind": {
		[]asking{summaries, summaries, summaries.changed(func(a *asking) { a.begins, a.answered = "Translate this: ", "salad" })},
		[]asking{summaries.changed(func(a *asking) { a.begins, a.answered = "Translate this: ", "salad" })},
	},
	"most of another tenant": {
		[]asking{summaries},
		[]asking{summaries, summaries.changed(func(a *asking) { a.tenant, a.answered = "others", "short" }), summaries.changed(func(a *asking) { a.tenant, a.answered = "others", "short" })},
	},
}

// sends sends n requests of some askings in turn, at random.
func (w *salon) sends(n int, random *rand.Rand, askings []asking) map[string]int {
	w.t.Helper()
	return w.sendsEach(n, func(i int) *jobs.Request { return askings[random.IntN(len(askings))].request(i) })
}

// Another mix of requests, which any target answers otherwise, is held against
// nobody: neither when it begins, nor while it goes on, nor when it ends.
func TestOtherMixDegradesNobody(t *testing.T) {
	t.Parallel()
	for name, mix := range otherMixes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(4) {
				w, random := newSalon(t, "a", "b"), rand.New(rand.NewPCG(seed, 4))
				w.talker.random = rand.New(rand.NewPCG(seed, 5))
				for phase, askings := range [][]asking{mix.before, mix.after, mix.before} {
					n := 400
					if phase == 2 {
						n = 150
					}
					if got := w.sends(n, random, askings); got["a"] != n || len(w.marks) > 0 {
						t.Fatalf("seed %d, phase %d: answered by %v, marked %q", seed, phase, got, w.marks)
					}
				}
			}
		})
	}
}

// In each mix a target that does go bad is found within 50 answers, as soon as what it
// is asked is known.
func TestDegradedTargetIsFoundInAnyMix(t *testing.T) {
	t.Parallel()
	for name, mix := range otherMixes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, how := range []string{"salad", "refuses", "small"} {
				if slices.ContainsFunc(mix.before, func(a asking) bool { return a.answered == how }) {
					continue // much of it is answered so when all is well
				}
				for seed := range uint64(2) {
					w, random := newSalon(t, "a", "b"), rand.New(rand.NewPCG(seed, 4))
					w.talker.random = rand.New(rand.NewPCG(seed, 5))
					askings := append(mix.before[:len(mix.before):len(mix.before)], summaries)
					w.sends(600, random, askings)
					w.talker.how["a"] = how
					if got := w.sends(50, random, askings); got["b"] == 0 || w.circuit("a").State != jobs.CircuitOpen {
						t.Errorf("%s, seed %d: answered by %v of 50; %+v", how, seed, got, w.circuit("a"))
					}
				}
			}
		})
	}
}

// While a target is degraded all that is asked changes, to something that is answered in
// the way in which it was bad: nobody can tell whether it is well, so it is taken back, and
// learns anew.
func TestOtherMixWhileATargetIsDegraded(t *testing.T) {
	t.Parallel()
	w, random := newSalon(t, "a", "b"), rand.New(rand.NewPCG(1, 4))
	w.sends(400, random, []asking{summaries})
	w.talker.how["a"] = "salad"
	w.sends(50, random, []asking{summaries})
	if c := w.circuit("a"); c.State != jobs.CircuitOpen {
		t.Fatalf("it is not found out: %+v", c)
	}
	w.talker.how["a"] = ""
	w.talker.clock.pass(time.Hour)
	translations := []asking{summaries.changed(func(a *asking) { a.begins, a.answered = "Translate this: ", "salad" })}
	if got := w.sends(200, random, translations); got["a"] < 190 {
		t.Errorf("answered by %v of 200", got)
	}
	if c := w.circuit("a"); c.State != jobs.CircuitClosed || c.Degraded != "" {
		t.Errorf("it is marked still: %+v", c)
	}
	w.sends(200, random, translations)
	w.talker.how["a"] = "refuses"
	if got := w.sends(50, random, translations); got["b"] == 0 {
		t.Errorf("what it learned anew is no habit: %v", got)
	}
}

// someAskings are kinds of requests, whatever they differ in. Each is answered in its own
// way.
func someAskings(random *rand.Rand) []asking {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	askings := make([]asking, 2+random.IntN(4))
	for i := range askings {
		askings[i] = asking{
			tenant: pick("acme", "acme", "others", "third"), batch: pick("b1", "b2", "b3"),
			begins: pick("", "Summarise this: ", "Translate this: ", "You are a helpful assistant that reads. ", "You are a helpful assistant that writes. "),
			ends:   pick("", " Be brief.", " Answer with yes or no."), members: pick("", "", `"max_tokens":8,`, `"max_tokens":100,`, `"response_format":{"type":"json_object"},`),
			answered: pick("", "short", "salad", "says yes", "refuses", "says {\\\"a\\\":1}"),
		}
		for _, before := range askings[:i] { // how a request is answered hangs on what it is like
			if same := before; same.batch == askings[i].batch || before.begins+before.ends != "" {
				if same.batch, same.answered = askings[i].batch, askings[i].answered; same == askings[i] {
					askings[i].answered = before.answered
				}
			}
		}
	}
	return askings
}

// Whatever the mix is, and however it changes, a healthy target is not marked.
func TestAnyMixDegradesNobody(t *testing.T) {
	t.Parallel()
	worlds := 12 // TIDEGATE_MIXES asks for more
	if _, err := fmt.Sscan(os.Getenv("TIDEGATE_MIXES"), &worlds); err != nil && os.Getenv("TIDEGATE_MIXES") != "" {
		t.Fatal(err)
	}
	marked, switches := 0, 0
	for seed := range uint64(worlds) {
		w, random := newSalon(t, "a", "b"), rand.New(rand.NewPCG(seed, 6))
		w.talker.random = rand.New(rand.NewPCG(seed, 7))
		askings := someAskings(random)
		for range 8 {
			switches++
			some := askings[:1+random.IntN(len(askings))]
			n := 50 + random.IntN(300)
			w.sends(n, random, some)
			random.Shuffle(len(askings), func(i, j int) { askings[i], askings[j] = askings[j], askings[i] })
			if len(w.marks) > 0 {
				marked++
				t.Logf("world %d: %s; of %+v", seed, w.marks[0], askings)
				break
			}
		}
	}
	if marked > 0 {
		t.Errorf("in %d of %d worlds, whose mix changed %d times, a healthy target was marked", marked, worlds, switches)
	}
}

// A target that goes bad is left within some answers, whatever the mix, unless most of
// it was answered in that way before.
func TestDegradedTargetIsFoundInMostMixes(t *testing.T) {
	t.Parallel()
	found, all := 0, 0
	for seed := range uint64(5) {
		for _, how := range []string{"salad", "garbled", "refuses", "small"} {
			w, random := newSalon(t, "a", "b"), rand.New(rand.NewPCG(seed, 8))
			w.talker.random = rand.New(rand.NewPCG(seed, 9))
			askings := someAskings(random)
			w.sends(600, random, askings)
			w.talker.how["a"] = how
			all++
			if got := w.sends(60, random, askings); got["b"] > 0 {
				found++
			}
		}
	}
	if 10*found < 9*all {
		t.Errorf("found in %d of %d worlds", found, all)
	}
}

// BenchmarkMix is what a look at the mix costs, which is taken where the last answers are
// others than before, and to tell what a request is like, which is done for each answer.
func BenchmarkMix(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	body := fmt.Appendf(nil, `{"max_tokens":100,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"%s"}]}`, strings.Repeat("as long as it is, ", 1000))
	b.Run("kind", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			kindOf(&jobs.Request{Body: body})
		}
	})
	b.Run("stands", func(b *testing.B) {
		b.ReportAllocs()
		var kept answers
		for range comparedWith + lately {
			one := kindOf(&jobs.Request{Body: fmt.Appendf(nil, `{"messages":[{"content":"%d"}]}`, random.IntN(40))})
			kept.push((&reply{kind: one, tokens: 10 + random.IntN(100)}).heard(""))
		}
		for b.Loop() {
			kept.stands(signalRefusal, true)
		}
	})
}
