# Every target bootstraps what it needs: a virtual environment, uv inside it, the lock, the members.
# The machine needs only Python 3.11 or newer, make and a package registry.

ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# The Python of the environment, if there is one: so PYTHON is given only for the first target.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell if $(BIN)/python -c 'import pip' 2>/dev/null; then echo $(BIN)/python; else echo python3; fi)
endif
MEMBERS := $(sort $(wildcard libs/*/pyproject.toml rails/*/pyproject.toml services/*/pyproject.toml tools/*/pyproject.toml))
CODE := $(wildcard libs rails services tools tests bench scripts deploy conftest.py)
TYPED := $(wildcard libs/*/src rails/*/src services/*/src tools/*/src bench scripts deploy/images)
LOCKED := $(VENV)/.locked
READY := $(VENV)/.members

.DEFAULT_GOAL := help
.PHONY: help demo test faults-full check lint format lock bench docs schemas images clean python
.DELETE_ON_ERROR:

help: ## show the targets
	@echo "Prizewire: from match result to paid prize."
	@echo
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "ARGS=... is passed on: make test ARGS='libs/money -k allocate', make demo ARGS=--json."

demo: $(READY) ## start the stack, pay three published or invented prize lists, show every sum
	@$(BIN)/prizewire demo $(ARGS)

# Several workers (conftest.py chooses the number); compiled files are kept, since each worker needs them.
test: $(READY) ## every test, quick ones first (ARGS='-n 0 path': in one process)
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto $(ARGS)

faults-full: $(READY) ## the large tests: a million rows, thousands of matches, every pair of kills
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m large $(ARGS)

check: lint ## what to run before you hand in work: lint, then the tests that need no server
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto -q -m "not postgres and not kafka and not stack and not images and not processes" $(ARGS)

lint: $(READY) ## formatting, ruff, mypy --strict, import layers, dependencies of each member
	@echo "ruff format" && $(BIN)/ruff format --check --quiet $(CODE) || { echo "prizewire: run make format"; exit 1; }
	@echo "ruff check" && $(BIN)/ruff check --quiet $(CODE)
	@echo "mypy --strict" && $(BIN)/mypy $(TYPED)
	@echo "import-linter" && $(BIN)/lint-imports
	@for member in $(MEMBERS:/pyproject.toml=); do \
		echo "deptry $$member"; \
		(cd $$member && $(CURDIR)/$(BIN)/deptry src $$(ls -d migrations 2>/dev/null) --no-ansi 2>&1) > $(VENV)/deptry.txt || { cat $(VENV)/deptry.txt; exit 1; }; \
	done

format: $(READY) ## format the code and apply the fixes of ruff
	@$(BIN)/ruff check --fix --quiet $(CODE); $(BIN)/ruff format $(CODE)

lock: $(LOCKED) ## write the lock files from the members' pyproject files (ARGS=--upgrade for newer versions)
	@$(BIN)/python scripts/bootstrap.py relock $(ARGS)
	@$(MAKE) --no-print-directory $(READY)

bench: $(READY) ## the benchmark: match event to wallet credits, beside its lower bound
	@$(BIN)/prizewire bench $(ARGS)

docs: $(READY) ## build the documentation as a site in build/docs, and fail at a broken link
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

schemas: $(READY) ## write all generated files: schemas, AsyncAPI, .env.example, manifests, pages of docs, API collection
	@$(BIN)/python -m prizewire_contracts.schemas
	@$(BIN)/python -m prizewire_contracts.asyncapi
	@$(BIN)/prizewire env-example > .env.example.new && mv .env.example.new .env.example
	@$(BIN)/prizewire dashboards write
	@$(BIN)/prizewire manifests
	@$(BIN)/python -m scripts.rails_table
	@$(BIN)/python -m scripts.metrics_page
	@$(BIN)/python -m scripts.documents

images: python ## build the images of all parts (PARTS=signer BASE=… ENGINE=buildah choose)
	@$(PYTHON) -m scripts.images

clean: ## remove the virtual environment and caches (the stack's state in .prizewire stays)
	@rm -rf $(VENV) __pycache__ .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find $(wildcard libs rails services tools tests bench scripts deploy) -name __pycache__ -type d -prune -exec rm -rf {} +

$(LOCKED): requirements.lock requirements-bootstrap.lock scripts/bootstrap.py
	@$(MAKE) --no-print-directory python
	@$(PYTHON) scripts/bootstrap.py lock
	@touch $@

# Said in words that help when there is no Python, or an old one.
python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
		echo "prizewire: no $(PYTHON) found. Install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3 python3-venv)" >&2; \
		echo "prizewire: or name one that is there: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "prizewire: $(PYTHON) is $$($(PYTHON) --version 2>&1), but 3.11 or newer is needed. Install one and name it:" >&2; \
		echo "prizewire: make PYTHON=/path/to/python3.12" >&2; exit 1; }

$(READY): $(LOCKED) $(MEMBERS)
	@$(BIN)/python scripts/bootstrap.py members
	@touch $@
