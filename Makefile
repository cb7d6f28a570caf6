# What one types here. Each target announces its steps; whatever is up to date is not done again.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# torch-sys asks `python3` for libtorch, so every cargo call must see this environment first.
export PATH := $(CURDIR)/.venv/bin:$(PATH):$(HOME)/.cargo/bin
export PYTHON

# Lock files decide, whoever calls cargo; one profile, so that nothing is compiled twice.
CARGO := --release --locked --manifest-path rust_crates/Cargo.toml
# Tested one by one, as workers are built: all at once their features would unify, and the workers would become others.
CRATES := rust_crates/duet-worker/duet-build rust_crates/duet-worker rust_crates/task-support $(wildcard rust_crates/frameworks/*) examples/lcg/worker
say = @printf '\n==> %s\n' "$(1)"

.PHONY: help
help: ## list these targets
	@printf 'make TARGET, where TARGET is one of\n\n'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
	@printf '\nPYTHON=/path/to/python3 chooses the interpreter of a new environment (3.11 or later).\n'

.PHONY: bench
bench: env ## measure: build what is missing, run every benchmark in the smoke profile, print the verdict table
	@$(MAKE) --no-print-directory build || printf 'make: going on without what could not be built\n' >&2
	$(call say,benchmarks: profile smoke)
	@pytest benches

.PHONY: bench-standard
bench-standard: env ## measure at sizes people train on; an hour or two on an idle machine
	@$(MAKE) --no-print-directory build || printf 'make: going on without what could not be built\n' >&2
	$(call say,benchmarks: profile standard)
	@pytest benches --duet-profile standard

.PHONY: plan
plan: env ## show what `make bench` would run, what it could not, and how long it would take
	@pytest benches --duet-plan

.PHONY: test
test: lint build tests rust verify ## check everything: lint, types, Python tests, Rust tests, parity and quality

.PHONY: env
env: ## create or update .venv from the lock
	@tools/environment.sh

.PHONY: build
build: env ## build the Rust workers, each on its own
	$(call say,workers: cargo build in release; the first time takes minutes)
	@status=0; duet build || status=1; cargo build $(CARGO) --quiet -p lcg || status=1; exit $$status

.PHONY: tests
tests: build ## run every test of the plugin, warnings being errors
	$(call say,Python tests)
	@pytest plugin/tests -W error

.PHONY: unit
unit: env ## run the quick tests of the plugin: the inner loop, well under a minute
	@pytest plugin/tests -q -x -W error $(addprefix --ignore plugin/tests/,sessions planted contract)

.PHONY: rust
rust: env ## run every Rust test, on what the workers were built with
	$(call say,Rust tests)
	@status=0; for folder in $(CRATES); do \
		cargo test --release --locked --manifest-path $$folder/Cargo.toml || status=1; \
	done; exit $$status

.PHONY: verify
verify: build ## run every benchmark and example once: parity and quality are checked, nothing is timed
	$(call say,verify: every case once)
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
format: env ## put all code into its standard form
	@ruff check --fix-only && ruff format
	@cargo fmt --manifest-path rust_crates/Cargo.toml --all

.PHONY: lock
lock: env ## resolve the Python dependencies anew and write requirements/
	@tools/lock.sh

.PHONY: clean
clean: ## remove what was built and cached; .venv, saved runs and their journals stay
	rm -rf target .duet .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks .tox
