package prices

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"tidegate/jobs"
)

// Amounts outside of these, in micro-USD per million tokens, were meant in another
// unit: the dearest models cost a few hundred dollars, and the cheapest cached
// tokens a third of a cent.
const (
	leastAmount jobs.MicroUSD = 100
	mostAmount  jobs.MicroUSD = 10_000_000_000
)

// decimal is a number as people write amounts. Exponents are for machines, and
// bounded, so that a few characters do not become a number of gigabytes.
var decimal = regexp.MustCompile(`^[0-9]{1,30}(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,2})?$`)

// readDecimal reads a number as it was written, exactly.
func readDecimal(said string) (*big.Rat, error) {
	if strings.HasPrefix(said, "-") {
		return nil, fmt.Errorf("%s is below zero", clip(said))
	}
	if !decimal.MatchString(said) {
		return nil, fmt.Errorf("%s is not an amount like 0.25", clip(said))
	}
	value, ok := new(big.Rat).SetString(said)
	if !ok {
		return nil, fmt.Errorf("%s is not an amount like 0.25", clip(said))
	}
	return value, nil
}

// exactAmount is dollars per million tokens in micro-USD. What has no such amount is
// an error.
func exactAmount(said string) (jobs.MicroUSD, error) {
	value, err := readDecimal(said)
	if err != nil {
		return 0, err
	}
	value.Mul(value, million)
	if !value.IsInt() {
		return 0, fmt.Errorf("%s is finer than a micro-USD: it has more than six decimals", clip(said))
	}
	return inRange(value.Num(), said)
}

// nearestAmount is times as much as was written in micro-USD, rounded to the nearest.
// Files of machines have figures like 1.2500000000000001e-06.
func nearestAmount(said string, times *big.Rat) (jobs.MicroUSD, error) {
	value, err := readDecimal(said)
	if err != nil {
		return 0, err
	}
	value.Mul(value, times)
	doubled := new(big.Int).Mul(value.Num(), big.NewInt(2))
	doubled.Add(doubled, value.Denom())
	return inRange(doubled.Quo(doubled, new(big.Int).Mul(value.Denom(), big.NewInt(2))), said)
}

var (
	million  = big.NewRat(1_000_000, 1)
	trillion = big.NewRat(1_000_000_000_000, 1) // micro-USD per million tokens, of dollars per token
)

func inRange(micros *big.Int, said string) (jobs.MicroUSD, error) {
	switch {
	case micros.Sign() == 0:
		return 0, nil
	case micros.Cmp(big.NewInt(int64(leastAmount))) < 0:
		return 0, fmt.Errorf("%s is next to nothing: amounts are USD per million tokens, not per token", clip(said))
	case micros.Cmp(big.NewInt(int64(mostAmount))) > 0:
		return 0, fmt.Errorf("%s is more than any model costs: amounts are USD per million tokens", clip(said))
	}
	return jobs.MicroUSD(micros.Int64()), nil
}

// WriteAmount is micro-USD in dollars, exactly, as short as it goes.
func WriteAmount(m jobs.MicroUSD) string {
	whole, micros := strconv.FormatInt(int64(m)/1_000_000, 10), fmt.Sprintf("%06d", int64(m)%1_000_000)
	if micros = strings.TrimRight(micros, "0"); micros == "" {
		return whole
	}
	return whole + "." + micros
}

// clip is what was written, as a message quotes it.
func clip(said string) string {
	if runes := []rune(said); len(runes) > 60 {
		said = string(runes[:60]) + "…"
	}
	return strconv.Quote(said)
}
