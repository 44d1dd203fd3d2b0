package routing

import "tidegate/jobs"

// Ordered is the goal of taking the chain as it is written.
const Ordered = "ordered"

var _ = register(Ordered, ordered)

func ordered([]int, []jobs.Score, []Candidate) {}
