package routing

// Cost is the goal that prefers whoever takes least for an answer.
const Cost = "cost"

var _ = register(Cost, weighted[Cost].Strategy())
