package routing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

// A habitual draws answers of a target that does not change: lengths with heavy
// tails, now and then a refusal.
type habitual struct {
	random   *rand.Rand
	spread   float64 // of the logarithm of the length
	kind     string
	refusals float64
}

func (h *habitual) sample() reply {
	x := h.random.NormFloat64()
	switch h.kind {
	case "pareto": // with an index of 1.1
		x = h.random.ExpFloat64() / 1.1 / h.spread
	case "two kinds": // of answers, short ones and long ones
		if h.random.Float64() < 0.3 {
			x += 4
		}
	case "student": // with 2 degrees of freedom
		x /= math.Sqrt(h.random.ExpFloat64())
	}
	s := reply{family: "m", tokens: int(math.Exp(min(5+h.spread*x, 15))), asked: int(math.Exp(7 + h.spread*h.random.NormFloat64())), echo: 0.7 + 0.1*h.random.NormFloat64()}
	s.speed = math.Exp(4 + 0.5*h.random.NormFloat64())
	s.refuses, s.garbled = h.random.Float64() < h.refusals, h.random.Float64() < h.refusals
	return s
}

// A target that does not change is not taken for one that does: not once in some
// hundred thousand answers, however heavy their tails, also while the habit rests on
// few.
func TestStationaryBaselinesStayQuiet(t *testing.T) {
	t.Parallel()
	each := 150_000 // of each kind; TIDEGATE_ANSWERS asks for more
	if _, err := fmt.Sscan(os.Getenv("TIDEGATE_ANSWERS"), &each); err != nil && os.Getenv("TIDEGATE_ANSWERS") != "" {
		t.Fatal(err)
	}
	for _, kind := range []string{"normal", "pareto", "two kinds", "student"} {
		for _, spread := range []float64{0.3, 1, 2} {
			for _, share := range []float64{0.005, 0.1, 0.4} {
				name := fmt.Sprintf("%s %v %v", kind, spread, share)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					h := habitual{random: rand.New(rand.NewPCG(hash(name), 1)), kind: kind, spread: spread, refusals: share}
					alarms := map[signal]int{}
					var b baseline
					for i := range each / 9 {
						if i%2000 == 0 { // young habits are the weak ones
							b.relearn()
						}
						s := h.sample()
						b.missed(h.random.Float64() < share, &s.kind)
						if c := b.observe(&s); c != nil {
							alarms[c.signal]++
							t.Logf("after %d answers: %s", i%2000, c.reason)
							b.relearn()
						}
					}
					for s, n := range alarms {
						if float64(n) > 0 {
							t.Errorf("%d times signal %d in %d answers", n, s, each/9)
						}
					}
				})
			}
		}
	}
}

// changedAfter is how many answers of a changed target it takes until it is seen,
// and until its circuit may open.
func changedAfter(t *testing.T, spread float64, change func(*reply)) (seen, opens int) {
	t.Helper()
	h := habitual{random: rand.New(rand.NewPCG(uint64(spread*100), 7)), kind: "normal", spread: spread, refusals: 0.01}
	var b baseline
	for range 400 {
		s := h.sample()
		if c := b.observe(&s); c != nil {
			t.Fatalf("before any change: %s", c.reason)
		}
	}
	for i := 1; i <= 200; i++ {
		s := h.sample()
		change(&s)
		c := b.observe(&s)
		if c != nil && seen == 0 {
			seen = i
		}
		if c != nil && c.after >= opensAfter {
			return seen, i
		}
	}
	return seen, 0
}

func TestSuddenChangesAreSeen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spread float64
		change func(*reply)
	}{
		"half as long":        {0.4, func(s *reply) { s.tokens /= 2 }},
		"three times":         {0.8, func(s *reply) { s.tokens *= 3 }},
		"another model":       {1, func(s *reply) { s.family = "small" }},
		"refuses":             {1, func(s *reply) { s.refuses = true }},
		"garbled":             {1, func(s *reply) { s.garbled = true }},
		"of something else":   {1, func(s *reply) { s.echo -= 0.4 }},
		"eight times as fast": {1, func(s *reply) { s.speed *= 8 }},
	} {
		seen, opens := changedAfter(t, c.spread, c.change)
		if seen == 0 || opens == 0 || opens > 45 {
			t.Errorf("%s: seen after %d answers, may open after %d", name, seen, opens)
		}
	}
	if seen, _ := changedAfter(t, 1, func(s *reply) { s.tokens, s.asked = s.tokens*5, s.asked*5 }); seen != 0 {
		t.Errorf("other questions were taken for another target after %d answers", seen)
	}
	if seen, _ := changedAfter(t, 1, func(s *reply) { s.echo += 0.2 }); seen != 0 {
		t.Errorf("better answers were taken for worse ones after %d", seen)
	}
}

