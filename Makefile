# One command per chore, the same here and in CI.
#
#   make demo     install if needed, then the main job: theory against measurement for six models
#   make test     install if needed, then lint, format, types, import contracts, tests
#
# TORCH says which build of PyTorch goes into the environment, as pip's own arguments.  Another
# build: TORCH='torch==2.13.0 --index-url <address of the build, from pytorch.org>' make demo

PYTHON ?= python3
TORCH  ?= torch==2.13.0
VENV   ?= .venv
WORKERS ?= 2
SCALE  ?= small

BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help venv demo test lint types contracts check-long bench reproduce docs notebooks format clean
.DEFAULT_GOAL := help

help:
	@grep -E '^#   make' Makefile | sed 's/^# *//'

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or later is needed"'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: venv
	$(BIN)/python -m avi_theory.demo

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv
	$(BIN)/mypy

contracts: venv
	$(BIN)/lint-imports

# One thread for each worker: workers that share the cores as well slow each other down.
test: lint types contracts
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) -m "not long"

check-long: venv
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS)

bench: venv
	for script in benchmarks/*.py; do test ! -e $$script || $(BIN)/python $$script || exit 1; done

reproduce: venv
	for name in $$($(BIN)/python -c 'from avi_theory.reproductions import EXPERIMENTS as e; print(*(x.name for x in e))'); \
	do $(BIN)/avi reproduce $$name --scale $(SCALE) $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT)) --out docs/results || exit 1; done

docs: venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(BIN)/sphinx-build -W -b html docs docs/_build/html

notebooks: venv
	$(BIN)/python tools/notebooks.py

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist docs/_build docs/api out *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
