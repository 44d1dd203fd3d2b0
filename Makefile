# Everything a developer or CI does here, as one word each. POSIX sh, GNU make.

GO      ?= go
# What to look at: PKG=./store/... is one folder, T=TestName one test.
PKG     ?= ./...
T       ?=
# Passed on to the program: make demo ARGS='--documents notes'.
ARGS    ?=
TIMEOUT ?= 15m
# How long each benchmark and each fuzz target runs.
BENCHTIME ?= 200ms
FUZZTIME  ?= 10s

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w $(if $(VERSION),-X tidegate/cmd/app.version=$(VERSION))
LINT    := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
RUN     := $(if $(T),-run '$(T)')
# Passes the lines of `go test -v` through, counts them, and fails where the
# tests failed, where one was skipped, and where there was none.
COUNT   := awk -f .ci/count.awk

# The race detector would have a program that ends wait for a second first, in case that a
# goroutine is left that races: each test binary, and each process of integration.
export GORACE ?= atexit_sleep_ms=0
# The longest packages begin first, or one of them would run alone at the end.
LONG    := ./integration ./worker ./routing/replay ./jobs/queue ./store ./routing

.DEFAULT_GOAL := help
.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PKG=./store/... narrows test, test-fast, lint, bench and fuzz; T=TestName picks tests."

.PHONY: build
build: ## Build bin/tidegate, static, with its version
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/tidegate ./cmd/tidegate

.PHONY: demo
demo: build ## Summarise the Go standard library through a staged outage, in under a minute
	@bin/tidegate demo $(ARGS)

.PHONY: dev
dev: build ## Run everything on this machine: Postgres, NATS, worker, simulated providers
	@bin/tidegate dev $(ARGS)

.PHONY: test
test: race-ready ## Run every test, with the race detector; a skipped test fails
	@{ GO='$(GO)' .ci/test $(TIMEOUT) '$(T)' $(if $(filter ./...,$(PKG)),$(LONG)) $(PKG) 2>&1; echo "exit $$?"; } | $(COUNT)

.PHONY: test-fast
test-fast: ## Run the tests without the race detector; what did not change is not run again
	@{ $(GO) test -v -timeout $(TIMEOUT) $(RUN) $(PKG) 2>&1; echo "exit $$?"; } | $(COUNT)

.PHONY: race-ready
race-ready:
	@test "$$($(GO) env CGO_ENABLED)" = 1 || { \
	  echo "The race detector needs cgo, and so a C compiler: install gcc (apt-get install gcc libc6-dev)," >&2; \
	  echo "unset CGO_ENABLED, or run: make test-fast" >&2; exit 1; }

.PHONY: lint
lint: ## Lint, and check the format; nothing is changed
	$(LINT) run $(PKG)

.PHONY: fmt
fmt: ## Format every Go file
	$(LINT) fmt

# Whether all compiles for macOS is found out without making it fast, and with one program
# linked: the others are made of the same packages.
DARWIN := CGO_ENABLED=0 GOOS=darwin
RAW    := -gcflags='all=-N -l'

.PHONY: verify
verify: ## Check that go.mod is tidy, the modules are unaltered, and macOS compiles
	$(GO) mod tidy -diff
	$(GO) mod verify
	$(DARWIN) $(GO) list -export $(RAW) ./... >/dev/null
	$(DARWIN) $(GO) build $(RAW) -o /dev/null ./cmd/tidegate

# A module of its own: the types of Kubernetes, kustomize and the builder of images are
# no part of the program.
.PHONY: check-deploy
check-deploy: ## Check manifests and Dockerfile by the types that Kubernetes publishes, a minute the first time
	cd integration/testdata/kubernetes && $(GO) mod tidy -diff && $(GO) vet ./... && $(GO) test -count=1 ./...

# So is Prometheus's engine.
.PHONY: check-alerts
check-alerts: ## Check that each alert fires and stays silent, by Prometheus's own engine, half a minute the first time
	cd integration/testdata/alerts && $(GO) mod tidy -diff && $(GO) vet ./... && $(GO) test -count=1 ./...

.PHONY: ci
ci: lint verify check-deploy check-alerts test check-page ## Run exactly what CI runs

.PHONY: bench
bench: ## Run the micro-benchmarks, BENCHTIME=200ms each
	@$(GO) test -run '^$$' -bench '$(or $(T),.)' -benchmem -benchtime $(BENCHTIME) \
	  $$($(GO) list $(PKG) | grep -v '^tidegate/integration')

.PHONY: bench-throughput
bench-throughput: ## Measure 10,000 jobs on the whole path beside plain River, about 4 minutes
	@$(GO) build -o bin/throughput ./integration/throughput && bin/throughput $(ARGS)

