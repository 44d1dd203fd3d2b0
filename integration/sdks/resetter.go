package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
)

// A resetter is a proxy that cuts the connection of the first create of a batch, once
// the server has answered it.
type resetter struct {
	*httptest.Server
	proxy   *httputil.ReverseProxy
	once    sync.Once
	creates atomic.Int32 // that came to it
}

func newResetter(base string) (*resetter, error) {
	to, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	r := &resetter{proxy: httputil.NewSingleHostReverseProxy(to)}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	return r, nil
}

func (r *resetter) serve(w http.ResponseWriter, request *http.Request) {
	request.Header["X-Forwarded-For"] = nil // it is a wire that breaks, and no proxy that says so
	cut := false
	if request.Method == http.MethodPost && request.URL.Path == "/v1/batches" {
		r.creates.Add(1)
		r.once.Do(func() { cut = true })
	}
	if !cut {
		r.proxy.ServeHTTP(w, request)
		return
	}
	r.proxy.ServeHTTP(httptest.NewRecorder(), request)
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0) // the other side is told of a reset
		_ = conn.Close()
	}
}
