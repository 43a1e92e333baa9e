# Every habit of this repository is a target here; `make` alone lists them.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= python3
CODE   := gateway channels tests $(wildcard bench)

# A stamp says which lock and which pyproject the environment was made from.
RUN    := $(VENV)/.run-ready
DEV    := $(VENV)/.dev-ready
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile

.DEFAULT_GOAL := help
.PHONY: help run test check format lint type bench lock clean

help: ## list the targets
	@printf '\n  \033[1mbot-gateway\033[0m\n\n'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  \033[36mmake %-8s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n'

run: $(RUN) ## serve the demo on http://127.0.0.1:8080, offline, without a key
	@exec $(BIN)/bot-gateway serve --demo --config config.example.toml

test: $(DEV) ## run the whole test suite
	$(BIN)/pytest -n 3 --dist worksteal

check: $(DEV) ## format, lint, types, import rules, tests: what CI runs
	$(BIN)/ruff format --check $(CODE)
	$(MAKE) --no-print-directory lint type test

format: $(DEV) ## rewrite the code in the one format, and mend what can be mended
	$(BIN)/ruff check --fix-only --quiet $(CODE)
	$(BIN)/ruff format $(CODE)

lint: $(DEV) ## ruff, and the import rules of the architecture
	$(BIN)/ruff check $(CODE)
	$(BIN)/lint-imports

type: $(DEV) ## mypy, strict
	$(BIN)/mypy

bench: $(DEV) ## measure this gateway against its yardsticks, as one table
	$(BIN)/python -m bench

lock: $(DEV) ## pin every dependency again, with hashes, in the two lock files
	$(BIN)/python -m piptools compile --upgrade $(LOCKING) --output-file requirements.lock pyproject.toml
	$(BIN)/python -m piptools compile --upgrade $(LOCKING) --all-extras --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml

LOCKING := --quiet --generate-hashes --allow-unsafe --strip-extras --all-build-deps \
	--no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

clean: ## remove the environment and what the tools left
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage htmlcov

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "bot-gateway needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(RUN): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) ..."
	@$(PIP) --require-hashes --requirement requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing with the tools of development into $(VENV) ..."
	@$(PIP) --require-hashes --requirement requirements-dev.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@ $(RUN)
