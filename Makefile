# Everything runs from .venv, which `make setup` builds; each target sets it up by itself.
.DEFAULT_GOAL := help
.PHONY: help setup demo stores test test-fast test-oldest test-profiles check format lint types imports bench clean

BIN := .venv/bin
PATHS := tracer replayer analytics tui dashboards examples benchmarks docs tests
# The first Python that is new enough; override with `make PYTHON=/path/to/python setup`.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.14 python3 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && { echo $$p; break; }; done)

help:
	@echo 'make demo    run example workflows on a real Temporal and look at them (results in retrospan-demo/)'
	@echo 'make test    all tests'
	@echo 'make check   format, lint, types, imports, then all tests, also on the oldest temporalio'
	@echo 'make bench   every figure that the docs quote'
	@echo 'make setup   only build the environment in .venv'
	@echo 'make stores  unpack VictoriaMetrics and Prometheus into .stores/, for tests of the dashboards'

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@test -n '$(PYTHON)' || { echo 'retrospan needs Python 3.12 or newer: install it, or run make PYTHON=/path/to/python' >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo 'Installing into .venv (once; about a minute) …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# What only tests and types need, a gigabyte: Spark and ClickHouse. The demo does without.
.venv/engines: .venv/installed
	@echo 'Installing Spark and ClickHouse into .venv (once; about a minute) …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,lake]'
	@touch $@

demo: setup
	@$(BIN)/retrospan demo

# Debian only, and nothing is installed: tests that need a metrics store are skipped without it.
stores:
	@.ci/stores

# Tests start hundreds of processes; where this is set, each compiles the program anew.
export PYTHONDONTWRITEBYTECODE :=
# Tests wait as much as they compute. Files begin in the order of tests/conftest.py: the longest first.
PYTEST := $(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder
# Servers, workers and browsers of many tests share the machine: what fails is tried once more, alone.
AGAIN = { echo 'Trying what failed once more, alone …'; $(BIN)/pytest -q --last-failed --last-failed-no-failures none; }

test: .venv/engines .duckdb15/installed
	@$(PYTEST) || $(AGAIN)

test-fast: setup
	@$(PYTEST) -m 'not slow'

# The oldest temporalio that is supported, laid over the environment. Its own pin of protobuf is
# older than what the rest needs, and works with it.
OLDEST := temporalio==1.29.0 nexus-rpc==1.4.0
OLDEST_TESTS := tests/tracer/test_live.py tests/tracer/test_exactly_once.py \
  tests/tracer/test_exactly_once_clients.py tests/tracer/test_exactly_once_examples.py \
  tests/tracer/test_command_stream.py tests/tracer/test_told.py tests/tracer/test_forms.py \
  tests/tracer/test_attempts_before.py tests/tracer/test_harm.py

.oldest/installed: Makefile | setup
	@rm -rf .oldest
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .oldest $(OLDEST)
	@touch $@

test-oldest: setup .oldest/installed
	@export PYTHONPATH=.oldest; $(PYTEST) $(OLDEST_TESTS) || $(AGAIN)

# DuckDB as Grafana's plugin has it: snapshots are read with it.
.duckdb15/installed: Makefile | setup
	@rm -rf .duckdb15
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .duckdb15 duckdb==1.5.5
	@touch $@

# SDKs that replay profiles are for, each laid over the environment in the same way.
SDKS := mistral agents

$(SDKS:%=.%/installed): .%/installed: tests/replayer/%_sdk.txt | setup
	@rm -rf .$*
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .$* -r $<
	@touch $@

test-profiles: setup $(SDKS:%=.%/installed)
	@for sdk in $(SDKS); do \
	  PYTHONPATH=.$$sdk $(BIN)/pytest -q tests/replayer/test_$${sdk}_profile.py || exit 1; done

check: format-check lint types imports test test-oldest test-profiles

.PHONY: format-check
format-check: setup
	@$(BIN)/ruff format --check --quiet $(PATHS)

format: setup
	@$(BIN)/ruff format --quiet $(PATHS)
	@$(BIN)/ruff check --quiet --fix $(PATHS)

lint: setup
	@$(BIN)/ruff check --quiet $(PATHS)

types: .venv/engines
	@$(BIN)/mypy

imports: setup
	@$(BIN)/lint-imports --no-cache

bench: setup
	@for figure in benchmarks/[a-z]*.py; do name=$$(basename $$figure .py); \
	  echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

clean:
	rm -rf .venv .oldest .duckdb15 .stores $(SDKS:%=.%) build dist retrospan-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
