package simulator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// everyProvider names all of them.
const everyProvider = "*"

// stopGrace is how long answers that are being written may take when the server
// stops.
const stopGrace = 2 * time.Second

// A Server holds simulated providers. It is an http.Handler, and safe for
// concurrent use.
type Server struct {
	config    Config
	providers []*simulated // in the order of the configuration
	stopped   chan struct{}

	mu       sync.Mutex
	listener net.Listener // nil: not yet
}

// New builds the server and starts the scripts' time. It refuses a
// configuration that Config.Validate refuses.
func New(config Config) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("checking the simulator's configuration: %w", err)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	s := &Server{config: config, stopped: make(chan struct{})}
	shared := &shared{now: config.Now, seed: config.Seed, plain: config.Plain, stopped: s.stopped}
	for _, provider := range config.Providers {
		s.providers = append(s.providers, newSimulated(provider, shared, config.Remember))
	}
	return s, nil
}

// Listen takes the address of the configuration, so that BaseURL is known
// before Run, and starts the scripts' time again.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	address := cmp.Or(s.config.Listen, DefaultListen)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening for simulated calls on %s: %w", address, err)
	}
	s.listener = listener
	s.StartScript()
	return nil
}

// Run serves until ctx ends; then calls that wait or hang lose their connection,
// and it returns nil. It listens if Listen was not called. Run once.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving simulated calls: %w", err)
	case <-ctx.Done():
	}
	close(s.stopped)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close() // what is still open now has no one to wait for it
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving simulated calls: %w", err)
	}
	return nil
}

// Addr is where the server listens, as host:port; empty before Listen.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// BaseURL is the base URL of a target of that provider, as in
// http://127.0.0.1:8089/cheap/v1. Before Listen, or under another server, it is
// the path alone. It is empty when there is no such provider.
func (s *Server) BaseURL(name string) string {
	p := s.find(name)
	if p == nil {
		return ""
	}
	path := "/" + name + p.dialect.base
	if address := s.Addr(); address != "" {
		return "http://" + address + path
	}
	return path
}

// Names lists the providers in the order of the configuration.
func (s *Server) Names() []string {
	names := make([]string, 0, len(s.providers))
	for _, p := range s.providers {
		names = append(names, p.Name)
	}
	return names
}

// StartScript counts every script from now and forgets what was commanded.
func (s *Server) StartScript() {
	now := s.config.Now()
	for _, p := range s.providers {
		p.schedule.restart(now)
	}
}

// Set begins a fault at one provider, or at all with "*". It refuses a fault
// that Fault.Validate refuses and a name that is not there.
func (s *Server) Set(name string, fault Fault) error {
	if err := fault.Validate(); err != nil {
		return fmt.Errorf("setting a fault at %s: %w", name, err)
	}
	chosen, err := s.choose(name)
	if err != nil {
		return fmt.Errorf("setting a fault: %w", err)
	}
	now := s.config.Now()
	for _, p := range chosen {
		p.schedule.set(fault, now)
	}
	return nil
}

// Clear ends the fault of one provider, or of all with "*", whatever began it.
func (s *Server) Clear(name string) error {
	return s.Set(name, Fault{Mode: OK})
}

// Calls counts what reached a provider, or all with "*"; nothing for a name
// that is not there. Calls.Since subtracts an earlier value.
func (s *Server) Calls(name string) Calls {
	sum := Calls{Outcomes: make(map[Mode]int)}
	chosen, _ := s.choose(name)
	for _, p := range chosen {
		sum = sum.plus(p.counter.snapshot())
	}
	return sum
}

// FirstCallAfter is the arrival of the first call that is not before t, at one
// provider or at any with "*"; zero when there is none. It is exact where calls
// are rare, as they are in an outage; among several within a tenth of a second
// it may name a later one.
func (s *Server) FirstCallAfter(name string, t time.Time) time.Time {
	var first time.Time
	chosen, _ := s.choose(name)
	for _, p := range chosen {
		at := p.counter.firstCall(t)
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// FirstAnswerAfter is FirstCallAfter for the end of whole answers.
func (s *Server) FirstAnswerAfter(name string, t time.Time) time.Time {
	var first time.Time
	chosen, _ := s.choose(name)
	for _, p := range chosen {
		at := p.counter.firstAnswer(t)
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// Seconds counts the calls at one provider by the second, from the second of t
// on, leaving out those in which nothing was. It reaches back two hours of calls
// without a pause; it is empty for a name that is not there.
func (s *Server) Seconds(name string, t time.Time) []Second {
	p := s.find(name)
	if p == nil {
		return nil
	}
	return p.counter.since(t)
}

// SetCapacity changes what one provider carries, or all with "*", at once; the
// zero Capacity ends every bound. It refuses what Capacity.Validate refuses and a
// name that is not there.
func (s *Server) SetCapacity(name string, capacity Capacity) error {
	if err := capacity.Validate(); err != nil {
		return fmt.Errorf("setting the capacity of %s: %w", name, err)
	}
	chosen, err := s.choose(name)
	if err != nil {
		return fmt.Errorf("setting a capacity: %w", err)
	}
	now := s.config.Now()
	for _, p := range chosen {
		p.carry(capacity, now)
	}
	return nil
}

// Seen tells how often the same thing was asked, at one provider or in all with
// "*". It is zero unless Config.Remember is set.
func (s *Server) Seen(name string) Seen {
	sum := make(map[uint64]tally)
	chosen, _ := s.choose(name)
	for _, p := range chosen {
		p.counter.addSeen(sum)
	}
	return countSeen(sum)
}

// ServeHTTP answers calls and, below /_simulator, commands.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if name == controlName {
		s.control(w, r, rest)
		return
	}
	p := s.find(name)
	if p == nil {
		_, err := s.choose(name)
		writeProblem(w, http.StatusNotFound, err)
		return
	}
	p.serve(w, r, "/"+rest)
}

func (s *Server) find(name string) *simulated {
	for _, p := range s.providers {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func (s *Server) choose(name string) ([]*simulated, error) {
	if name == everyProvider {
		return slices.Clone(s.providers), nil
	}
	if p := s.find(name); p != nil {
		return []*simulated{p}, nil
	}
	return nil, fmt.Errorf("provider: there is no %q; use one of %s, or * for all", name, strings.Join(s.Names(), ", "))
}
