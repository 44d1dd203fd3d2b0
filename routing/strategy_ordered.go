package routing

// Ordered is the goal of taking the chain as it is written.
const Ordered = "ordered"

func ordered([]int, []Candidate) {}
