// Package jobs is a room of a house that is wrong in one way.
package jobs
