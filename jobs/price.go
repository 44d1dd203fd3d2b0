package jobs

import (
	"math"
	"math/bits"
)

// MaxTiers is how many sizes a price may change at.
const MaxTiers = 4

// A Price is what a target takes, in micro-USD per million tokens. The zero price
// is one that nobody knows; what costs nothing says so with Free. Prices can be
// compared with ==.
type Price struct {
	Input       MicroUSD
	CachedInput MicroUSD // zero: cached tokens cost nothing
	Output      MicroUSD
	Reasoning   MicroUSD // of the part of the output that is reasoning; zero: as Output
	// Over are the prices of larger prompts, by rising size; those of no size are
	// not there.
	Over [MaxTiers]Tier
	Free bool // it is known, and is nothing
}

// A Tier is what a call costs, all of it, whose prompt has more than Tokens tokens.
// Its prices are as those of a Price.
type Tier struct {
	Tokens      int
	Input       MicroUSD
	CachedInput MicroUSD
	Output      MicroUSD
	Reasoning   MicroUSD
}

// Known tells whether there is a price at all; a target without one is warned
// of, never taken for free.
func (p Price) Known() bool { return p != Price{} }

// Cost is what usage costs at this price, rounded to the nearest micro-USD, as
// exact as that. The size of the prompt decides which prices hold, for the whole
// call. Cached input is charged at its own price, the rest of the input at the full
// one; so is reasoning, and the rest of the output. Counts and prices below zero are
// taken as zero, and what is more than a MicroUSD holds as the most that it does.
// Of a price that is not known it is zero: ask Known first, or Unpriced.
func (p Price) Cost(u Usage) MicroUSD {
	at := Tier{0, p.Input, p.CachedInput, p.Output, p.Reasoning}
	for _, tier := range p.Over {
		if tier.Tokens > 0 && u.Input > tier.Tokens {
			at = tier
		}
	}
	if at.Reasoning == 0 {
		at.Reasoning = at.Output
	}
	var s sum
	cached, reasoning := min(u.CachedInput, u.Input), min(u.Reasoning, u.Output)
	s.add(u.Input-max(cached, 0), at.Input)
	s.add(cached, at.CachedInput)
	s.add(u.Output-max(reasoning, 0), at.Output)
	s.add(reasoning, at.Reasoning)
	return s.perMillion()
}

// Most is the most that usage costs whose prompt has no more tokens than that: the
// price of a larger prompt may be the lower one.
func (p Price) Most(u Usage) MicroUSD {
	most := p.Cost(u)
	for _, tier := range p.Over {
		if smaller := u; tier.Tokens > 0 && tier.Tokens < u.Input {
			smaller.Input = tier.Tokens
			most = max(most, p.Cost(smaller))
		}
	}
	return most
}

// Unpriced tells whether nobody knows what usage costs: tokens were used, and there
// is no price.
func (p Price) Unpriced(u Usage) bool { return u != Usage{} && !p.Known() }

// A sum of tokens times prices. Four products of any two int64 fit.
type sum struct{ high, low uint64 }

func (s *sum) add(tokens int, price MicroUSD) {
	high, low := bits.Mul64(uint64(max(tokens, 0)), uint64(max(price, 0)))
	var carry uint64
	s.low, carry = bits.Add64(s.low, low, 0)
	s.high, _ = bits.Add64(s.high, high, carry)
}

// perMillion divides by the million tokens that prices are for.
func (s *sum) perMillion() MicroUSD {
	const million = 1_000_000
	low, carry := bits.Add64(s.low, million/2, 0)
	high := s.high + carry
	if high >= million {
		return math.MaxInt64
	}
	cost, _ := bits.Div64(high, low, million)
	return MicroUSD(min(cost, math.MaxInt64))
}
