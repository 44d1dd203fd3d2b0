package jobs_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"tidegate/jobs"
)

func TestCost(t *testing.T) {
	t.Parallel()
	gemini := jobs.Price{Input: 1_250_000, CachedInput: 125_000, Output: 10_000_000, Over: [jobs.MaxTiers]jobs.Tier{
		{Tokens: 200_000, Input: 2_500_000, CachedInput: 250_000, Output: 15_000_000},
	}}
	sonar := jobs.Price{Input: 2_000_000, CachedInput: 2_000_000, Output: 8_000_000, Reasoning: 3_000_000}
	for name, c := range map[string]struct {
		price jobs.Price
		usage jobs.Usage
		want  jobs.MicroUSD
	}{
		"plain":                     {jobs.Price{Input: 250_000, CachedInput: 25_000, Output: 2_000_000}, jobs.Usage{Input: 1000, CachedInput: 400, Output: 500}, 1160},
		"cached tokens for free":    {jobs.Price{Input: 250_000, Output: 2_000_000}, jobs.Usage{Input: 1000, CachedInput: 1000}, 0},
		"reasoning as output":       {gemini, jobs.Usage{Output: 1000, Reasoning: 900}, 10_000},
		"reasoning at its own":      {sonar, jobs.Usage{Output: 1000, Reasoning: 900}, 3500},
		"the last prompt below":     {gemini, jobs.Usage{Input: 200_000, Output: 1000}, 260_000},
		"the first prompt above":    {gemini, jobs.Usage{Input: 200_001, Output: 1000}, 515_003},
		"cached counts to size":     {gemini, jobs.Usage{Input: 300_000, CachedInput: 300_000}, 75_000},
		"half a micro-USD is one":   {jobs.Price{Input: 500_000, Output: 1}, jobs.Usage{Input: 1}, 1},
		"less than half is none":    {jobs.Price{Input: 499_999, Output: 1}, jobs.Usage{Input: 1}, 0},
		"free":                      {jobs.Price{Free: true}, jobs.Usage{Input: 1000, Output: 1000}, 0},
		"more cached than there is": {jobs.Price{Input: 1_000_000, CachedInput: 500_000, Output: 1}, jobs.Usage{Input: 10, CachedInput: 20}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.price.Cost(c.usage); got != c.want {
				t.Errorf("%+v costs %d micro-USD, want %d", c.usage, got, c.want)
			}
		})
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	used := jobs.Usage{Input: 1}
	if (jobs.Price{}).Known() || !(jobs.Price{}).Unpriced(used) {
		t.Error("no price at all is taken for a price")
	}
	if (jobs.Price{}).Unpriced(jobs.Usage{}) {
		t.Error("a call that used nothing costs nothing, whatever the price")
	}
	for _, p := range []jobs.Price{{Free: true}, {Output: 1}, {Over: [jobs.MaxTiers]jobs.Tier{{Tokens: 1, Input: 1}}}} {
		if !p.Known() || p.Unpriced(used) {
			t.Errorf("%+v is not known", p)
		}
	}
}

func anyPrice(t *rapid.T) jobs.Price {
	amount := rapid.OneOf(rapid.Int64Range(0, 50_000_000), rapid.Int64Range(0, math.MaxInt64))
	draw := func(name string) jobs.MicroUSD { return jobs.MicroUSD(amount.Draw(t, name)) }
	p := jobs.Price{Input: draw("input"), CachedInput: draw("cached"), Output: draw("output"), Reasoning: draw("reasoning")}
	size := 0
	for i := range rapid.IntRange(0, jobs.MaxTiers).Draw(t, "tiers") {
		size += rapid.IntRange(1, 300_000).Draw(t, "size")
		p.Over[i] = jobs.Tier{Tokens: size, Input: draw("input over"), CachedInput: draw("cached over"), Output: draw("output over"), Reasoning: draw("reasoning over")}
	}
	return p
}

