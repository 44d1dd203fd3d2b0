package bench

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
)

// A Resetter is a proxy that cuts the connection of the first request of a kind, once
// the server has answered it. Make one with NewResetter; it is safe for concurrent use.
type Resetter struct {
	method, path string
	proxy        *httputil.ReverseProxy
	once         sync.Once
	came         atomic.Int32
}

// NewResetter returns one before the server at a base URL without a path.
func NewResetter(base, method, path string) (*Resetter, error) {
	to, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	return &Resetter{method: method, path: path, proxy: httputil.NewSingleHostReverseProxy(to)}, nil
}

// Came counts the requests of that kind that came to it.
func (r *Resetter) Came() int { return int(r.came.Load()) }

// ServeHTTP passes a request on.
func (r *Resetter) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	request.Header["X-Forwarded-For"] = nil // it is a wire that breaks, and no proxy that says so
	cut := false
	if request.Method == r.method && request.URL.Path == r.path {
		r.came.Add(1)
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
