package batchapi

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"tidegate/jobs"
	"tidegate/jobs/expect"
	"tidegate/store"
)

const (
	// DefaultMaxFileBytes is how large the input of a batch may be, as at OpenAI.
	DefaultMaxFileBytes = 200 << 20
	// DefaultFilesLive is how long files are kept whose senders say nothing of it.
	DefaultFilesLive = 30 * 24 * time.Hour
	// maxJSONBytes bounds a body that is not a file.
	maxJSONBytes = 1 << 20
	// DefaultRequests bounds the requests that are served at a time.
	DefaultRequests = 512
	// DefaultUploads bounds those of them that bring a file: each has some megabytes in
	// memory.
	DefaultUploads = 32
	// DefaultWaiting bounds those that last as long as somebody waits for an answer: they
	// cost little, and must not be in the way of the others.
	DefaultWaiting = 2048
)

// Config is what a Server is made of.
type Config struct {
	Store *store.Store
	// Queue takes single requests, and many in one call; nil: none are taken.
	Queue Queue
	// Events are followed by those who have no NATS; nil: none are.
	Events Events
	// Forecasts say when things will be done; nil: nobody does.
	Forecasts Forecasts
	// Goals are the optimization goals that are always there.
	Goals        []string
	MaxFileBytes int64         // of the input of a batch; zero: DefaultMaxFileBytes
	FilesLive    time.Duration // zero: DefaultFilesLive; below: for ever
	Requests     int           // at a time; zero: DefaultRequests
	Uploads      int           // of them; zero: DefaultUploads
	Waiting      int           // for an answer, beside them; zero: DefaultWaiting
	// Desk answers those who wait; nil: nobody is answered at once.
	Desk Desk
	// PrivateWebhooks lets webhooks that keys make lead into private networks; workers
	// must have it so, too.
	PrivateWebhooks bool

	Log zerolog.Logger
	Now func() time.Time // nil: time.Now
}

// A Server answers over HTTP. Make one with New; it is safe for concurrent use.
type Server struct {
	config   Config
	patience patience
	keys     *keyring
	busy     chan struct{}
	uploads  chan struct{}
	hall     *hall
	always   map[string]bool // by pattern: what is answered also when all are busy
	room     *room           // of bodies with requests
	answers  *room           // of answers on their way
	rules    expect.Cache    // what requests expect, compiled
	gallery  gallery
	beat     time.Duration
	ending   context.Context // that of streams, which have no end of their own
	end      context.CancelFunc
	scopes   map[string]jobs.KeyScope // by pattern
	mux      *http.ServeMux
}

// New returns a Server. Others may add handlers of theirs with Handle.
func New(config Config) *Server {
	config.MaxFileBytes = cmp.Or(config.MaxFileBytes, DefaultMaxFileBytes)
	config.FilesLive = cmp.Or(config.FilesLive, DefaultFilesLive)
	config.Requests, config.Uploads = cmp.Or(config.Requests, DefaultRequests), cmp.Or(config.Uploads, DefaultUploads)
	if config.Now == nil {
		config.Now = time.Now
	}
	s := &Server{
		config: config, patience: usualPatience, keys: newKeyring(config.Store, config.Now), mux: http.NewServeMux(),
		busy: make(chan struct{}, config.Requests), uploads: make(chan struct{}, config.Uploads), always: map[string]bool{}, room: newRoom(roomBytes), answers: newRoom(answersBytes),
		hall: newHall(cmp.Or(config.Waiting, DefaultWaiting)), beat: usualBeat, scopes: map[string]jobs.KeyScope{},
	}
	s.ending, s.end = context.WithCancel(context.Background())
	for _, route := range s.routes() {
		s.add(route.pattern, route.scope, s.guard(route.scope, route.handle))
	}
	return s
}

// A route is one operation of the API.
type route struct {
	pattern string        // as of http.ServeMux
	scope   jobs.KeyScope // empty: everybody is let in
	handle  handler
}

