package routing

// Balanced is the goal that weighs whether a target answers, how fast and for how much about
// the same.
const Balanced = "balanced"

var _ = register(Balanced, weighted[Balanced].Strategy())
