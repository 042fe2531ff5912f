# The two commands: make run, make test. `make help` lists the rest.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
# What test, unit, race and fuzz are about: all, or a part of .ci/parts.
PART := all
TALLY := .ci/go run ./conformance/tally
SCRATCH := .run
# SQL over the lake is DuckDB's, and takes a C compiler.
SQL = $(shell [ "$$(go env CGO_ENABLED)" = 1 ] && command -v "$$(go env CXX)" >/dev/null && echo -tags duckdb)

.PHONY: help build plugins run test check soak bench pgo fmt fmt-check vet lint needs units-and-race unit race fuzz clean

# The compiler's profile (default.pgo) makes every package be compiled once more, and what a debugger needs
# is a third of the compiler's work: worth it for a binary that stays, not for one that a test starts. Nor are other
# people's packages made quick there, but for those that most of the time is spent in: that is a third of the rest.
MODULE := github.com/tidemill/tidemill
ARROW := github.com/apache/arrow-go/v18
QUICK := std $(MODULE)/... $(ARROW)/arrow $(addprefix $(ARROW)/arrow/,array bitutil/... memory/... internal/... endian float16 decimal decimal128 decimal256) $(addprefix $(ARROW)/,internal/... parquet/...) \
  $(addsuffix /...,$(addprefix github.com/,hashicorp/hcl zclconf apparentlymart tetratelabs klauspost pierrec zeebo google/flatbuffers DataDog axiomhq) golang.org/x)
run test check units-and-race unit race fuzz vet soak: export GOFLAGS := $(strip $(GOFLAGS) -pgo=off '-gcflags=all=-dwarf=false -N -l' $(patsubst %,-gcflags=%=-dwarf=false,$(QUICK)))

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
	@mkdir -p bin && .ci/go build $(SQL) -o bin/tidemill ./engine/cmd/tidemill
	@.ci/demo

test: needs fmt-check units-and-race fuzz ## everything that must hold, or PART=engine, door, sinks, plugins, time or detection of it
	@echo "make test: $(if $(filter all,$(PART)),everything,part $(PART)) passed"

check: fmt-check vet ## the quick part of test; under 3 minutes
	go test -short -json -timeout 150s ./engine/... | $(TALLY)

units-and-race:
	.ci/unit $(PART)

unit:
	.ci/unit $(PART) units

race:
	.ci/unit $(PART) race

fuzz:
	.ci/fuzz 20s 2s $(PART)

soak: needs ## what takes long: a thousand kills, more seeds, longer fuzzing
	TIDEMILL_SOAK=1 .ci/go test -json -count=1 -timeout 6h ./conformance/... | $(TALLY)
	.ci/fuzz 10m 2m

bench: build ## measure, and compare with a peer
	bin/tidemill bench

pgo: build ## measure where the time goes, for the compiler; then build again
	rm -rf $(SCRATCH)/profiles && mkdir -p $(SCRATCH)/profiles
	bin/tidemill bench W1 W2 W3 W3S W5 W6 --no-peer --runs 1 --records 3000000 --profiles $(SCRATCH)/profiles
	bin/tidemill test pipelines/coldhaul --long --run 8,000 --cpuprofile $(SCRATCH)/profiles/day.pprof
	go tool pprof -proto $(SCRATCH)/profiles/*.pprof > engine/cmd/tidemill/default.pgo

fmt: ## lay out Go and HCL files
	gofmt -w engine conformance
	go run ./engine/cmd/tidemill fmt $(sort $(dir $(wildcard pipelines/*/*.hcl)))

fmt-check:
	@bad=$$(gofmt -l engine conformance); if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi

vet:
	.ci/go vet ./...

lint: fmt-check vet ## vet and staticcheck
	go run $(STATICCHECK) ./...

needs:
	@.ci/needs $(PART)

clean: ## remove what was built and what runs have left
	rm -rf bin $(SCRATCH)
