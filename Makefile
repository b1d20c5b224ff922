# `make demo` and `make test` start from nothing: they make .venv on first use and bring it up to date when
# pyproject.toml or constraints.txt change.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: help demo test test-fast lint format type docs constraints clean

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
FAST := not slow and not ray and not mlflow and not browser
# One thread per process: two test processes share the cores, and the tensors are small.
export OMP_NUM_THREADS ?= 1

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later must be on the PATH, or be named: make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/pip || { echo "making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing the pinned packages, about three minutes on first use"
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
# pip does this for packages, but not for a checkout: every process that imports ours starts half a second sooner.
	@$(BIN)/python -m compileall -q dclf cluster tune
	@touch $@

demo: $(READY) ## generate data, train with and without DCLF, say what came of it
	@$(BIN)/python examples/demo.py

test: $(READY) lint type ## lint, type check and the whole test suite
	$(BIN)/pytest -n 2

test-fast: $(READY) ## the tests that need no cluster, no server and no browser
	$(BIN)/pytest -n 2 -m '$(FAST)'

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## put the sources into the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

type: $(READY) ## mypy in strict mode
	$(BIN)/mypy --num-workers 2

docs: $(READY) ## the site of docs/, into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

constraints: ## renew constraints.txt from a fresh resolution of pyproject.toml
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder"; \
	"$$folder/bin/pip" install -qq --disable-pip-version-check -e '.[dev]'; \
	{ sed -n '/^#/p' constraints.txt; \
	  "$$folder/bin/pip" freeze --exclude-editable | sed -E 's/\+cpu$$//'; } > "$$folder/new"; \
	cp "$$folder/new" constraints.txt

clean: ## remove the environment and caches; runs and shards stay
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
