package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"tidegate/cmd/app/tracing"
	"tidegate/jobs"
	"tidegate/jobs/batchapi"
)

const (
	healthTimeout   = 3 * time.Second
	shutdownTimeout = 5 * time.Second
	headerTimeout   = 10 * time.Second
	idleTimeout     = 2 * time.Minute
	maxHeaderBytes  = 32 << 10
)

// listen takes an address, or says who to make room for.
func listen(ctx context.Context, flag, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, taken(flag, address)
	case err != nil:
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	return listener, nil
}

func taken(flag, address string) error {
	return fmt.Errorf("%s is taken by another program: stop that one, or choose another port with %s (port 0 takes a free one)", address, flag)
}

// addHealth answers what orchestrators and people ask: is it alive (/healthz), may it
// be sent traffic (/readyz), how does everything stand (/v1/status). The last is of
// all tenants.
func addHealth(server *batchapi.Server, pool *pgxpool.Pool, look *look) {
	server.HandleAlways("GET /healthz", http.HandlerFunc(alive))
	server.Handle("GET /readyz", "", ready(pool))
	server.Handle("GET /v1/status", jobs.ScopeAdmin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, view, err := look.once(r.Context())
		if err != nil {
			answer(w, http.StatusServiceUnavailable, map[string]any{"error": map[string]any{
				"message": "the status could not be read from Postgres", "type": "server_error", "param": nil, "code": "status_unavailable",
			}})
			return
		}
		answer(w, http.StatusOK, view)
	}))
}

func alive(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "ok", "version": programVersion()})
}

func ready(pool *pgxpool.Pool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
		defer cancel()
		if err := pool.Ping(ctx); err != nil {
			answer(w, http.StatusServiceUnavailable, map[string]string{"status": "unavailable", "reason": "Postgres does not answer"})
			return
		}
		answer(w, http.StatusOK, map[string]string{"status": "ready"})
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

// serveHTTP serves until ctx ends, and lets open requests finish, for some seconds and
// as long as calls may go on, but for those that have no end of their own.
func serveHTTP(ctx context.Context, listener net.Listener, handler *batchapi.Server, tracer *tracing.Tracer, calls time.Duration) error {
	server := &http.Server{Handler: tracer.Wrap(handler), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving HTTP: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout+calls)
	defer cancel()
	handler.End()
	if err := server.Shutdown(last); err != nil {
		return fmt.Errorf("stopping HTTP: %w", err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving HTTP: %w", err)
	}
	return nil
}
