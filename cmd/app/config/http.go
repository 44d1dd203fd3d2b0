package config

import "tidegate/jobs/batchapi"

// HTTP is how much the HTTP server does at a time. Who comes beyond that is told
// to come again in a second.
type HTTP struct {
	Requests int `yaml:"requests"` // that are served at a time
	Uploads  int `yaml:"uploads"`  // those of them that bring a file
	Waiting  int `yaml:"waiting"`  // those whose senders wait for an answer, beside them
}

// mostRequests is more than a machine has connections for.
const mostRequests = 100_000

func (h *HTTP) setDefaults() {
	h.Requests, h.Uploads, h.Waiting = batchapi.DefaultRequests, batchapi.DefaultUploads, batchapi.DefaultWaiting
}

// checkHTTP notes what is wrong with the limits of the HTTP server.
func (r *reader) checkHTTP(h *HTTP) {
	for field, n := range map[string]int{"http.requests": h.Requests, "http.uploads": h.Uploads, "http.waiting": h.Waiting} {
		if n < 1 || n > mostRequests {
			r.problem(field, "must be from 1 to %d", mostRequests)
		}
	}
}
