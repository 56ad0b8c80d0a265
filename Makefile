# Needs git, make and Python 3.11 or later; everything else is installed into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# A worker process more than there are cores; each starts on a run of neighbouring tests and takes over from
# the others when it is done.
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

.PHONY: demo up test test-quick cov lint format bench bench-queries bench-jobs bench-live bench-hardware gateware docs lua clean help

help:             ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY)    ## a real recording through the whole system, live; ends by itself with a picture
	$(BIN)/pycwt-mod demo

up: $(READY)      ## server and all services, until Ctrl-C
	$(BIN)/pycwt-mod up

test: $(READY)    ## all tests, on all cores, against real nats-servers
	$(PYTEST)

test-quick: $(READY) ## the fast unit tests
	$(PYTEST) -m 'not slow' tests/unit

cov: $(READY)     ## all tests, and which lines and branches they reach
	$(PYTEST) --cov --cov-report=term

lint: $(READY)    ## style, types, and who may import whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY)  ## rewrite the code in the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)   ## measure against the peers in one run and write docs/benchmarks.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python -m benchmarks

bench-queries: $(READY) ## measure questions to a running system and write docs/benchmarks-queries.md
	$(BIN)/python -m benchmarks.queries

bench-jobs: $(READY) ## measure a job of many small tasks and write docs/benchmarks-jobs.md
	$(BIN)/python -m benchmarks.jobs

gateware: $(READY) ## the bitstream for the Tang Nano 9K; writes its size into docs/gateware.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,gateware]'
	$(BIN)/python -m cwt_gateware.board

bench-hardware: $(READY) ## measure the hardware bridge with a twin and write docs/benchmarks-hardware.md
	$(BIN)/python -m benchmarks.hwbridge

bench-live: $(READY) ## measure the live path with real processes and write docs/benchmarks-live.md
	$(BIN)/python -m benchmarks.live

docs: $(READY)    ## make the generated documents again
	$(BIN)/python -m cwt_schemas.asyncapi > docs/asyncapi.json

lua: var/bin/lua32 ## a Lua with 32-bit integers, for the tests of the ELM11's program; needs cc

var/bin/lua32: $(READY) tests/unit/hwbridge/elm11/build_lua32.sh
	tests/unit/hwbridge/elm11/build_lua32.sh $(BIN)/python

clean:            ## remove what make has made
	rm -rf $(VENV) var out .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
