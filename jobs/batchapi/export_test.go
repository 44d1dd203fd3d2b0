package batchapi

import "time"

// Hasten has a Server be less patient with who sends or reads slowly.
func (s *Server) Hasten(silence, grace time.Duration) { s.patience = patience{silence, grace, silence} }
