package app

import "tidegate/jobs/batchapi"

// HTTPConfig is how much the HTTP server does at a time. Who comes beyond that is told
// to come again in a second.
type HTTPConfig struct {
	Requests int `yaml:"requests"` // that are served at a time
	Uploads  int `yaml:"uploads"`  // those of them that bring a file
}

// mostRequests is more than a machine has connections for.
const mostRequests = 100_000

func (h *HTTPConfig) setDefaults() {
	h.Requests, h.Uploads = batchapi.DefaultRequests, batchapi.DefaultUploads
}

// checkHTTP notes what is wrong with the limits of the HTTP server.
func (r *configReader) checkHTTP(h *HTTPConfig) {
	if h.Requests < 1 || h.Requests > mostRequests {
		r.problem("http.requests", "must be from 1 to %d", mostRequests)
	}
	if h.Uploads < 1 || h.Uploads > mostRequests {
		r.problem("http.uploads", "must be from 1 to %d", mostRequests)
	}
}
