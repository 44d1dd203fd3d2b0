package app

import "tidegate/worker/publish"

// natsDoor tells whether a worker accepts requests over NATS.
func (c *Config) natsDoor(byDefault bool) bool {
	if c.NATSDoor == nil {
		return byDefault
	}
	return *c.NATSDoor
}

// doorConns is how many connections to Postgres it needs for that.
func (c *Config) doorConns(byDefault bool) int {
	if !c.natsDoor(byDefault) {
		return 0
	}
	return publish.DoorConns
}
