package routing

// Balanced is the goal that weighs whether a target answers, how fast and for how much about
// the same.
const Balanced = "balanced"

var _ = register(Balanced, Weights{Success: 0.4, Latency: 0.3, Cost: 0.3}.Strategy())
