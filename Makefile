PYTHON ?= python3.11
TORCH ?= 2.13.0
BIN := .venv/bin
STAMP := .venv/installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install test lint types licences audit unit quickstart lock
MAKEFLAGS += --jobs=2

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile
	@echo "PYTHON=$(PYTHON) makes .venv; set it on the command line to use another (3.11 or later)"

install: $(STAMP) ## .venv from requirements.lock, duhamel itself editable

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/pip check
	@touch $@

# The tests come last: their closing line is the last one printed. Types are checked beside them.
test: lint types licences audit unit ## everything CI runs

lint: $(STAMP) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy
	$(BIN)/mypy train.py

licences: $(STAMP) ## of all dependencies; fails at one that is not allowed
	@$(BIN)/python .ci/supply_chain.py licences

audit: $(STAMP) ## known vulnerabilities of what requirements.lock names; says so where no service could be asked
	@$(BIN)/python .ci/supply_chain.py audit

# The longest files first, so that no worker ends long after the other.
unit: $(STAMP) ## tests, and the examples in docstrings
	OMP_NUM_THREADS=1 $(BIN)/pytest --doctest-modules tests/training tests src/duhamel --numprocesses=auto --dist=loadfile --no-loadscope-reorder

quickstart: $(STAMP) data/burgers.hdf5 ## data from the reference solver, train, evaluate, compare with the solver
	$(BIN)/python train.py +experiment=burgers_fno
	$(BIN)/python -m duhamel.benchmark +experiment=quick

# Order-only: a newer lock file is no reason to make the data again.
data/burgers.hdf5: | $(STAMP)
	@mkdir -p $(@D)
	$(BIN)/python -m duhamel.datasets.generate pde=burgers n_samples=1280 out=$@

lock: ## rewrite requirements.lock: newest versions that pyproject.toml allows; TORCH=x.y.z names torch
	@set -eu; fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(PYTHON) -m venv "$$fresh/venv"; \
	$(PYTHON) -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*p["dependencies"], *p["optional-dependencies"]["dev"], sep="\n")' > "$$fresh/ranges"; \
	"$$fresh/venv/bin/pip" install --quiet "torch==$(TORCH)" -r "$$fresh/ranges"; \
	"$$fresh/venv/bin/pip" freeze --all --exclude pip > "$$fresh/freeze"; \
	{ echo "# Rewritten by \`make lock\` from the ranges in pyproject.toml; do not edit."; \
	  echo "# torch is named without its build: pip picks CPU or CUDA, and the CUDA libraries that go with it."; \
	  sed 's/^\(torch==[^+]*\)+.*/\1/' "$$fresh/freeze" | grep -Ev '^(nvidia-|cuda-|triton)' | LC_ALL=C sort -f; \
	} > requirements.lock
