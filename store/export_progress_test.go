package store

// RouteLooks is the statement of a look, whose plan is tested.
const RouteLooks = routeLooks
