# `make help` lists the targets. Everything runs from .venv, which any target makes first where it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
POSTGRESQL_15 := /usr/lib/postgresql/15/bin

.DEFAULT_GOAL := help
.PHONY: help install run test test-fast bench fuzz changes faults lint format sql check migrate schema catalogue diagnostics picture lock build clean distclean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is newer than the lock file when the environment holds what the lock file says; it does not where the Python
# that it was made with is gone.
$(VENV)/.stamp: requirements.lock pyproject.toml $(BIN)/python
	@bash .ci/install '$(PYTHON)' $(VENV)

$(BIN)/python:

install: $(VENV)/.stamp ## Make the virtual environment with the locked dependencies

run: install ## Serve on http://127.0.0.1:8000, with an embedded PostgreSQL unless DATABASE_URL names another
	@exec $(BIN)/python -m service serve

test: install ## Run the tests on a real PostgreSQL, but for those of changes, faults and fuzz
	$(BIN)/python -m pytest -n auto --dist worksteal $(COVERAGE)

test-fast: install ## Run the tests on the embedded PostgreSQL only
	$(BIN)/python -m pytest -n auto --dist worksteal -q -k "not postgresql-15"

bench: install ## Show what a page costs at any depth, what every request costs, and what a flood of log-ins does
	$(BIN)/python -m tests.benchmarks.pages
	$(BIN)/python -m tests.benchmarks.hot_path
	$(BIN)/python -m tests.benchmarks.logins

fuzz: install ## Send the service what nobody would write down, and hold its answers against its own document
	$(BIN)/python -m pytest -q -rP --show-capture=stdout -m "" -k "not postgresql-15" --hypothesis-profile=fuzz tests/fuzz

changes: install ## Change a copy of the checkout as CONTRIBUTING.md says, and run the tests there
	$(BIN)/python -m pytest -q -rP --show-capture=stdout -m changes tests/test_contributing.py

faults: install ## Kill and stop what migrates at every step, and upgrade under load
	$(BIN)/python -m pytest -q -rP --show-capture=stdout -n auto --dist worksteal -m faults

lint: install ## Check style, types and the direction of imports
	@failed=0; \
	for tool in "ruff check ." "ruff format --check ." mypy lint-imports; do \
		echo "$(BIN)/$$tool"; $(BIN)/$$tool || failed=1; \
	done; \
	exit $$failed

format: install ## Rewrite the Python files in the one style
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

# On the embedded PostgreSQL, and on 15 where Debian has put it. Each step tells what it finds, whatever others found.
sql: install ## Prove what sql/ and migrations/ promise, and that what is made of them is current
	@failed=0; \
	step() { echo "python -m service $$*"; $(BIN)/python -m service "$$@" || failed=1; }; \
	step sql check; \
	if [ -d $(POSTGRESQL_15) ]; then step sql check --programs $(POSTGRESQL_15); fi; \
	step sql catalogue --check; \
	step migrate snapshot --check; \
	exit $$failed

# To measure takes a third more time than to test.
check: COVERAGE = --cov --cov-report=term
check: lint sql test changes fuzz faults ## Everything that CI checks, with branch coverage

migrate: install ## Apply the pending migrations
	$(BIN)/python -m service migrate apply

schema: install ## Write docs/schema.sql, the checksums and the locks of the migrations anew
	$(BIN)/python -m service migrate snapshot

catalogue: install ## Write docs/queries.md and docs/queries.html anew from sql/ and migrations/
	$(BIN)/python -m service sql catalogue

diagnostics: install ## Plant each fault of docs/sql-checks.md in the example, and write there what is said of it
	$(BIN)/python -m tests.sqlcheck.plants

picture: install ## Take the picture of /sql in the README anew, in Chromium
	$(BIN)/python -m tests.picture

lock: install ## Compile requirements.lock anew from pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade --all-extras --strip-extras --no-header \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.lock pyproject.toml

build: install ## Build the wheel, with sql/ and migrations/ inside
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## Remove what the tools left behind
	rm -rf dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## Remove the virtual environment and the development data as well
	rm -f $(VENV)/.stamp  # or what is cut off here would be taken for whole
	rm -rf $(VENV) .dev
