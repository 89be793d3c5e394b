# Everything a developer types. Needs Python 3.11 or newer and make; the rest lands in .venv.
#
#   make demo       a phantom study with a known answer, found, read and reported
#   make demo-pacs  the service beside a real archive
#   make test-fast  the tests that take under two minutes
#   make check      what CI runs: format, lint, types, contracts, all tests, docs

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
CORE := $(VENV)/.core-installed
DEV := $(VENV)/.dev-installed
TESTS ?= tests
# Processes that run tests; 0 runs them in one, as a debugger needs it. Files stay together: they share what they made.
WORKERS ?= auto
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help core dev demo demo-pacs test test-fast check format lint types contracts docs docs-serve bench lock wheel clean

help:  ## Say what there is to make
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"cspine needs Python 3.11 or newer, this is {v[0]}.{v[1]}; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip

$(CORE): $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(DEV): $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable ".[train,onnxruntime,data,video,serve,postgres]" --group dev
	@touch $(CORE) $@

core: $(CORE)  ## Install cspine as a user gets it (no torch)

dev: $(DEV)  ## Install every extra and the developers' tools

demo: $(CORE)  ## Make a phantom study with a known answer, detect it, show the report
	$(BIN)/cspine demo

demo-pacs: $(DEV)  ## Run the service beside Orthanc: phantoms go there, results come back; Ctrl-C ends
	$(BIN)/python -m tools.demo_pacs

test: $(DEV)  ## Run every test
	$(PYTEST) $(TESTS)

test-fast: $(DEV)  ## Run the tests that are not marked slow
	$(PYTEST) -m "not slow" $(TESTS)

check: format lint types contracts test docs  ## Run everything that CI runs

format: $(DEV)  ## Check the formatting
	$(BIN)/ruff format --check .

lint: $(DEV)  ## Check style and common mistakes
	$(BIN)/ruff check .

types: $(DEV)  ## Check the types, strictly
	$(BIN)/mypy

contracts: $(DEV)  ## Check who imports whom
	$(BIN)/lint-imports --no-logo

docs: $(DEV)  ## Build the documentation into build/docs; a warning or a broken link fails
	$(BIN)/python tools/build_docs.py

docs-serve: $(DEV)  ## Show the documentation while it is written
	$(BIN)/mkdocs serve

bench: $(DEV)  ## Measure speed and memory, print the tables
	$(BIN)/python -m benchmarks

lock:  ## Resolve all dependencies afresh into constraints.txt
	$(PYTHON) tools/lock.py

wheel: $(BIN)/python  ## Build the wheel into dist/
	$(BIN)/python -m pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir dist .

clean:  ## Remove what the other targets made
	rm -rf $(VENV) dist build/docs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
