package routing

// Speed is the goal that prefers whoever answers first.
const Speed = "speed"

var _ = register(Speed, weighted[Speed].Strategy())
