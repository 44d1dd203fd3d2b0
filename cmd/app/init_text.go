package app

import (
	"fmt"
	"strings"

	"tidegate/cmd/app/config"
)

// An exampleProvider is a target that the written configuration begins with.
type exampleProvider struct {
	target  string
	account string
	dialect string // empty: the default
	baseURL string
	key     string // the variable that holds the key
	model   string
}

// exampleProviders are in the order of the example's chain: the cheapest first.
var exampleProviders = []exampleProvider{
	{"mistral-small", "mistral", "", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "mistral-small-latest"},
	{"deepseek-chat", "deepseek", "", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "deepseek-chat"},
	{"gpt-5-mini", "openai", "", "https://api.openai.com/v1", "OPENAI_API_KEY", "gpt-5-mini"},
	{"gemini-flash", "google", "gemini", "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY", "gemini-2.5-flash"},
	{"claude-haiku", "anthropic", "anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY", "claude-haiku-4-5"},
}

// initText is a configuration that explains itself. Providers whose key is not
// set come last and are commented out, so that it loads as it is.
func initText(env func(string) (string, bool)) string {
	var ready, waiting []exampleProvider
	for _, p := range exampleProviders {
		if key, _ := env(p.key); key != "" {
			ready = append(ready, p)
		} else {
			waiting = append(waiting, p)
		}
	}
	var text strings.Builder
	text.WriteString(initHead)
	for i, p := range ready {
		text.WriteString(p.text(i == 0) + "\n")
	}
	for i, p := range waiting {
		fmt.Fprintf(&text, "  # $%s is not set. To use this target, set it and remove the \"# \" before its lines.\n", p.key)
		text.WriteString(commentOut(p.text(i == 0 && len(ready) == 0)) + "\n")
	}
	text.WriteString(initRoutesHead)
	if len(ready) > 0 {
		text.WriteString(exampleRoute(ready))
	} else {
		text.WriteString("  # Remove the \"# \" before these lines too, and leave in the chain what is a target above.\n" +
			commentOut(exampleRoute(exampleProviders)))
	}
	return text.String() + initTail
}

func exampleRoute(chain []exampleProvider) string {
	names := make([]string, len(chain))
	for i, p := range chain {
		names[i] = p.target
	}
	return fmt.Sprintf(initRoute, strings.Join(names, ", "))
}

// text writes the provider's target; the first one explains every key.
func (p exampleProvider) text(first bool) string {
	dialect := ""
	switch {
	case p.dialect != "":
		dialect = "    dialect: " + p.dialect + "\n"
	case first:
		dialect = "    # dialect: " + config.DefaultDialect + "\n"
	}
	if first {
		return fmt.Sprintf(initFirstTarget, p.target, p.account, dialect, p.baseURL, p.key, p.model)
	}
	return fmt.Sprintf(initNextTarget, p.target, p.account, dialect, p.baseURL, p.key, p.model)
}

// commentOut puts "# " before every line, behind the two blanks that the items
// of a list are indented by.
func commentOut(lines string) string {
	var out strings.Builder
	for line := range strings.Lines(lines) {
		out.WriteString(strings.TrimRight("  # "+strings.TrimPrefix(line, "  "), " \n") + "\n")
	}
	return out.String()
}

const initHead = `# The configuration of tidegate.
#
#   tidegate doctor    checks it, and everything it names
#   tidegate dev       runs it on this machine, with its own Postgres and NATS
#
# ${NAME} stands for a variable of the environment, ${NAME:-other} for one that
# may be missing; write $${ for a ${ that is meant. Durations are like 30s, 24h or
# 7d. A key that is not known, or a value that cannot be right, is refused with
# its line. What is commented out shows a default, or what could stand there.
#
# Workers take what changes here without a restart: targets and chains at once, also
# on SIGHUP; the rest with the next start, which their log says.

# Where requests and results are kept. May be unset for dev, which brings its own.
postgres: ${DATABASE_URL}

# Where results are published. May be unset for dev, which brings its own.
nats: ${NATS_URL}

# Have workers accept requests over NATS, too: whoever may publish there spends money.
# Left out, those of dev do, on its own NATS, and no others.
# nats_door: true

# Where the HTTP server listens. 0.0.0.0:8080 is every network of the machine.
# listen: 127.0.0.1:8080

# Where work and serve also answer /metrics, for Prometheus, /healthz and /readyz, and ask
# nobody for a key: an address that only those reach who may see it. Left out: nowhere.
# metrics_listen: 127.0.0.1:9464

# What models cost: a file of prices, beside this one or anywhere, in place of the table
# that ships. tidegate prices import makes it; tidegate prices shows what holds.
# prices: prices.json

# Targets: one model at one provider each. A target has a circuit, prices and
# limits of its own. Any provider that speaks the OpenAI dialect can be added,
# and Anthropic's and Gemini's own APIs.
targets:
`

