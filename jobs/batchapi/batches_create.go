package batchapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tidegate/jobs"
	"tidegate/store"
)

const (
	leastWindow = time.Minute
	mostWindow  = 30 * 24 * time.Hour

	// retryWithin is how long after a call its repetition is known by what it asks for:
	// official SDKs wait ten minutes for an answer, and then try again.
	retryWithin = 30 * time.Minute
	// keyWithin is how long an Idempotency-Key is remembered.
	keyWithin = 24 * time.Hour
	maxKey    = 255
)

// Keys of a batch's metadata that say how it is to be done.
const (
	metaRoute   = "tidegate.route"
	metaGoal    = "tidegate.goal"
	metaMaxCost = "tidegate.max_cost_usd"
)

// A batchOrder is the body of a request for a batch.
type batchOrder struct {
	InputFileID        string             `json:"input_file_id"`
	Endpoint           string             `json:"endpoint"`
	CompletionWindow   string             `json:"completion_window"`
	Metadata           map[string]string  `json:"metadata"`
	OutputExpiresAfter *outputExpiryOrder `json:"output_expires_after"`
}

type outputExpiryOrder struct {
	Anchor  string `json:"anchor"`
	Seconds int64  `json:"seconds"`
}

func (s *Server) createBatch(w http.ResponseWriter, r *http.Request) error {
	body, leave, err := s.readLarge(r, maxJSONBytes)
	defer leave()
	if err != nil {
		return err
	}
	var order batchOrder
	if err := decode(body, &order); err != nil {
		return err
	}
	once, err := onceOf(r, "batch", body)
	if err != nil {
		return err
	}
	if known, err := s.answerAgain(w, r, &once); known || err != nil {
		return err
	}
	batch, limits, err := s.draft(r, &order)
	if err != nil {
		return err
	}
	made, err := s.config.Store.CreateBatch(r.Context(), batch, limits, once)
	if errors.Is(err, store.ErrNotFound) {
		return invalid("input_file_id", "invalid_value", "No such File object: %s", shown(order.InputFileID))
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, s.batchForeseen(w, r, &made))
	return nil
}

// answerAgain answers a repetition with the batch that the first one made, before it is
// looked at: what it names, as a route, may be there no more.
func (s *Server) answerAgain(w http.ResponseWriter, r *http.Request, once *store.Once) (known bool, err error) {
	made, err := s.config.Store.Seen(r.Context(), once, caller(r).Tenant)
	if err != nil || made == "" {
		return false, err
	}
	batch, err := s.config.Store.Batch(r.Context(), made)
	if err != nil {
		return false, found(err, "Batch", made)
	}
	writeJSON(w, http.StatusOK, s.batchForeseen(w, r, &batch))
	return true, nil
}

