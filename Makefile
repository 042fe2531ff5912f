# The two commands: make run, make test. `make help` lists the rest.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
# What test, unit, race and fuzz are about: all, or a part of .ci/parts.
PART := all
TALLY := go run ./conformance/tally
SCRATCH := .run
# SQL over the lake is DuckDB's, and takes a C compiler.
SQL = $(shell [ "$$(go env CGO_ENABLED)" = 1 ] && command -v "$$(go env CXX)" >/dev/null && echo -tags duckdb)

.PHONY: help build plugins run test check soak bench pgo fmt fmt-check vet lint needs unit race fuzz clean

# The compiler's profile (default.pgo) makes every package be compiled once more, and what a debugger needs
# is a third of the compiler's work: worth it for a binary that stays, not for one that a test starts.
run test check unit race fuzz vet soak: export GOFLAGS := $(strip $(GOFLAGS) -pgo=off -gcflags=all=-dwarf=false)

help: ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## build bin/tidemill, and bin/tidemill-peer to compare with
	@mkdir -p bin
	go build $(SQL) -o bin/tidemill ./engine/cmd/tidemill
	@if [ -d conformance/peer ]; then echo "go build -o bin/tidemill-peer ./conformance/peer"; go build -o bin/tidemill-peer ./conformance/peer; fi

bin/tidemill: build

plugins: ## build the plugins that pipelines/trailer_health takes: Go, and clang with lld
	@for p in plugins/geofence plugins/refrigerant_health pipelines/trailer_health/next; do go run ./engine/cmd/tidemill plugin build $$p; done

run: ## 8,000 simulated trailers publish over MQTT into pipelines/coldhaul; goes on where it stopped
	@mkdir -p bin && go build $(SQL) -o bin/tidemill ./engine/cmd/tidemill
	@.ci/demo

test: needs fmt-check unit race fuzz ## everything that must hold, or PART=engine, door, sinks, plugins, time or detection of it
	@echo "make test: $(if $(filter all,$(PART)),everything,part $(PART)) passed"

check: fmt-check vet ## the quick part of test; under 3 minutes
	go test -short -json -timeout 150s ./engine/... | $(TALLY)

unit:
	.ci/unit $(PART)

race:
	packages=$$(.ci/part $(PART) race); [ -z "$$packages" ] || go test -race -short -json -vet=off -timeout 15m $$packages | $(TALLY)

fuzz:
	.ci/fuzz 20s 2s $(PART)

soak: needs ## what takes long: a thousand kills, more seeds, longer fuzzing
	TIDEMILL_SOAK=1 go test -json -count=1 -timeout 6h ./conformance/... | $(TALLY)
	.ci/fuzz 10m 2m

bench: build ## measure, and compare with a peer
	bin/tidemill bench

pgo: build ## measure where the time goes, for the compiler; then build again
	rm -rf $(SCRATCH)/profiles && mkdir -p $(SCRATCH)/profiles
	bin/tidemill bench W1 W2 W3 W3S W5 W6 --no-peer --runs 1 --records 3000000 --profiles $(SCRATCH)/profiles
	go tool pprof -proto $(SCRATCH)/profiles/*.pprof > engine/cmd/tidemill/default.pgo

fmt: ## lay out Go and HCL files
	gofmt -w engine conformance
	go run ./engine/cmd/tidemill fmt $(sort $(dir $(wildcard pipelines/*/*.hcl)))

fmt-check:
	@bad=$$(gofmt -l engine conformance); if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi

vet:
	go vet ./...

lint: fmt-check vet ## vet and staticcheck
	go run $(STATICCHECK) ./...

needs:
	@.ci/needs $(PART)

clean: ## remove what was built and what runs have left
	rm -rf bin $(SCRATCH)
