# Everything that a contributor or CI runs. `make` alone explains the targets.

GO ?= go
TESTFLAGS ?=
FUZZTIME ?= 30s

# The tools are pinned here and run by version: they never enter the library's go.mod.
# .ci/houserules reads the first line, so that it proves what `make lint` runs.
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GO_LICENSES := github.com/google/go-licenses@v1.6.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# Licences that a user of the library can accept without asking anybody.
LICENSES := Apache-2.0,BSD-2-Clause,BSD-3-Clause,BSL-1.0,ISC,MIT,MPL-2.0,Unlicense
# Not checked: this repository itself, and what the tool cannot read but a person has:
# mathutil, of the example's SQLite, is BSD-3-Clause with bullets of its own.
LICENSED := github.com/redlock-go/redlock,modernc.org/mathutil
GO_LICENSES_FLAGS := --include_tests --ignore $(LICENSED) --allowed_licenses $(LICENSES) \
	--logtostderr=false --log_file=/dev/null --stderrthreshold=ERROR

# Every module of the repository, found, so that a new one cannot be forgotten.
MODULES := $(patsubst %/go.mod,%,$(wildcard ./go.mod ./*/go.mod ./*/*/go.mod))
SCRIPTS := .ci/run .ci/setup $(wildcard examples/*/*.sh)

# Go stamps programs with their commit, and fails where git will not tell it:
# before the first commit, or in a checkout that belongs to another user.
ifneq ($(shell git log -1 --format=x 2>/dev/null),x)
export GOFLAGS := $(shell $(GO) env GOFLAGS) -buildvcs=false
endif

# each runs a command in every module and stops at the first that fails.
each = for m in $(MODULES); do echo "== $$m: $(1)"; (cd $$m && $(2)) || exit 1; done

.PHONY: help
help: ## Explain every target.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Watch two imports race for one lock on real input, then nodes fail (under a minute).
	@bin/demo bin/redlock bin/importer examples/importer/customers.csv

.PHONY: build
build: ## Build the command and the example into bin/.
	@echo "== building bin/redlock, bin/importer and bin/demo (the first time takes minutes: SQLite)"
	@$(GO) build -o bin/redlock ./cmd/redlock
	@cd examples/importer && $(GO) build -o ../../bin/importer . && $(GO) build -o ../../bin/demo ./demo

.PHONY: check
check: lint test ## Everything that a change must pass: lint and test.

.PHONY: setup
setup: ## Install what the tests need (redis-server, a C compiler), or say what to install.
	@.ci/setup

.PHONY: test
test: setup ## Set up, then run every test with the race detector (TESTFLAGS adds flags).
	@$(call each,go test -race,$(GO) test -race $(TESTFLAGS) ./...)

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (30s).
	@set -e; n=0; for p in ./clock ./quorum; do \
		list=$$($(GO) test -list '^Fuzz' $$p); \
		for f in $$(echo "$$list" | grep '^Fuzz' || true); do \
			echo "== $$p: $$f for $(FUZZTIME)"; n=$$((n+1)); \
			$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; \
		done; \
	done; [ $$n -gt 0 ] || { echo "fuzz: no fuzz target found"; exit 1; }

.PHONY: bench
bench: setup ## Run the library's benchmarks on local redis-servers.
	@$(GO) test -run '^$$' -bench . -benchmem ./redlock/...

.PHONY: cover
cover: setup ## Measure test coverage, and draw it in bin/cover.html.
	@mkdir -p bin
	@$(GO) test -coverpkg=./... -coverprofile=bin/cover.out ./...
	@$(GO) tool cover -html=bin/cover.out -o bin/cover.html
	@$(GO) tool cover -func=bin/cover.out | tail -n 1

.PHONY: fmt
fmt: ## Format all Go files and tidy the modules.
	@$(GO) run $(GOLANGCI_LINT) fmt .
	@$(call each,go mod tidy,$(GO) mod tidy)

.PHONY: lint
lint: licenses ## Check format, code, house rules, modules, scripts, workflows and licences.
	@echo "== format (the first run compiles golangci-lint, which takes minutes)"
	@$(GO) run $(GOLANGCI_LINT) fmt --diff .
	@$(call each,golangci-lint,$(GO) run $(GOLANGCI_LINT) run)
	@echo "== house rules: planted violations are caught"
	@$(GO) run $(GOLANGCI_LINT) run ./.ci/houserules
	@$(GO) test $(TESTFLAGS) ./.ci/houserules
	@$(call each,go mod tidy -diff,$(GO) mod tidy -diff)
	@$(call each,go vet for macOS,GOOS=darwin $(GO) vet ./...)
	@echo "== scripts: $(SCRIPTS)"
	@for s in $(SCRIPTS); do bash -n $$s || exit 1; done
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); \
		else echo "shellcheck is not installed: the scripts were only parsed"; fi
	@echo "== workflows"
	@$(GO) run $(ACTIONLINT) -shellcheck= -pyflakes= $(wildcard .github/workflows/*.yml)

.PHONY: licenses
licenses: ## Check the licences of all dependencies, the tests' too.
	@$(call each,licences,$(GO) run $(GO_LICENSES) check $(GO_LICENSES_FLAGS) ./...)

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what the code calls (asks Go's vulnerability database).
	@$(call each,govulncheck,$(GO) run $(GOVULNCHECK) ./...)

.PHONY: clean
clean: ## Remove what the other targets built.
	@rm -rf bin