// decode reads a JSON object whose fields are all known.
func decode(body []byte, into any) error {
	if !utf8.Valid(body) {
		return invalid("", "invalid_json", "the body is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil && decoder.Decode(new(json.RawMessage)) != io.EOF:
		return invalid("", "invalid_json", "the body goes on behind the JSON object")
	case err == nil:
		return nil
	case errors.As(err, &kind):
		return invalid(kind.Field, "invalid_type", "%s: must not be a %s", shown(kind.Field), kind.Value)
	}
	if _, name, found := strings.Cut(err.Error(), "unknown field "); found {
		field, unquoted := strconv.Unquote(name)
		if unquoted != nil {
			field = name
		}
		return invalid(shown(field), "unknown_parameter", "Unknown parameter: '%s'.", shown(field))
	}
	return invalid("", "invalid_json", "the body is not a JSON object: %s", shown(err.Error()))
}

// draft makes a batch of what was ordered, and its budget.
func (s *Server) draft(r *http.Request, order *batchOrder) (jobs.Batch, jobs.BudgetLimits, error) {
	now := s.config.Now().Truncate(time.Microsecond)
	batch := jobs.Batch{ID: store.NewBatchID(), Tenant: caller(r).Tenant, State: jobs.BatchValidating, CreatedAt: now}
	none := jobs.BudgetLimits{}
	if err := order.check(); err != nil {
		return batch, none, err
	}
	window, err := parseWindow(order.CompletionWindow)
	if err != nil {
		return batch, none, err
	}
	batch.Order = &jobs.BatchOrder{
		InputFile: order.InputFileID, Endpoint: order.Endpoint, Window: order.CompletionWindow, ExpiresAt: now.Add(window), Metadata: order.Metadata,
		Route: order.Metadata[metaRoute], Goal: order.Metadata[metaGoal],
	}
	if after := order.OutputExpiresAfter; after != nil {
		if after.Anchor != "created_at" {
			return batch, none, invalid("output_expires_after.anchor", "invalid_value", "output_expires_after.anchor: must be created_at")
		}
		if batch.Order.OutputLives, err = expiry(after.Seconds, "output_expires_after.seconds"); err != nil {
			return batch, none, err
		}
	}
	limits, err := s.steer(r, order.Metadata)
	return batch, limits, err
}

func (o *batchOrder) check() error {
	for _, field := range []struct{ name, value string }{
		{"input_file_id", o.InputFileID}, {"endpoint", o.Endpoint}, {"completion_window", o.CompletionWindow},
	} {
		if field.value == "" {
			return invalid(field.name, "missing_required_parameter", "Missing required parameter: '%s'.", field.name)
		}
	}
	if len(o.InputFileID) > maxID || !isID(o.InputFileID) {
		return invalid("input_file_id", "invalid_value", "No such File object: %s", shown(o.InputFileID))
	}
	if _, known := jobs.ParseEndpoint(o.Endpoint); !known {
		return invalid("endpoint", "invalid_value", "endpoint: %s is not served; there are: %s", shown(o.Endpoint), strings.Join(jobs.EndpointPaths(), ", "))
	}
	if err := jobs.CheckMetadata(o.Metadata); err != nil {
		return invalid("metadata", "invalid_value", "%s", shown(err.Error()))
	}
	return nil
}

// parseWindow reads how long the requests of a batch have.
func parseWindow(text string) (time.Duration, error) {
	window, err := jobs.ParseDuration(text)
	if err != nil || window < leastWindow || window > mostWindow {
		return 0, invalid("completion_window", "invalid_value", "completion_window: %s is not a time like 1h, 24h or 7d, from one minute to 30 days", shown(text))
	}
	return window, nil
}

// steer checks what the metadata says of how a batch is to be done.
func (s *Server) steer(r *http.Request, metadata map[string]string) (limits jobs.BudgetLimits, err error) {
	for key, value := range metadata {
		switch key {
		case metaRoute, metaGoal:
		case metaMaxCost:
			usd, err := strconv.ParseFloat(value, 64)
			if err != nil || !(usd >= 1e-6 && usd <= 1e6) {
				return limits, invalid("metadata."+key, "invalid_value", "%s: %s is not a sum of dollars like 2.50", key, shown(value))
			}
			limits.Total = jobs.USD(usd)
		default:
			if strings.HasPrefix(key, jobs.SteeringPrefix) {
				return limits, invalid("metadata", "invalid_value", "metadata: %s is not known; there are %s, %s and %s", shown(key), metaRoute, metaGoal, metaMaxCost)
			}
		}
	}
	if metadata[metaRoute] == "" && metadata[metaGoal] == "" {
		return limits, nil
	}
	return limits, s.checkChoice(r, choice{metadata[metaRoute], metadata[metaGoal]}, choice{metaRoute, metaGoal})
}

// A choice is a route and a goal; empty: none is asked for.
type choice struct{ route, goal string }

// checkChoice looks whether there are such a route and such a goal; named is what their
// fields are called.
func (s *Server) checkChoice(r *http.Request, chosen, named choice) error {
	routes, err := s.config.Store.Routes(r.Context())
	if err != nil {
		return err
	}
	goals, names := slices.Clone(s.config.Goals), make([]string, len(routes))
	for i, known := range routes {
		names[i] = known.Name
		goals = append(goals, known.Goals...)
	}
	if chosen.route != "" && !slices.Contains(names, chosen.route) {
		return invalid(paramOf(named.route), "invalid_value", "%s: there is no route %s; there are: %s", named.route, shown(chosen.route), strings.Join(names, ", "))
	}
	if chosen.goal != "" && !slices.Contains(goals, chosen.goal) {
		return invalid(paramOf(named.goal), "invalid_value", "%s: there is no goal %s; there are: %s", named.goal, shown(chosen.goal), strings.Join(goals, ", "))
	}
	return nil
}

// paramOf is where a field stands in the body.
func paramOf(field string) string {
	if strings.HasPrefix(field, jobs.SteeringPrefix) {
		return "metadata." + field
	}
	return field
}

// onceOf is how a repetition of a request is known: by its Idempotency-Key or, since
// the official SDKs send none and repeat all the same, by the count of repetitions that
// they do send, with the same key and body.
func onceOf(r *http.Request, what string, body []byte) (store.Once, error) {
	hash := sha256.Sum256(body)
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		if len(key) > maxKey || !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
			return store.Once{}, invalid("Idempotency-Key", "invalid_value", "Idempotency-Key: must be text of at most %d bytes", maxKey)
		}
		return store.Once{Key: what + " key " + key, Hash: hash, Within: keyWithin, Repeated: true}, nil
	}
	count, err := strconv.Atoi(r.Header.Get("X-Stainless-Retry-Count"))
	return store.Once{
		Key: fmt.Sprintf("%s body %s %x", what, caller(r).ID, hash), Hash: hash, Within: retryWithin, Repeated: err == nil && count > 0,
	}, nil
}
