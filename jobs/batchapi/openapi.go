package batchapi

import (
	_ "embed" // the document
	"net/http"

	"tidegate/jobs"
)

// document says what there is, for people and for programs that write clients: OpenAPI
// 3.1, written by hand. Tests hold it to the handlers, and these to it.
//
//go:embed openapi.json
var document []byte

// getDocument shows it to everybody.
func (s *Server) getDocument(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(document) // who asked may be gone
	return nil
}

// Scopes are what a key must be good for, by the pattern of an operation; empty:
// everybody is let in.
func (s *Server) Scopes() map[string]jobs.KeyScope { return s.scopes }
