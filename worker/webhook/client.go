package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"tidegate/jobs"
)

const (
	dialWithin = 5 * time.Second
	idleFor    = 30 * time.Second
	mostHeader = 64 << 10
)

// newClient makes a client for URLs of a scheme that dials only where such webhooks
// may lead. Each kind of webhook has its own, so that no connection of one that may
// more is used by one that may less.
func newClient(scheme string, private bool) *http.Client {
	dialer := &net.Dialer{Timeout: dialWithin, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return &refusedError{errors.New("leads to no address")}
		}
		if err := jobs.CheckWebhookAddr(at.Addr(), scheme, private); err != nil {
			return &refusedError{err}
		}
		return nil
	}}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: dialWithin, IdleConnTimeout: idleFor,
			MaxIdleConnsPerHost: 2, MaxResponseHeaderBytes: mostHeader, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// A refusedError says that we do not dial there.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }

// faultOf says why a request had no answer. What the system says is not repeated: it
// names addresses, which would tell whoever made the webhook what our network is like.
func faultOf(err error) string {
	var refused *refusedError
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &refused):
		return "not tried: it " + refused.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		return "its host has no address"
	case errors.As(err, &dns):
		return "the address of its host could not be looked up"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "its host refuses the connection"
	case isTLS(err):
		return "its certificate, or its TLS, is not good"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "it did not answer in time"
	default:
		return "the connection to it broke"
	}
}

func isTLS(err error) bool {
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	return errors.As(err, &verify) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &authority) || errors.As(err, &host) ||
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}
