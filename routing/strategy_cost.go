package routing

// Cost is the goal that prefers whoever takes least for an answer.
const Cost = "cost"

var _ = register(Cost, Weights{Success: 0.2, Latency: 0.2, Cost: 0.6}.Strategy())
