package config

import "tidegate/worker/publish"

// AcceptsOverNATS tells whether a worker accepts requests over NATS.
func (c *Config) AcceptsOverNATS(byDefault bool) bool {
	if c.NATSDoor == nil {
		return byDefault
	}
	return *c.NATSDoor
}

// DoorConns is how many connections to Postgres a worker needs for that.
func (c *Config) DoorConns(byDefault bool) int {
	if !c.AcceptsOverNATS(byDefault) {
		return 0
	}
	return publish.DoorConns
}
