# Needs git, make and Python 3.11 or later; everything else is installed into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
# Stamps: what runs the system is installed, and what every other target needs too.
RUNS   := $(VENV)/.ready-to-run
READY  := $(VENV)/.ready
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# As many worker processes as tests/conftest.py says; each starts on a run of neighbouring tests and takes
# over from the others when it is done. Bytecode is cached even where the environment turns that off,
# because each of the many processes that tests start would compile the project again.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

.PHONY: demo up test test-quick fuzz fuzz-bus faults cov lint format bench bench-http bench-queries bench-jobs bench-live bench-security bench-provisional bench-streaming bench-hardware gateware docs site page requirements sbom lua clean help

help:             ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 12

# `make up` and `make demo` leave out most of the extras. The stamp of everything serves them as well.
$(RUNS): EXTRAS := gateway,plot
$(READY): EXTRAS := dev
$(RUNS) $(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing pycwt-mod[$(EXTRAS)] into $(VENV). This takes a few minutes, once."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --editable '.[$(EXTRAS)]'
	@touch $(RUNS) $@

demo: $(RUNS)     ## a real recording through the whole system, live on a page, and a picture
	$(BIN)/pycwt-mod demo $(if $(SECURE),--secure)

up: $(RUNS)       ## server, all services and the page, until Ctrl-C
	$(BIN)/pycwt-mod up

test: $(READY)    ## all tests, on all cores, against real nats-servers
	$(PYTEST)

test-quick: $(READY) ## the fast unit tests
	$(PYTEST) -m 'not slow' tests/unit

fuzz: $(READY)    ## thousands of damaged files for the sources, in some minutes
	FUZZ_CASES=$${FUZZ_CASES:-2000} $(PYTEST) -o timeout=3600 tests/unit/client/sources/test_fuzz.py

fuzz-bus: $(READY) ## a million damaged messages to a running system, in half an hour
	FUZZ_MESSAGES=$${FUZZ_MESSAGES:-1000000} $(PYTEST) -s -n 0 -o timeout=7200 tests/system/test_bus_fuzz.py

faults: $(READY)  ## a thousand random faults of processes, network and disk, in half an hour
	FAULTS=$${FAULTS:-1000} $(PYTEST) -s -n 0 -o timeout=14400 tests/system/test_fault_campaign.py tests/system/test_power_cut.py

cov: $(READY)     ## all tests, and which lines they reach
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
	$(PIP) --editable '.[dev,bench]'
	$(BIN)/python -m benchmarks

bench-queries: $(READY) ## measure questions to a running system and write docs/benchmarks-queries.md
	$(BIN)/python -m benchmarks.queries

bench-http: $(READY) ## measure HTTP and WebSocket against the bus and write docs/benchmarks-http.md
	$(BIN)/python -m benchmarks.gateway

bench-security: $(READY) ## measure what users, TLS and keys add and write docs/benchmarks-security.md
	$(BIN)/python -m benchmarks.security

bench-jobs: $(READY) ## measure a job of many small tasks and write docs/benchmarks-jobs.md
	$(BIN)/python -m benchmarks.jobs

bench-provisional: $(READY) ## compare provisional values and write docs/benchmarks-provisional.md
	$(BIN)/python -m benchmarks.provisional

bench-streaming: $(READY) ## compare streaming transforms and write docs/benchmarks-streaming.md
	$(PIP) --editable '.[dev,bench]'
	$(BIN)/python -m benchmarks.streaming

gateware: $(READY) ## the bitstream for the Tang Nano 9K; writes its size into docs/gateware.md
	$(PIP) --editable '.[dev,gateware]'
	$(BIN)/python -m cwt_gateware.board

bench-hardware: $(READY) ## measure the hardware bridge with a twin and write docs/benchmarks-hardware.md
	$(BIN)/python -m benchmarks.hwbridge

bench-live: $(READY) ## measure the live path with real processes and write docs/benchmarks-live.md
	$(BIN)/python -m benchmarks.live

docs: $(READY)    ## make the generated documents again
	$(BIN)/python -m cwt_schemas.asyncapi > docs/asyncapi.json
	$(BIN)/python -m cwt_gateway.openapi > docs/openapi.json

site: $(READY)    ## build the documentation as a site, in out/site
	$(PIP) --editable '.[dev,site]'
	$(BIN)/python docs/site/build.py

page:             ## build the page at /live from services/gateway/page; needs Node
	cd services/gateway/page && npm install --no-package-lock --no-audit --no-fund --loglevel=error && npm run build

requirements: $(READY) ## pin the packages of the image by hash, in deploy/requirements.txt
	$(PIP) --editable '.[dev,release]'
	echo hatchling | $(BIN)/uv pip compile --quiet pyproject.toml - --extra gateway --constraint constraints.txt \
		--generate-hashes --python-version 3.11 --python-platform linux --no-annotate \
		--custom-compile-command 'make requirements' --output-file deploy/requirements.txt

sbom: $(READY)    ## list the packages of the image with licences (CycloneDX), in out/sbom.json
	$(PIP) --editable '.[dev,release]'
	$(PYTHON) -m venv --clear var/venv-image
	var/venv-image/bin/python -m pip install --quiet --require-hashes --requirement deploy/requirements.txt
	var/venv-image/bin/python -m pip install --quiet --no-deps --no-build-isolation .
	var/venv-image/bin/python -m pip uninstall --quiet --yes pip setuptools
	mkdir -p out
	$(BIN)/cyclonedx-py environment var/venv-image/bin/python --pyproject pyproject.toml \
		--output-reproducible --output-file out/sbom.json

lua: var/bin/lua32 ## a Lua with 32-bit integers, for the tests of the ELM11's program; needs cc

var/bin/lua32: $(READY) tests/unit/hwbridge/elm11/build_lua32.sh
	tests/unit/hwbridge/elm11/build_lua32.sh $(BIN)/python

clean:            ## remove what make has made
	rm -rf $(VENV) var out .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
