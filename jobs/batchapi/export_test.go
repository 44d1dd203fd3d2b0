package batchapi

import "time"

// Hasten has a Server be less patient with who sends slowly.
func (s *Server) Hasten(silence, grace time.Duration) { s.patience = patience{silence, grace} }
