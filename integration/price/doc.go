// Command price measures what waiting for a cheaper target saves, and what it costs in
// deadlines: a day of a batch on the real router, circuits and paces, on a virtual
// clock, beside an oracle that knows the day beforehand. `make bench-price` runs it.
package main
