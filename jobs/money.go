package jobs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// MicroUSD is an amount of money in millionths of a US dollar. Sums of it are
// exact.
type MicroUSD int64

// USD converts dollars, rounding to the nearest millionth.
func USD(dollars float64) MicroUSD { return MicroUSD(math.Round(dollars * 1e6)) }

// Dollars is the amount in dollars, for display and JSON only.
func (m MicroUSD) Dollars() float64 { return float64(m) / 1e6 }

// String writes the amount as a person reads it: at least two decimals, at most
// six ("$1.20", "$0.000318").
func (m MicroUSD) String() string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	micros := fmt.Sprintf("%06d", int64(m)%1e6)
	cents := micros[:2] + strings.TrimRight(micros[2:], "0")
	return sign + "$" + strconv.FormatInt(int64(m)/1e6, 10) + "." + cents
}

// CostText writes what something cost, of which a part may not be known.
func CostText(known MicroUSD, unpriced bool) string {
	switch {
	case !unpriced:
		return known.String()
	case known == 0:
		return "unknown"
	default:
		return "over " + known.String()
	}
}

// Usage is what an answer took, in tokens, as the provider counted them.
type Usage struct {
	Input       int `json:"input_tokens"`
	CachedInput int `json:"cached_input_tokens"` // part of Input
	Output      int `json:"output_tokens"`
	Reasoning   int `json:"reasoning_tokens"` // part of Output
}

// Add returns the sum of both.
func (u Usage) Add(v Usage) Usage {
	return Usage{u.Input + v.Input, u.CachedInput + v.CachedInput, u.Output + v.Output, u.Reasoning + v.Reasoning}
}
