# Every target sets itself up: nothing but make and Python 3.11 or newer is needed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# Some machines forbid it: then every process that is started, and the tests start hundreds, compiles everything anew.
export PYTHONDONTWRITEBYTECODE =

# The sandbox directory runs unless a real one is named.
PROFILE = $(if $(HOSPITAL_API_BASE_URL),,--profile sandbox)

help: ## Show what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements-dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with make PYTHON=/path/to/python"; exit 1; }
	@echo "Setting up $(VENV) (about a minute, only when the requirements change)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(STAMP) ## Make the virtual environment .venv

run: $(STAMP) ## Run everything on this machine: http://localhost:8000
	@exec $(BIN)/python -m deploy.local

# Five at a time, also on two cores: much of the time is spent waiting. Not reordered: tests/conftest.py says what goes first.
ALL_TESTS = --numprocesses=5 --dist=loadfile --no-loadscope-reorder

test: $(STAMP) ## Prove it: every test, on real Kafka and real PostgreSQL (a part: ARGS=tests/ingest)
	@$(BIN)/python -m pytest $(or $(ARGS),$(ALL_TESTS))

coverage: $(STAMP) ## Every test, and which lines none of them runs
	@$(BIN)/python -m pytest --cov --cov-report=term:skip-covered $(ALL_TESTS)

check: $(STAMP) ## Lint, format, types, the rooms and what they may import
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports && \
		$(BIN)/python -m pytest -q tests/test_rooms.py

chaos: $(STAMP) ## Kill, freeze and starve everything, at full size (CHAOS_ROUNDS=1)
	@CHAOS_FULL=1 $(BIN)/python -m pytest tests/chaos --timeout=1200 -p no:cacheprovider $(ARGS)

model: $(STAMP) ## Check the specification in docs/proof, and that every rule is needed (ARGS=Lane)
	@$(BIN)/python -m tests.proof.model $(ARGS)

simulate: $(STAMP) ## The real engine in simulated time, with random faults (SEEDS=10000)
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),10000) $(ARGS)

bench: $(STAMP) ## Measure: engine, projection, uploads and a huge job, beside what makes no promises
	@$(BIN)/python -m tests.bench.engine
	@$(BIN)/python -m tests.bench.projection
	@$(BIN)/python -m tests.bench.retries
	@$(BIN)/python -m tests.bench.ingest
	@$(BIN)/python -m tests.bench.ingest_files
	@$(BIN)/python -m tests.bench.status

consumers: $(STAMP) ## Run the example consumers (Python, JavaScript, Java) on the topics of make run
	@$(BIN)/python -m tests.support.example_consumers

browser: ## Install Debian's Chromium for the page's tests, where it is missing and we may
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } || \
		echo "No Chromium here, and it cannot be installed: the page's tests will be skipped"

up: ## Run everything in containers (docker compose), wait until healthy
	@docker compose $(PROFILE) up --build --detach --wait
	@echo "Page, API  http://localhost:$${PORT:-8000}  (API's documentation at /docs, health at /health/ready)"
	@$(if $(PROFILE),echo "Sandbox    http://localhost:$${SANDBOX_PORT:-8900}",echo "Directory  $$HOSPITAL_API_BASE_URL")
	@echo "Kafka      localhost:$${KAFKA_HOST_PORT:-29092}"
	@echo "curl -F file=@examples/hospitals.csv -H 'Idempotency-Key: my-first-upload' http://localhost:$${PORT:-8000}/api/v1/hospitals/bulk"

down: ## Stop the containers; the data stays
	@docker compose --profile sandbox down

# With extras: without them, pip takes a newer release for one that is asked for with extras, and misses its hash.
UPGRADE = --upgrade
lock: ## Lock the newest allowed dependencies again, with hashes (only what is new: UPGRADE=)
	@$(BIN)/python -c 'import uv' 2>/dev/null || $(BIN)/python -m pip install --quiet uv
	@for extra in ingest processor status origin dev; do \
		$(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
			--no-strip-extras $(UPGRADE) --extra $$extra pyproject.toml --output-file requirements-$$extra.txt || exit 1; done

.PHONY: help setup run test coverage check chaos model simulate bench consumers browser up down lock
