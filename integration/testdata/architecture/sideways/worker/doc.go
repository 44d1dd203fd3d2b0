// Package worker is a room of a house that is wrong in one way.
package worker
