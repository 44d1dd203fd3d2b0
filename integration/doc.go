// Package integration tests the whole: the program as it is assembled, on a
// PostgreSQL and a NATS server that the tests start themselves, and the house
// that it is built in.
package integration
