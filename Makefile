# Every target sets itself up: it needs only make and Python 3.11 or newer, and installs into .venv.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

COMPILE := .venv-lock/bin/uv pip compile pyproject.toml --quiet --no-config \
	--python .venv-lock/bin/python --python-version 3.11 --universal --generate-hashes \
	--no-annotate --custom-compile-command 'make lock'

.DEFAULT_GOAL := help
.PHONY: help setup test check demo docs bench torture lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED)  ## install labelwatch and its tools into .venv, from the lock
	@echo "labelwatch is at $(BIN)/labelwatch"

test: check  ## the same as check

check: $(INSTALLED)  ## lint, format, types, import rules, then the tests with coverage
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest --cov

demo: $(INSTALLED)  ## watch a made-up stream, without Kafka; ARGS=--once does not wait
	$(BIN)/labelwatch demo $(ARGS)

docs: $(INSTALLED)  ## refresh what is made of the code: settings and views in docs/, the dashboard
	$(BIN)/python docs/generate.py
	$(BIN)/python -m dashboards.overview

bench: $(INSTALLED)  ## run the benchmarks
	$(BIN)/python -m benchmarks

torture: $(INSTALLED)  ## kill it 200 times through Kafka; KILLS=20, SEED=7 (repeats a round)
	$(BIN)/python -m tests.kafka.torture $(if $(SEED),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS))

lock:  ## resolve both locks anew; ARGS=--upgrade takes newer versions
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet 'uv>=0.13,<0.14'
	$(COMPILE) --all-extras --group dev --output-file requirements.lock $(ARGS)
	$(COMPILE) --group build --constraint requirements.lock --output-file requirements-image.lock

clean:  ## remove everything that make has made
	rm -rf .venv .venv-lock .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The lock names every package by hash; the project itself is built with what the lock installed.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "labelwatch needs Python 3.11 or newer, and $(PYTHON) is not: make PYTHON=python3.11 …" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
