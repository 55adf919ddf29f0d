# Needs Python 3.11 (3.12 and 3.13 work too) with pip; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# processes that run tests; a file's tests stay in one, since they share their workers
JOBS ?= 2
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-all check bench clean help

help:  ## what the targets do
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.all: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing nncompare with PyTorch, TensorFlow and Keras into $(VENV): a minute or a few."
	$(PIP) -e ".[all]"
	@touch $@

$(VENV)/.test: $(VENV)/.all
	$(PIP) -e ".[all,test]"
	@touch $@

$(VENV)/.check: $(VENV)/.all
	$(PIP) -e ".[all,check]"
	@touch $@

demo: $(VENV)/.all  ## install everything and compare the three frameworks on bundled data, offline
	$(BIN)/nncompare run configs/digits_mlp.yaml

test: $(VENV)/.test  ## install what the tests need and run them
	$(BIN)/python -m pytest -m "not slow" -n $(JOBS) --dist loadfile

test-all: $(VENV)/.test  ## the slow tests too
	$(BIN)/python -m pytest

check: $(VENV)/.check  ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.all  ## training throughput against hand-written loops, as ratios
	$(BIN)/python -m benchmarks.throughput --check

clean:  ## remove the environment and caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