func (s *Server) routes() []route {
	return append(s.webhookRoutes(), []route{
		{"POST /v1/files", jobs.ScopeSubmit, s.createFile},
		{"GET /v1/files", jobs.ScopeRead, s.listFiles},
		{"GET /v1/files/{id}", jobs.ScopeRead, s.getFile},
		{"GET /v1/files/{id}/content", jobs.ScopeRead, s.getContent},
		{"DELETE /v1/files/{id}", jobs.ScopeSubmit, s.deleteFile},
		{"POST /v1/batches", jobs.ScopeSubmit, s.createBatch},
		{"GET /v1/batches", jobs.ScopeRead, s.listBatches},
		{"GET /v1/batches/{id}", jobs.ScopeRead, s.getBatch},
		{"POST /v1/batches/{id}/cancel", jobs.ScopeSubmit, s.cancelBatch},
		{"POST /v1/batches/{id}/retry", jobs.ScopeSubmit, s.retryBatch},
		{"POST /v1/chat/completions", jobs.ScopeSubmit, s.createCompletion},
		{"POST /v1/jobs", jobs.ScopeSubmit, s.takeJob},
		{"POST /v1/jobs:batch", jobs.ScopeSubmit, s.takeMany},
		{"GET /v1/jobs", jobs.ScopeRead, s.listJobs},
		{"GET /v1/jobs/{id}", jobs.ScopeRead, s.getJob},
		{"DELETE /v1/jobs/{id}", jobs.ScopeSubmit, s.cancelJob},
		{"GET " + eventsPath, jobs.ScopeRead, s.followEvents},
		{"GET /v1/openapi.json", "", s.getDocument},
		{"GET /v1/models", jobs.ScopeRead, s.listModels},
		{"GET /v1/models/{model...}", jobs.ScopeRead, s.getModel},
	}...)
}

// A handler answers one request of a tenant. Its error becomes the answer.
type handler func(w http.ResponseWriter, r *http.Request) error

// Handle adds a handler of another room, for keys with a scope; an empty one lets
// everybody in.
func (s *Server) Handle(pattern string, scope jobs.KeyScope, handle http.Handler) {
	s.add(pattern, scope, s.guard(scope, func(w http.ResponseWriter, r *http.Request) error {
		handle.ServeHTTP(w, r)
		return nil
	}))
}

func (s *Server) add(pattern string, scope jobs.KeyScope, handle http.Handler) {
	s.scopes[pattern] = scope
	s.mux.Handle(pattern, handle)
}

// End ends the streams of events, whose readers may come again elsewhere. Everything
// else is answered as before.
func (s *Server) End() { s.end() }

// HandleAlways adds a handler that answers everybody, also while too many requests are
// being served: who is told to wait must not be taken for dead. It may not wait for
// anything.
func (s *Server) HandleAlways(pattern string, handle http.Handler) {
	s.always[pattern] = true
	s.add(pattern, "", handle)
}

