package store

// RouteLooks is the statement of a look, whose plan is tested.
const RouteLooks = routeLooks

// CountSinceSQL is the statement that counts what came since, whose plan is tested.
const CountSinceSQL = countSince
