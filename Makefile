# `make run` shows the result, `make test` proves it; both install what they need first.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
DEVELOPED := .venv/developed
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: run test test-faults test-clusters lint mutants faults clean

run: $(INSTALLED)
	$(BIN)/scorefleet run pipelines/configs/digits.yaml

# The longest files first, so that both processes end together.
test: $(DEVELOPED)
	$(PYTEST) tests/integration tests/statistical tests/unit

# Processes, hosts and servers that are killed, cut off and brought back.
test-faults: $(DEVELOPED)
	$(PYTEST) tests/faults

# What a team has, all of it started for the tests on this machine: MLflow with passwords, PostgreSQL and a bucket on
# loopback; Slurm, `ray up` by ssh and an autoscaler on hosts of their own; what speaks to Kubernetes. One cluster at work
# at a time, since each is several machines, next to tests that wait (tests/clusters/conftest.py).
test-clusters: $(DEVELOPED)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope tests/clusters

lint: $(DEVELOPED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

mutants: $(DEVELOPED)
	$(BIN)/python -m tests.mutants

faults: $(DEVELOPED)
	$(BIN)/python -m tests.faults

clean:
	rm -rf .venv runs

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "scorefleet needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all]'
	touch $@

$(DEVELOPED): $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