const initFirstTarget = `  # The name is unique; of a-z, 0-9, - and _. Circuits and statistics hang on it.
  - name: %s

    # The account at the vendor. Targets of one provider share its quota.
    provider: %s

    # Where it runs, if the provider has several regions.
    # region: eu

    # The wire format: openai (left out), azure, anthropic or gemini.
%s
    # Where its API is, without /chat/completions.
    base_url: %s

    # The key.
    api_key: ${%s}

    # Or the file that holds it: beside this one, or anywhere. A key in a file can be
    # changed while workers run; a variable cannot.
    # api_key_file: /run/secrets/key

    # The model, as the provider calls it.
    model: %s

    # What it serves: chat, embeddings, responses, or completions (of plain text). Left out,
    # that is chat; of a model that is called an embedding one, embeddings; at OpenAI's own
    # address, chat and responses.
    # endpoints: [chat]

    # By whose rules it refuses content, if not by its provider's: see when_filtered.
    # content_policy: strict

    # Where it is called otherwise than others of its dialect: another path after
    # base_url, a query, an auth_header (and auth_scheme) for the key, and more headers.
    # path: deployments/{model}/chat
    # query: {api-version: "2024-10-21"}
    # auth_header: Authorization
    # auth_scheme: Bearer
    # headers: {OpenAI-Organization: org-1}

    # Whether answers come in pieces. They are stored whole all the same; a provider that
    # is dead is noticed when no first token comes, instead of when the answer is late.
    # stream: false

    # The context window, in tokens: of the prompt and the answer, with gemini of the prompt.
    # Requests that are clearly longer pass this target by. Left out, it is what the table
    # of prices says, and where that says nothing, all are sent.
    # context_tokens: 128000

    # What it costs, if not what the table of prices says of this vendor and model: US
    # dollars per million tokens, {input: 0, output: 0} for nothing. Without cached_input
    # and reasoning, these tokens cost as the others do. Over so many tokens of a prompt,
    # the whole call costs what stands there.
    # price: {input: 0.10, cached_input: 0.01, output: 0.30, reasoning: 0.40, over: [{tokens: 200000, input: 0.20, output: 0.60}]}

    # Or as which VENDOR/MODEL of the table, where the base_url does not tell.
    # priced_as: openai/gpt-5-mini

    # Which price of the table: standard, or batch where the account or the service tier
    # that requests ask for has that discount.
    # billing: standard

    # What the account may ask at most, from all workers together: requests_per_minute,
    # and tokens_per_minute of prompts and answers. What is left out is learned from the
    # provider's headers and refusals. The concurrency is calls at once from one worker.
    # limits: {requests_per_minute: 3000, tokens_per_minute: 2000000, concurrency: 200}

    # How long a call may take to connect, until the first_byte of the answer, idle
    # between two pieces of it, and in total. An answer comes whole: leave the model time.
    # With stream, first_byte is the first token.
    # timeouts: {connect: 5s, first_byte: 2m, idle: 30s, total: 3m}

    # When calls to this target stop: after failures_in_a_row, or when failure_rate
    # of the last window calls failed. After a cooldown one call tries again.
    # circuit: {failures_in_a_row: 5, failure_rate: 0.2, window: 50, cooldown: 1s}
`

const initNextTarget = `  - name: %s
    provider: %s
%s    base_url: %s
    api_key: ${%s}
    model: %s
`

const initRoutesHead = `# Routes: a request is sent to a route, which is a chain of targets and a queue.
routes:
`

