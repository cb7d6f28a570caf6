# The commands for people. Each target prints its steps and skips what is up to date.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# torch-sys asks `python3` for libtorch, so every cargo call needs this environment first on PATH.
export PATH := $(CURDIR)/.venv/bin:$(PATH):$(HOME)/.cargo/bin
export PYTHON

# Every cargo call obeys the lock files and uses one profile, so nothing is compiled twice.
CARGO := --release --locked --manifest-path rust_crates/Cargo.toml
# Crates are tested one by one, as the workers are built: together, cargo would unify their features and build other workers.
CRATES := rust_crates/duet-worker/duet-build rust_crates/duet-worker rust_crates/task-support $(wildcard rust_crates/frameworks/*) examples/lcg/worker
say = @printf '\n==> %s\n' "$(1)"

.PHONY: help
help: ## list these targets
	@printf 'make TARGET, where TARGET is one of\n\n'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
	@printf '\nPYTHON=/path/to/python3 chooses the interpreter of a new environment (3.11 or later).\n'

.PHONY: bench
bench: env ## build what is missing, run every benchmark at small sizes (profile smoke), print the verdict table
	@$(MAKE) --no-print-directory build || printf 'make: some workers could not be built; continuing without them\n' >&2
	$(call say,benchmarks: profile smoke)
	@pytest benches

.PHONY: bench-standard
bench-standard: env ## run every benchmark at realistic sizes (profile standard); an hour or two on an idle machine
	@$(MAKE) --no-print-directory build || printf 'make: some workers could not be built; continuing without them\n' >&2
	$(call say,benchmarks: profile standard)
	@pytest benches --duet-profile standard

.PHONY: plan
plan: env ## show what `make bench` would run, what it cannot run and why, and how long it would take
	@pytest benches --duet-plan

.PHONY: test
test: lint build tests rust verify ## check everything: lint, types, Python tests, Rust tests, parity and quality

.PHONY: env
env: ## create or update .venv from the lock file
	@tools/environment.sh

.PHONY: build
build: env ## build the Rust workers, one by one
	$(call say,building the Rust workers in release mode; the first build can take a quarter of an hour)
	@status=0; duet build || status=1; cargo build $(CARGO) --quiet -p lcg || status=1; exit $$status

.PHONY: tests
tests: build ## run every test of the plugin, with warnings as errors
	$(call say,Python tests)
	@pytest plugin/tests -W error

.PHONY: unit
unit: env ## run the quick tests of the plugin, well under a minute
	@pytest plugin/tests -q -x -W error $(addprefix --ignore plugin/tests/,sessions seeded_faults contract)

.PHONY: rust
rust: env ## run every Rust test, in the workers' own build settings
	$(call say,Rust tests)
	@status=0; for folder in $(CRATES); do \
		cargo test --release --locked --manifest-path $$folder/Cargo.toml || status=1; \
	done; exit $$status

.PHONY: verify
verify: build ## run every benchmark and example once: check parity and quality, time nothing
	$(call say,verifying every case once)
	@pytest benches examples --benchmark-disable

.PHONY: lint
lint: lint-python type lint-rust ## check style and types in both languages

.PHONY: lint-python
lint-python: env
	$(call say,ruff)
	@ruff check --output-format concise && ruff format --check

.PHONY: type
type: env
	$(call say,mypy)
	@mypy

.PHONY: lint-rust
lint-rust: env
	$(call say,rustfmt and clippy)
	@cargo fmt --manifest-path rust_crates/Cargo.toml --all --check
	@cargo clippy $(CARGO) --all-targets -- -D warnings

.PHONY: format
format: env ## format all code (ruff and rustfmt)
	@ruff check --fix-only && ruff format
	@cargo fmt --manifest-path rust_crates/Cargo.toml --all

.PHONY: lock
lock: env ## resolve the Python dependencies again and write requirements/
	@tools/lock.sh

.PHONY: clean
clean: ## remove build outputs and caches; keep .venv, saved runs and journals
	rm -rf target .duet .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .tox
