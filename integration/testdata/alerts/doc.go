// Package alerts runs the tests of the alert rules with Prometheus's own engine, which is
// no part of the program: so it is a module of its own. `make check-alerts` runs it.
package alerts
