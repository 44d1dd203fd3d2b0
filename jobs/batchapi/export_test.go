package batchapi

import "time"

// Hasten has a Server be less patient with who sends or reads slowly.
func (s *Server) Hasten(silence, grace time.Duration) { s.patience = patience{silence, grace, silence} }

// Shrink has a Server hold fewer bytes of bodies.
func (s *Server) Shrink(bytes int64) { s.room = newRoom(bytes) }
