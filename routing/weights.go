package routing

import (
	"fmt"
	"math"

	"tidegate/jobs"
)

// Weights say how much a target's success rate, latency and cost count. They are
// not below zero, and their sum is 1.
type Weights struct {
	Success, Latency, Cost float64
}

// weighted are the strategies that need no configuration and are nothing but weights.
var weighted = map[string]Weights{
	Balanced: {Success: 0.4, Latency: 0.3, Cost: 0.3},
	Cost:     {Success: 0.2, Latency: 0.2, Cost: 0.6},
	Speed:    {Success: 0.2, Latency: 0.6, Cost: 0.2},
}

// WeightsOf are those of a strategy that needs no configuration; false: it has none.
func WeightsOf(goal string) (w Weights, is bool) {
	w, is = weighted[goal]
	return w, is
}

// weightSlop is how far from 1 a sum of numbers is that people write.
const weightSlop = 1e-6

// Check says what is wrong with the weights, or nil.
func (w Weights) Check() error {
	for _, of := range []struct {
		name   string
		weight float64
	}{{"success_rate", w.Success}, {"latency", w.Latency}, {"cost", w.Cost}} {
		if !(of.weight >= 0 && of.weight <= 1) {
			return fmt.Errorf("%s: %v is not a weight: use 0 to 1", of.name, of.weight)
		}
	}
	if sum := w.Success + w.Latency + w.Cost; math.Abs(sum-1) > weightSlop {
		return fmt.Errorf("success_rate, latency and cost come to %.6g: their sum must be 1", sum)
	}
	return nil
}

// Strategy is the one that these weights make: the best score first, and of equal
// ones the first of the chain.
//
//	score = success × its rate + latency × (1 − latency ÷ the worst) + cost × (1 − cost ÷ the worst)
//
// The wait for a place is a part of the latency. The worst are those of the targets
// that may be called. What a target of no known price costs is taken for as much as
// the dearest.
func (w Weights) Strategy() Strategy {
	return func(order []int, scores []jobs.Score, candidates []Candidate) {
		latency, cost := worst(candidates)
		for i := range candidates {
			c := &candidates[i]
			s := &scores[i]
			s.Success = w.Success * c.Success
			s.Latency = w.Latency * (1 - share(float64(c.Latency+c.Wait), latency))
			s.Cost = w.Cost * (1 - share(float64(c.Cost), cost))
			if c.Unpriced {
				s.Cost = 0
			}
			s.Total = s.Success + s.Latency + s.Cost
		}
		byScore(order, scores)
	}
}

// worst is of those that may be called; of all, where none may.
func worst(candidates []Candidate) (latency, cost float64) {
	shut := true
	for i := range candidates {
		shut = shut && candidates[i].Shut
	}
	for i := range candidates {
		if c := &candidates[i]; shut || !c.Shut {
			latency = max(latency, float64(c.Latency+c.Wait))
			cost = max(cost, float64(c.Cost))
		}
	}
	return latency, cost
}

// share is x as a part of the worst: 0 where that is nothing, 1 at most.
func share(x, worst float64) float64 {
	if worst <= 0 {
		return 0
	}
	return min(max(x/worst, 0), 1)
}

// byScore sorts in place, and leaves equals as they were: chains are short.
func byScore(order []int, scores []jobs.Score) {
	for i := 1; i < len(order); i++ {
		for j := i; j > 0 && scores[order[j]].Total > scores[order[j-1]].Total; j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
}