.PHONY: bench-outage
bench-outage: build ## Measure what a minute's outage costs 2,000 jobs, beside plain River, about 6 minutes
	@$(GO) build -o bin/outage ./integration/outage && bin/outage $(ARGS)

.PHONY: bench-drain
bench-drain: build ## Measure how fast a backlog of 30,000 drains, six ways to recover, about 13 minutes
	@$(GO) build -o bin/drain ./integration/drain && bin/drain $(ARGS)

.PHONY: bench-hold
bench-hold: build ## Measure what it costs to hold 1,000,000 jobs for two minutes, about 4 minutes
	@$(GO) build -o bin/hold ./integration/hold && bin/hold $(ARGS)

.PHONY: bench-route
bench-route: ## Measure how well targets are chosen, on DATA=DIR or a made-up set, about 3 minutes
	@$(GO) build -o bin/route ./integration/route && DATA=$(DATA) bin/route $(ARGS)

.PHONY: bench-replay-truth
bench-replay-truth: ## Measure how near replays come to a known truth, on DATA=DIR or a made-up set, about 8 minutes
	@$(GO) build -o bin/replaytruth ./integration/replaytruth && DATA=$(DATA) bin/replaytruth $(ARGS)

.PHONY: bench-replay
bench-replay: build ## Measure the replay of a week of 6,048,000 requests, made of DATA=DIR's traces or of made-up ones, about 6 minutes
	@$(GO) build -o bin/replay ./integration/replay && DATA=$(DATA) bin/replay $(ARGS)

.PHONY: bench-forecast
bench-forecast: ## Measure how honest forecasts are, on a virtual clock; about 15 seconds
	@$(GO) build -o bin/forecast ./integration/forecast && bin/forecast $(ARGS)

.PHONY: bench-price
bench-price: ## Measure what waiting for a price saves on a day of a batch; DATA=DIR: on real uptimes, about 2 minutes
	@$(GO) build -o bin/price ./integration/price && bin/price $(if $(DATA),--data '$(DATA)') $(ARGS)

.PHONY: bench-fair
bench-fair: build ## Measure how long a small tenant waits beside 100,000 requests of a big one, about 5 minutes
	@$(GO) build -o bin/fair ./integration/fair && bin/fair $(ARGS)

.PHONY: bench-removal
bench-removal: build ## Measure what commits notice while 1,000,000 old requests are removed, about 6 minutes
	@$(GO) build -o bin/removal ./integration/removal && bin/removal $(ARGS)

.PHONY: bench-batch
bench-batch: build ## Measure what a file of 50,000 lines and 200 MiB takes over HTTP, and its memory, about 2 minutes
	@$(GO) build -o bin/batch ./integration/batch && bin/batch $(ARGS)

.PHONY: bench-doors
bench-doors: build ## Measure how fast requests are accepted, by every door, beside a plain INSERT, about 2 minutes
	@$(GO) build -o bin/doors ./integration/doors && bin/doors $(ARGS)

.PHONY: bench-page
bench-page: build ## Measure what it costs that somebody looks at the page while 1,000,000 jobs wait, about 6 minutes
	@$(GO) build -o bin/page ./integration/page && bin/page $(ARGS)

.PHONY: check-independent
check-independent: build ## Check the whole path against a mock from npm that we did not write, about 2 minutes
	@$(GO) build -o bin/independent ./integration/independent && bin/independent $(ARGS)

.PHONY: check-sdks
check-sdks: build ## Check files and batches with the official OpenAI SDKs: that for Node, from npm, and that for Go, about 2 minutes
	@$(GO) build -o bin/sdks ./integration/sdks && bin/sdks $(ARGS)
	@{ $(GO) test -v -count=1 -timeout $(TIMEOUT) -run '^(TestOfficialSDK|TestCreateIsRepeated|TestTypedErrors|TestPagesOfLists)$$' ./integration 2>&1; echo "exit $$?"; } | $(COUNT)

.PHONY: check-page
check-page: ## Look at the page with a real Chromium, through an outage, about 3 minutes; SHOTS=docs: take its pictures
	@.ci/browser
	@{ $(GO) test -v -count=1 -tags browser -timeout $(TIMEOUT) $(RUN) ./integration/browser $(if $(SHOTS),-args -shots '$(abspath $(SHOTS))') 2>&1; echo "exit $$?"; } | $(COUNT)

# Go makes a new input smaller for up to a minute, in which nothing is tried: ten tries must do.
.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME=10s
	@$(GO) list -f '{{$$dir := .Dir}}{{range .TestGoFiles}}{{$$dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$dir}}/{{.}}{{"\n"}}{{end}}' $(PKG) | \
	while read -r file; do test -z "$$file" || sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(.*|$${file%/*} \1|p" "$$file"; done | \
	while read -r dir name; do \
	  $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$dir" </dev/null || exit 1; done

.PHONY: clean
clean: ## Remove what make built
	rm -rf bin
