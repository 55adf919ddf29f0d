# Needs Python 3.11 (3.12 and 3.13 work too) with pip; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# processes that run tests; a file's tests stay in one, since they share their workers
JOBS ?= 2
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-all coverage check dev bench clean help

help:  ## what the targets do
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# pip 25.1 is the first that knows dependency groups, and newer than what a venv brings along.
$(VENV)/.all: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing nncompare with PyTorch, TensorFlow and Keras into $(VENV): a minute or a few."
	$(PIP) "pip>=25.1"
	$(PIP) -e ".[all]"
	@touch $@

$(VENV)/.test: $(VENV)/.all
	$(PIP) -e ".[all,postgres]" --group test
	@touch $@

$(VENV)/.check: $(VENV)/.all
	$(PIP) --group check
	@touch $@

$(VENV)/.dev: $(VENV)/.all
	$(PIP) -e ".[all,postgres]" --group dev
	@touch $@ $(VENV)/.test $(VENV)/.check

demo: $(VENV)/.all  ## install everything and compare the three frameworks on bundled data, offline
	$(BIN)/nncompare run configs/digits_mlp.yaml

test: $(VENV)/.test  ## install what the tests need and run them
	$(BIN)/python -m pytest -m "not slow" -n $(JOBS) --dist loadfile

test-all: $(VENV)/.test  ## the slow tests too
	$(BIN)/python -m pytest

coverage: $(VENV)/.test  ## which lines and branches of the parent's side the tests reach
	$(BIN)/python -m pytest -m "not slow" -n $(JOBS) --dist loadfile --cov --cov-report=term

check: $(VENV)/.check  ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

dev: $(VENV)/.dev  ## everything for a developer, and checks before each commit
	$(BIN)/pre-commit install

bench: $(VENV)/.all  ## training throughput against hand-written loops, as ratios
	$(BIN)/python -m benchmarks.throughput --check

clean:  ## remove the environment and caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.*