// Mount adds a handler that is no part of the API, and lets in whom it likes: a page, for
// people. A stream of it goes on for as long as somebody follows, without a place among
// those who are served, and ends when the server does.
func (s *Server) Mount(pattern string, stream bool, handle http.Handler) {
	if !stream {
		s.mux.Handle(pattern, handle)
		return
	}
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(s.ending, cancel)()
		if answer, ok := w.(*answerWriter); ok {
			answer.release()
		}
		handle.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Ending ends when the server is about to.
func (s *Server) Ending() context.Context { return s.ending }

// Local tells whether there is no key at all, so that whoever comes from this machine is
// let in, and says why who asks is not one of them.
func (s *Server) Local(r *http.Request) (open bool, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), looksWithin)
	defer cancel()
	if open, err = s.keys.isOpen(ctx); err != nil || !open {
		return false, err
	}
	return true, checkLocal(r)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newRequestID()
	w.Header().Set("X-Request-Id", id)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	answer := &answerWriter{ResponseWriter: w, control: http.NewResponseController(w), taking: s.patience.taking, release: func() {}}
	// net/http goes on with its own request, whose body it knows: what is left of that is
	// not waited for if it is large, and not for long if it is small.
	r = r.WithContext(jobs.WithTraceparent(r.Context(), r.Header.Get("Traceparent")))
	if r.ContentLength != 0 {
		_ = answer.control.SetReadDeadline(time.Now().Add(s.patience.silence)) // a connection without deadlines has none to miss
	}
	// A body in chunks may have had a length, too, of which net/http does not tell: what
	// somebody on its way took for the end of that must not be read as another request.
	if len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close")
	}
	defer s.recover(answer, r, id)
	serve, pattern := s.mux.Handler(r)
	if !s.always[pattern] {
		select {
		case s.busy <- struct{}{}:
			answer.release = sync.OnceFunc(func() { <-s.busy })
			defer answer.release()
		default:
			giveUp(answer, r, errBusy)
			return
		}
	}
	r.Body = newPatient(w, r.Body, s.patience)
	if pattern == "" {
		writeError(answer, s.noSuchRoute(serve, r))
		return
	}
	s.mux.ServeHTTP(answer, r)
}

// recover has the answer to a panic be an error like any other, if there is still
// time for one.
func (s *Server) recover(w *answerWriter, r *http.Request, id string) {
	why := recover()
	if why == nil {
		return
	}
	if why == http.ErrAbortHandler { //nolint:errorlint // a sentinel that is panicked with
		panic(why)
	}
	// Of what panicked only its kind is told: a value may hold what somebody sent.
	s.config.Log.Error().Str("request_id", id).Str("method", r.Method).Str("route", r.Pattern).Str("panic", kindOf(why)).Msg("a handler panicked")
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	writeError(w, errInternal)
}

// An answerWriter knows whether the answer has begun, and gives each piece of it its
// time: who does not read keeps no place. net/http forgets that time with the answer.
type answerWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	taking  time.Duration
	begun   bool
	release func() // gives the place back that it has among those who are served
}

// WriteHeader begins the answer.
func (w *answerWriter) WriteHeader(status int) {
	w.begun = w.begun || status >= http.StatusOK
	w.ResponseWriter.WriteHeader(status)
}

// Write goes on with it.
func (w *answerWriter) Write(p []byte) (int, error) {
	w.begun = true
	_ = w.control.SetWriteDeadline(time.Now().Add(w.taking)) // a connection without deadlines has none to miss
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// guard lets in who has a key with a scope, and answers with the handler's error.
func (s *Server) guard(scope jobs.KeyScope, handle handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var key jobs.Key
		var err error
		if scope != "" {
			key, err = s.keys.admit(r, scope)
		}
		if err == nil {
			err = handle(w, r.WithContext(context.WithValue(r.Context(), keyOf{}, key)))
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

// fail answers with an error. What is not the sender's business is said in the log
// alone.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	told := asAPIError(err)
	if (told == errInternal || told == errAway) && r.Context().Err() != nil { // it is who asked that has gone, and may hear it still
		told = errGone
	}
	if told.status >= http.StatusInternalServerError && told != errBusy && !told.quiet { // of which there may be thousands
		s.config.Log.Error().Err(err).Str("request_id", w.Header().Get("X-Request-Id")).Str("route", r.Pattern).Msg("a request over HTTP failed")
	}
	if answer, ok := w.(*answerWriter); ok && answer.begun {
		panic(http.ErrAbortHandler) // a cut answer must not look like a whole one
	}
	giveUp(w, r, told)
}

type keyOf struct{}

// caller is the key that a request came with.
func caller(r *http.Request) jobs.Key {
	key, _ := r.Context().Value(keyOf{}).(jobs.Key)
	return key
}
