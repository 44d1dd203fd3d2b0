package provider

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tidegate/jobs"
)

// An address is what of a target decides how it is called. Targets that are
// equal in it share an endpoint, also a copy with other timeouts.
type address struct {
	at                      jobs.Endpoint
	dialect, baseURL, model string
	key                     jobs.Secret
	variant                 jobs.Variant
	stream                  bool
	connect                 time.Duration
}

// An endpoint is a target prepared for calling at one of the API's: its URL is parsed
// and its headers are built once, not per call.
type endpoint struct {
	dialect   dialect    // as it is spoken there
	stream    *streaming // nil: answers come whole
	transport *http.Transport
	template  *http.Request // never sent itself; its header and URL are shared and only read
	secrets   []string      // what must not be seen in any text of the provider
}

// endpoint finds or prepares the endpoint of a target. Its errors name the
// field of the configuration that is wrong.
func (c *Client) endpoint(target *jobs.Target, of jobs.Endpoint) (*endpoint, error) {
	at := addressAt(target)
	at.at = of
	c.mu.RLock()
	end := c.endpoints[at]
	c.mu.RUnlock()
	if end != nil {
		return end, nil
	}
	speaks, ok := dialects[target.Dialect]
	if !ok {
		return nil, fmt.Errorf("dialect: %q is not known; use one of %s", target.Dialect, strings.Join(Dialects(), ", "))
	}
	if speaks, ok = speaks.at(of); !ok {
		return nil, fmt.Errorf("endpoints: the dialect %s does not serve %s", target.Dialect, of)
	}
	end, err := prepare(speaks, target, c.config.UserAgent)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	end.transport = c.transports[at.connect]
	forgotten := c.kept != nil && !c.kept[at.base()]
	switch {
	case end.transport == nil && forgotten:
		end.transport = newTransport(c.config, at.connect)
		end.transport.DisableKeepAlives = true // nobody would close what it keeps
	case end.transport == nil:
		end.transport = newTransport(c.config, at.connect)
		c.transports[at.connect] = end.transport
	}
	if !forgotten {
		c.endpoints[at] = end
	}
	return end, nil
}

func addressAt(target *jobs.Target) address {
	return address{jobs.EndpointChat, target.Dialect, target.BaseURL, target.Model, target.Key, target.Variant, target.Stream, target.Timeouts.Connect}
}

// base is the address of the same target, whatever it is asked for.
func (a address) base() address {
	a.at = jobs.EndpointChat
	return a
}

// Keep forgets what it keeps of all other targets: keys, and connections that are
// idle. Calls in flight go on, and hide their key to the end; one to a target that
// was forgotten is still made, and leaves nothing behind.
func (c *Client) Keep(targets []*jobs.Target) {
	kept, connects := map[address]bool{}, map[time.Duration]bool{}
	for _, target := range targets {
		at := addressAt(target)
		kept[at], connects[at.connect] = true, true
		at.stream = true // for who asks for pieces
		kept[at] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = kept
	maps.DeleteFunc(c.endpoints, func(at address, _ *endpoint) bool { return !kept[at.base()] })
	for connect, transport := range c.transports {
		if !connects[connect] {
			delete(c.transports, connect)
			transport.CloseIdleConnections()
		}
	}
}

func prepare(speaks dialect, target *jobs.Target, userAgent string) (*endpoint, error) {
	base, err := url.Parse(target.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		// The URL itself stays out of the error: it may hold a password.
		return nil, errors.New("base_url: must be a URL as in https://api.example.com/v1")
	}
	user := base.User
	base.User, base.Fragment = nil, ""
	base.Path = cmp.Or(base.Path, "/") // or else JoinPath makes a relative one

	trimmed := *target
	trimmed.Key = jobs.Secret(strings.TrimSpace(target.Key.Reveal()))
	if strings.ContainsFunc(trimmed.Key.Reveal(), isControl) {
		return nil, errors.New("api_key: holds a line break or another control character, which no header can carry")
	}
	full, err := addressOf(speaks, &trimmed, base)
	if err != nil {
		return nil, err
	}
	header, own, err := headersOf(speaks, &trimmed)
	if err != nil {
		return nil, err
	}
	request := &http.Request{
		Method: http.MethodPost, URL: full, Host: full.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", userAgent)
	}
	stream, err := askedFor(speaks, target, request)
	if err != nil {
		return nil, err
	}
	if user != nil && trimmed.Key == "" {
		password, _ := user.Password()
		request.SetBasicAuth(user.Username(), password)
	}
	secrets := secretsOf(append(own, trimmed.Key.Reveal()), user, proxyUser(request))
	return &endpoint{dialect: speaks, stream: stream, template: request, secrets: secrets}, nil
}

// askedFor is the stream that a target asks for, if it does, and makes its request
// ask for it.
func askedFor(speaks dialect, target *jobs.Target, request *http.Request) (*streaming, error) {
	if !target.Stream || speaks.whole {
		return nil, nil
	}
	if speaks.stream == nil {
		return nil, fmt.Errorf("stream: dialect %s sends no streams; leave it out", target.Dialect)
	}
	request.Header.Set("Accept", "text/event-stream, application/json")
	if speaks.stream.address != nil {
		speaks.stream.address(request.URL)
	}
	return speaks.stream, nil
}

const (
	// leastKey spares the names that servers without keys are given for one
	// ("EMPTY", "ollama"): hiding those would maim the names of models.
	leastKey      = 8
	leastPassword = 4
)

// proxyUser is who we are to the proxy on the way, if there is one: it may say so
// when it refuses a call.
func proxyUser(request *http.Request) *url.Userinfo {
	proxy, err := http.ProxyFromEnvironment(request)
	if err != nil || proxy == nil {
		return nil
	}
	return proxy.User
}

// secretsOf lists the texts to hide, the longest first, in the spellings in
// which a provider, a proxy or net/http may echo them.
func secretsOf(keys []string, users ...*url.Userinfo) []string {
	words := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return len(key) < leastKey })
	for _, user := range users {
		if user == nil {
			continue
		}
		password, _ := user.Password()
		words = append(words, password, user.String(), base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	var all []string
	for _, word := range words {
		for _, spelling := range []string{word, url.QueryEscape(word), url.PathEscape(word)} {
			if len(spelling) >= leastPassword && !slices.Contains(all, spelling) {
				all = append(all, spelling)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}
