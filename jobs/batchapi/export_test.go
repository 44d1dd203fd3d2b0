package batchapi

import (
	"io"
	"time"
)

// Hasten has a Server be less patient with who sends or reads slowly.
func (s *Server) Hasten(silence, grace time.Duration) {
	s.patience = patience{silence, grace, 2 * silence}
}

// Shrink has a Server hold fewer bytes of bodies, and as many of those who wait.
func (s *Server) Shrink(bytes int64) { s.room, s.hall.bytes = newRoom(bytes), newStock(bytes) }

// Beat has streams of events say sooner that they live.
func (s *Server) Beat(every time.Duration) { s.beat = every }

// StreamsAtOnce and StreamsOfTenant bound how many streams of events are served.
const (
	StreamsAtOnce   = eventsAtOnce
	StreamsOfTenant = eventsOfTenant
)

// Patterns are all operations of the API, as of http.ServeMux.
func (s *Server) Patterns() []string {
	var all []string
	for _, route := range s.routes() {
		all = append(all, route.pattern)
	}
	return all
}

// Occupy has a Server serve as many requests as it may.
func (s *Server) Occupy() {
	for range cap(s.busy) {
		s.busy <- struct{}{}
	}
}

// ReadWhole is readWhole.
func ReadWhole(in io.Reader, told int64) ([]byte, error) { return readWhole(in, told) }

// SmallBytes is what each body may have beside the room of all.
const SmallBytes = smallBytes
