package provider

import (
	"net"
	"net/http"
	"time"
)

const (
	// maxConnect bounds a dial for targets without a connect timeout, since
	// net/http goes on dialling after a call gave up.
	maxConnect = 30 * time.Second
	// idleConnection is below the keep-alive of common servers and balancers
	// (60 s), so that an unused connection is ours to close: one that dies
	// under a new call costs that call.
	idleConnection = 30 * time.Second
	// pingAfter and pingTimeout find out that an HTTP/2 connection is dead,
	// which would otherwise swallow every new call until TCP gives up.
	pingAfter   = 15 * time.Second
	pingTimeout = 10 * time.Second

	maxIdlePerHost = 1 << 16 // a worker has up to 10,000 calls in flight at one host
	maxHeaderBytes = 1 << 20
	tcpKeepAlive   = 15 * time.Second
)

// newTransport makes the connections of all targets with the same connect
// timeout. Transports are apart by that alone because net/http detaches a dial
// from the call that asked for it: only the dialer itself can end it in time.
func newTransport(config Config, connect time.Duration) *http.Transport {
	if connect <= 0 {
		connect = maxConnect
	}
	dial := config.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: connect, KeepAlive: tcpKeepAlive}).DialContext
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dial,
		TLSClientConfig:        config.TLS.Clone(),
		TLSHandshakeTimeout:    connect,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleConnection,
		MaxResponseHeaderBytes: maxHeaderBytes,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}
