// Package replay says what another policy would have done with the traffic that was
// recorded: it runs the requests of a Log through the router itself, its circuits and
// its paces, on a virtual clock.
package replay
