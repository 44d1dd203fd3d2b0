package routing

// Speed is the goal that prefers whoever answers first.
const Speed = "speed"

var _ = register(Speed, Weights{Success: 0.2, Latency: 0.6, Cost: 0.2}.Strategy())
