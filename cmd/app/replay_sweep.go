package app

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tidegate/cmd/app/config"
	"tidegate/jobs"
	"tidegate/routing"
	"tidegate/routing/prices"
)

// mostSwept is how many policies a sweep makes, at most.
const mostSwept = 50

// A sweep is a setting of a configuration that takes one value after the other.
type sweep struct {
	setting string
	values  []float64
	timed   bool // they are times, in seconds
}

// parseSweep reads one as in "weights.cost=0:1:0.1".
func parseSweep(text string) (sweep, error) {
	setting, span, ok := strings.Cut(text, "=")
	parts := strings.Split(span, ":")
	if !ok || setting == "" || len(parts) != 3 {
		return sweep{}, fmt.Errorf("%q is not a setting with from, to and step, as in weights.cost=0:1:0.1", text)
	}
	var numbers [3]float64
	for i, part := range parts {
		x, err := sweptNumber(part)
		if err != nil {
			return sweep{}, fmt.Errorf("%q: %w", text, err)
		}
		numbers[i] = x
	}
	from, to, step := numbers[0], numbers[1], numbers[2]
	if !(step > 0) || to < from {
		return sweep{}, fmt.Errorf("%q: goes from %v to %v by %v, which never ends; use a step above zero", text, parts[0], parts[1], parts[2])
	}
	n := int(math.Floor((to-from)/step+1e-9)) + 1
	if (to-from)/step > mostSwept || n > mostSwept {
		return sweep{}, fmt.Errorf("%q: makes more than %d policies; use a larger step", text, mostSwept)
	}
	_, err := strconv.ParseFloat(parts[2], 64)
	s := sweep{setting: setting, timed: err != nil}
	for i := range n {
		s.values = append(s.values, math.Round((from+float64(i)*step)*1e9)/1e9)
	}
	return s, nil
}

// sweptNumber reads a number, or a time in seconds.
func sweptNumber(text string) (float64, error) {
	if x, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(x, 0) && !math.IsNaN(x) {
		return x, nil
	}
	if d, err := jobs.ParseDuration(text); err == nil {
		return d.Seconds(), nil
	}
	return 0, fmt.Errorf("%q is neither a number nor a time, as in 0.1 or 30s", text)
}

// of makes the policies of a sweep from one.
func (s *sweep) of(base policyFile) ([]policyFile, error) {
	some := make([]policyFile, len(s.values))
	for i, x := range s.values {
		conf, err := withSetting(base.config, s.setting, x)
		if err != nil {
			return nil, usagef("--sweep: %w", err)
		}
		some[i] = policyFile{s.setting + "=" + s.text(x), conf}
	}
	return some, nil
}

func (s *sweep) text(x float64) string {
	if s.timed {
		return time.Duration(x * float64(time.Second)).String()
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// withSetting is a configuration with another value of a setting, checked as a file is.
func withSetting(c *config.Config, setting string, x float64) (*config.Config, error) {
	changed, err := readAgain(c)
	if err != nil {
		return nil, err
	}
	if weight, is := strings.CutPrefix(setting, "weights."); is {
		err = setWeight(changed, weight, x)
	} else {
		err = setSetting(changed, setting, x)
	}
	if err != nil {
		return nil, err
	}
	return readAgain(changed)
}

// readAgain is what is read of a configuration where it is written down, without its keys
// and servers.
func readAgain(c *config.Config) (*config.Config, error) {
	bare := *c
	bare.Postgres, bare.NATS = "", ""
	known := allKnown()
	known.Keyless = true
	known.Prices = func(string) (*prices.Table, error) { return c.PriceTable(), nil }
	name := c.File
	if name == "" {
		name = "the configuration"
	}
	again, _, err := config.Parse([]byte(bare.String()), name, os.LookupEnv, known)
	var broken *config.Error
	if errors.As(err, &broken) { // the lines are of no file
		for i := range broken.Problems {
			broken.Problems[i].Line = 0
		}
	}
	if err != nil {
		return nil, err
	}
	again.File, again.Table = c.File, c.Table
	return again, nil
}

// swept is the strategy of a sweep over weights.
const swept = "swept"

// setWeight has all routes choose by weights of which one is given, and the others are as
// they were to each other: those of the route's goal, or of balanced where that has none.
func setWeight(c *config.Config, weight string, x float64) error {
	if weights := []string{"success_rate", "latency", "cost"}; !slices.Contains(weights, weight) {
		return fmt.Errorf("there is no weight %q; %s", weight, jobs.DidYouMean(weight, weights))
	}
	strategies := map[string]config.Weights{}
	for name, w := range c.Strategies {
		strategies[name] = w
	}
	for i := range c.Routes {
		name := swept
		if len(c.Routes) > 1 {
			name = fmt.Sprintf("%s-%d", swept, i+1)
		}
		strategies[name] = reweighted(weightsOf(c, c.Routes[i].Goal), weight, x)
		c.Routes[i].Goal = name
	}
	c.Strategies = strategies
	return nil
}

func weightsOf(c *config.Config, goal string) config.Weights {
	if own, is := c.Strategies[goal]; is {
		return own
	}
	w, is := routing.WeightsOf(goal)
	if !is {
		w, _ = routing.WeightsOf(routing.Balanced)
	}
	return config.Weights{SuccessRate: w.Success, Latency: w.Latency, Cost: w.Cost}
}

func reweighted(w config.Weights, weight string, x float64) config.Weights {
	all := []*float64{&w.SuccessRate, &w.Latency, &w.Cost}
	at := map[string]int{"success_rate": 0, "latency": 1, "cost": 2}[weight]
	*all[at] = 0
	sum := w.SuccessRate + w.Latency + w.Cost
	for i, other := range all {
		switch {
		case i == at:
		case sum > 0:
			*other *= (1 - x) / sum
		default:
			*other = (1 - x) / 2
		}
	}
	*all[at] = x
	return w
}