// The bad time is no habit: after it the target is as before, and what it does then
// is judged by what it did before.
func TestBadTimeIsNoHabit(t *testing.T) {
	t.Parallel()
	h := habitual{random: rand.New(rand.NewPCG(3, 3)), kind: "normal", spread: 0.4, refusals: 0.01}
	var b baseline
	for range 400 {
		s := h.sample()
		b.observe(&s)
	}
	was := b.number(signalLength).mean
	for range 300 {
		s := h.sample()
		s.tokens /= 3
		b.observe(&s)
	}
	if b.change == nil {
		t.Fatal("nothing was seen")
	}
	for range 100 {
		s := h.sample()
		b.observe(&s)
	}
	if b.change != nil || math.Abs(b.number(signalLength).mean-was) > 0.1 {
		t.Errorf("the habit is %.2f, was %.2f; change %+v", b.number(signalLength).mean, was, b.change)
	}
	s := h.sample()
	for range 2000 { // and what goes on for ever is one in the end
		s = h.sample()
		s.tokens /= 3
		b.observe(&s)
	}
	if b.change != nil {
		t.Errorf("a change that goes on for ever is no habit: %+v", b.change)
	}
}

// Whatever comes, a baseline says nothing before it has learned, and no number of it
// is none.
func TestBaselineOfAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b baseline
		for i := range rapid.IntRange(0, 400).Draw(t, "answers") {
			s := reply{
				refuses: rapid.Bool().Draw(t, "refuses"), family: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "family"),
				tokens: rapid.IntRange(0, math.MaxInt32).Draw(t, "tokens"), asked: rapid.IntRange(0, math.MaxInt32).Draw(t, "asked"),
				speed: rapid.Float64Range(0, 1e12).Draw(t, "speed"), echo: rapid.Float64Range(-1, 1).Draw(t, "echo"),
			}
			if c := b.observe(&s); c != nil && i < learned {
				t.Fatalf("after %d answers: %s", i, c.reason)
			}
			if b.change != nil {
				b.weigh(&s)
				if math.IsNaN(b.change.sum) || math.IsInf(b.change.sum, 0) {
					t.Fatalf("the evidence is %v of %+v", b.change.sum, b.change)
				}
			}
			for s := signalLength; s < signals; s++ {
				if n := b.number(s); math.IsNaN(n.mean) || math.IsInf(n.mean, 0) || math.IsNaN(n.variance) || n.variance < 0 {
					t.Fatalf("signal %d: %+v", s, n)
				}
			}
		}
	})
}

func TestGarbledTexts(t *testing.T) {
	t.Parallel()
	prose := "The harbour was built in 1862, and its three cranes could lift forty tonnes each. When the railway came, most ships went elsewhere; the cranes were sold, and one of them stands in the museum today, painted green, between a tram and a bakery oven that nobody remembers."
	for text, want := range map[string]bool{
		"":                                       false,
		"42":                                     false,
		prose:                                    false,
		strings.ReplaceAll(prose, "a", "\uFFFD"): true,
		strings.ReplaceAll(prose, "a", `\ufffd`): true,
		strings.ReplaceAll(prose, "a", "\xff"):   true,
		strings.Repeat("the cranes were ", 40):   true,
		strings.Repeat("Это гавань. ", 30) + prose[:0]:                                 true, // the same again and again
		"Гавань была построена в 1862 году, три крана поднимали по сорок тонн каждый.": false,
		"港は1862年に建設され、三基のクレーンはそれぞれ40トンを持ち上げることができた。 The cranes were sold.":             false,
		prose[:80] + "гавань построена крана поднимали" + "港建設持上年基三港建設持上年基三":           true,
	} {
		if got := garbledText([]byte(text)); got != want {
			t.Errorf("%.60q: garbled %v", text, got)
		}
	}
	for text, want := range map[string]bool{
		"I'm sorry, but I can't help with that.": true, "I’m sorry, I cannot do this": true, "Es tut mir leid, das kann ich nicht.": true,
		"The letter says: ... ": false, "": false, "I'm sorry" + strings.Repeat(" to say that the harbour was closed", 30): false,
	} {
		if got := refusing([]byte(text)); got != want {
			t.Errorf("%.60q: a refusal %v", text, got)
		}
	}
	if of, other := echoed([]byte(prose[20:160]), []byte(`{"messages":[{"content":"`+prose+`"}]}`)), echoed([]byte(wordSalad), []byte(prose)); of < 0.9 || other > 0.3 {
		t.Errorf("what stands in the question stands there by %.2f, what does not by %.2f", of, other)
	}
}

const wordSalad = "Quantum marmalade drifts beneath seventeen velvet theorems while obsidian penguins negotiate lunar spreadsheets, and every umbrella whispers binary lullabies to porcelain dragons."

func BenchmarkBaseline(b *testing.B) {
	text := strings.Repeat("A summary of about this length says what the document says in fewer words, and not more. ", 12)
	body := []byte(`{"messages":[{"role":"user","content":"` + strings.Repeat("the document has words of all kinds, and this is one row of them; ", 300) + `"}]}`)
	answer := jobs.Answer{Body: completionOf(text), Model: "gpt-4o-2024-08-06", Usage: jobs.Usage{Input: 4000, Output: 240}}
	var base baseline
	b.ReportAllocs()
	for b.Loop() {
		s := replyOf(body, &answer, time.Second)
		base.observe(&s)
	}
}