func anyUsage(t *rapid.T) jobs.Usage {
	tokens := rapid.OneOf(rapid.IntRange(0, 1_000_000), rapid.IntRange(0, math.MaxInt))
	u := jobs.Usage{Input: tokens.Draw(t, "in"), Output: tokens.Draw(t, "out")}
	u.CachedInput = rapid.IntRange(0, u.Input).Draw(t, "cached in")
	u.Reasoning = rapid.IntRange(0, u.Output).Draw(t, "reasoned")
	return u
}

// TestCostIsExact compares with arithmetic that has no limits.
func TestCostIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, u := anyPrice(t), anyUsage(t)
		at := jobs.Tier{Input: p.Input, CachedInput: p.CachedInput, Output: p.Output, Reasoning: p.Reasoning}
		for _, tier := range p.Over {
			if tier.Tokens > 0 && u.Input > tier.Tokens {
				at = tier
			}
		}
		if at.Reasoning == 0 {
			at.Reasoning = at.Output
		}
		want := big.NewInt(500_000)
		for _, part := range []struct {
			tokens int
			price  jobs.MicroUSD
		}{{u.Input - u.CachedInput, at.Input}, {u.CachedInput, at.CachedInput}, {u.Output - u.Reasoning, at.Output}, {u.Reasoning, at.Reasoning}} {
			want.Add(want, new(big.Int).Mul(big.NewInt(int64(part.tokens)), big.NewInt(int64(part.price))))
		}
		want.Div(want, big.NewInt(1_000_000))
		if most := big.NewInt(math.MaxInt64); want.Cmp(most) > 0 {
			want = most
		}
		if got := p.Cost(u); want.Cmp(big.NewInt(int64(got))) != 0 {
			t.Fatalf("%+v of %+v costs %d, want %s", p, u, got, want)
		}
	})
}

// TestCostNeverFalls says that more tokens of a call whose prompt keeps its tier do
// not cost less, and that no nonsense makes a cost negative.
func TestCostNeverFalls(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, u := anyPrice(t), anyUsage(t)
		more := u
		more.Output += rapid.IntRange(0, math.MaxInt-u.Output).Draw(t, "more")
		if p.Cost(more) < p.Cost(u) {
			t.Fatalf("%+v costs less than %+v at %+v", more, u, p)
		}
		odd := jobs.Usage{
			Input: rapid.Int().Draw(t, "a"), CachedInput: rapid.Int().Draw(t, "b"),
			Output: rapid.Int().Draw(t, "c"), Reasoning: rapid.Int().Draw(t, "d"),
		}
		p.Input, p.Output = jobs.MicroUSD(rapid.Int64().Draw(t, "e")), jobs.MicroUSD(rapid.Int64().Draw(t, "f"))
		if cost := p.Cost(odd); cost < 0 {
			t.Fatalf("%+v costs %d at %+v", odd, cost, p)
		}
	})
}

// Most is what no smaller prompt goes beyond, also where larger ones are cheaper.
func TestMostIsOfAllSmallerPrompts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Map(rapid.Int64Range(0, 20_000_000), func(n int64) jobs.MicroUSD { return jobs.MicroUSD(n) })
		price := jobs.Price{Input: amount.Draw(t, "input"), Output: amount.Draw(t, "output")}
		for i, from := 0, 0; i < rapid.IntRange(0, jobs.MaxTiers).Draw(t, "tiers"); i++ {
			from += rapid.IntRange(1, 100).Draw(t, "from")
			price.Over[i] = jobs.Tier{Tokens: from, Input: amount.Draw(t, "input"), Output: amount.Draw(t, "output")}
		}
		u := jobs.Usage{Input: rapid.IntRange(0, 500).Draw(t, "prompt"), Output: rapid.IntRange(0, 100).Draw(t, "answer")}
		most, met := price.Most(u), false
		for smaller := u; smaller.Input >= 0; smaller.Input-- {
			cost := price.Cost(smaller)
			met = met || cost == most
			if cost > most {
				t.Fatalf("%+v costs %d at %+v, more than the most, %d", smaller, cost, price, most)
			}
		}
		if !met {
			t.Errorf("no prompt of up to %d tokens costs %d at %+v", u.Input, most, price)
		}
	})
}
