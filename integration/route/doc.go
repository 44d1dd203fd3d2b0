// Program route measures how well targets are chosen: the router, its circuits,
// paces, estimators and strategies as they are, on a virtual clock, in a model of
// providers that fail as real ones did, are slow now and then, and refuse what is
// more than they take.
//
// What is beside them stands in for others: round robin, peak-EWMA with two choices,
// and an oracle that sees how every target truly is. They are strategies of the very
// same router, so that all of them have its circuits, its paces and its retries.
package main