const initRoute = `  # The name is also that of the queue, and a part of the NATS subjects.
  - name: summaries

    # The targets, best first. When one fails, the next is called; when none may be
    # called, requests wait until one may.
    chain: [%s]

    # How a target is chosen. ordered: the first of the chain that may be called. balanced, speed and
    # cost weigh how often it answers, how fast, and for how much. You may add strategies of your own.
    # optimization_goal: ordered

    # What to do when the best target may not be called. reroute: call the next. wait: wait until it is back, or until the
    # deadline needs the next. price: wait while what the next costs more is more than what not to wait is worth.
    # when_open: reroute

    # What to do when a target refuses the content, or its filter ends the answer. With refuse the request ends,
    # with reroute the next target that has another policy is asked.
    # when_filtered: refuse

    # How long a request is worth answering that has no deadline of its own; left
    # out, for ever.
    deadline: 24h

    # What an answer must be like, beside what its request expects: json_schema (a mapping, a
    # text of JSON, or true for any JSON) or the response_format of the body, also fenced in
    # Markdown; a regex; min_characters, max_characters, min_tokens, max_tokens; the
    # finish_reasons that are right; same_model_family. One that is not is paid, and
    # another target is asked, tries times; otherwise the request is refused, or keep
    # stores the last answer, marked.
    # expect: {json_schema: {type: object, required: [total]}, response_format: false, fenced: true, regex: "[0-9]", min_characters: 20, max_characters: 9000, min_tokens: 5, max_tokens: 3000, finish_reasons: [stop], same_model_family: true, tries: 2, otherwise: refuse}

    # Targets outside the chain that are asked after such an answer, before the rest of
    # the chain, and never else: a stronger model, as in escalate_to: [gpt-5].
    # escalate_to: []

    # When requests come to workers. direct: in the order of arrival. fair: tenants that
    # want the route at once have shares of it, by their weights; see tenants.
    # admission: direct

    # Requests that name one of these models come to this route.
    # models: [gpt-5-mini]

    # The budget: what its calls may cost in US dollars, per_day (of UTC) and in total. When it
    # is spent, requests wait, until the next day or until it is raised. tidegate budgets shows it.
    # budget: {per_day: 5, total: 100}
`

const initTail = `
# Canaries: a prompt, or a whole body as JSON, that some targets, or all of a route's
# chain, are asked every so often, and what a good answer is like: see expect of a route.
# After so many failures_in_a_row the target is degraded. Each call is paid. In place of
# the prompt, body: '{"messages": [...]}' is sent as it is; in place of the
# route, targets: [...] names some that any route calls, in its chain or its escalate_to.
# canaries: [{name: capitals, route: summaries, every: 10m, prompt: "The capital of France, in one word?", expect: {regex: Paris}, failures_in_a_row: 2}]

# Tenants that are not as all others: requests say whose they are.
# tenants:
#   - name: acme
#
#     # Its share of a route with fair admission: twice the weight, twice the share.
#     weight: 1
#
#     # Its budget on all routes together, as that of a route.
#     budget: {per_day: 5}

# Strategies of your own, which an optimization_goal may name. The three weights come to 1 in sum.
# strategies:
#   careful: {success_rate: 0.6, latency: 0.1, cost: 0.3}

# What guesses how targets do.
# estimator:
#   # decayed (what was seen in the last minute, beside what is usual) or ewma (a moving average).
#   name: decayed
#
#   # How much the latest answer counts, up to 1; with name: ewma, and no other.
#   # alpha: 0.2
#
#   # The part of the requests without a near deadline that explore, to learn how any target of the chain does; 0 is none.
#   explore: 0.01

# The worker, which makes the calls.
# worker:
#   # Requests in one worker at once, with those that wait for a provider: 1 to 10000.
#   concurrency: 200
#
#   # How long calls in flight may take to end when the worker is stopped.
#   shutdown_timeout: 30s
#
#   # How long a request waits inside a worker during an outage before it goes back.
#   hold_budget: 2m

# Batches that come as files over HTTP.
# batches:
#   # Requests of one batch, at most.
#   max_lines: 50000
#
#   # Bytes of the file of one batch, at most.
#   max_bytes: 209715200
#
#   # How long files are kept, and what came of them, whose senders say nothing of it.
#   keep: 720h

# How long what has ended is kept: at least 1d; 0 is for ever. What has not ended is kept.
# retention:
#   # Requests, with their results and batches, from their end on.
#   requests: 720h
#
#   # Calls, by whole days: at least 2d. The story of a request is told from them.
#   attempts: 720h

# What serve does at a time. Whoever comes beyond that gets a 503 with Retry-After.
# http:
#   # Requests, at most.
#   requests: 512
#
#   # Those of them that bring a file, at most: each needs some megabytes of memory.
#   uploads: 32
#
#   # Those whose senders wait for an answer, at most, beside them.
#   waiting: 2048

# Webhooks, which are told that a batch has ended: see "tidegate webhooks".
# webhooks:
#   # Let all of them lead into private networks, and be http there; without, only
#   # those may that were made with "webhooks create --allow-private".
#   allow_private: false
`
