# Everything that people and CI run; `make` alone lists it.
# Needs: CPython 3.11 or newer with its venv module, make, git. No uv, no root.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
UV ?= uv
LOCK := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet
# Most tests wait for processes: several files at once, each in one process.
SPREAD ?= -n 3 --dist loadfile
CODE := dunes torgo arachnid sakina mcp tests benchmarks tools conftest.py

.DEFAULT_GOAL := help
.PHONY: help install demo test guide qrng peers lint format types check generated generated-check wheel wheel-test lock clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

install: $(VENV)/.installed ## set up .venv from the lock files
	@echo "ready: source $(BIN)/activate, then: dunes --help"

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "no CPython 3.11 or newer with venv on PATH; Debian: apt-get install python3-venv; else: make PYTHON=/path/to/python3 …" >&2; exit 69; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python requirements/run.lock requirements/test.lock pyproject.toml
	$(PIP) install --require-hashes -r requirements/run.lock -r requirements/test.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.linted: $(VENV)/.installed requirements/lint.lock
	$(PIP) install --require-hashes -r requirements/lint.lock
	@touch $@

$(VENV)/.qrng: $(VENV)/.installed requirements/qrng.lock
	$(PIP) install --require-hashes -r requirements/qrng.lock
	@touch $@

qrng: $(VENV)/.qrng ## add Qiskit (some 100 MB) for --entropy qiskit and its tests

$(VENV)-%/.installed: requirements/%.lock
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check -qq install --require-hashes -r $<
	@touch $@

# an identity provider that is not ours; without npm its tests are skipped, and say so
IDP := tests/interop/peers/oidc-provider
$(VENV)-idp/.installed: $(IDP)/package.json $(IDP)/package-lock.json
	@mkdir -p $(@D) && cp $^ $(@D)/
	@if command -v npm >/dev/null; then \
	npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@; \
	else echo "SKIPPED: npm is not here, so the tests against oidc-provider will not run"; fi

peers: $(VENV)-peer/.installed $(VENV)-mesh-peer/.installed $(VENV)-idp/.installed ## foreign programs for the tests that meet them, apart

demo: $(VENV)/.installed ## tell the lunar story on the simulated site, and judge it
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && \
	DUNES_HOME=$$home/dunes PATH="$(abspath $(BIN)):$$PATH" dunes demo $(ARGS)

test: $(VENV)/.installed ## run the tests and the documents' examples (ARGS=-k… to choose, SPREAD= for one process)
	$(BIN)/python -m pytest $(SPREAD) $(ARGS)

guide: $(VENV)/.installed ## run the examples of README.md and docs/
	$(BIN)/python -m pytest README.md docs $(ARGS)

lint: $(VENV)/.linted ## look for mistakes, and at the formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(VENV)/.linted ## format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix --select I

types: $(VENV)/.linted ## check the types, strictly
	$(BIN)/mypy
	$(BIN)/mypy tools/*.py

check: lint types generated-check ## lint, types, generated files: before a commit

generated: $(VENV)/.installed ## write completions, man pages and docs/cli-reference.md anew
	$(BIN)/python tools/generate.py

generated-check: $(VENV)/.installed ## say whether the generated files are what the commands say
	$(BIN)/python tools/generate.py --check

wheel: $(VENV)/.installed ## build the wheel into dist/
	rm -rf dist
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

wheel-test: wheel ## install the wheel in an environment of its own, and try it there
	rm -rf $(VENV)-wheel
	$(BIN)/python -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip --disable-pip-version-check -qq install --require-hashes -r requirements/run.lock
	$(VENV)-wheel/bin/python -m pip --disable-pip-version-check -qq install --no-deps dist/*.whl
	$(VENV)-wheel/bin/python -m pip --disable-pip-version-check check
	$(BIN)/python tools/try_wheel.py $(VENV)-wheel

lock: ## refresh the lock files (needs uv); UPGRADE=--upgrade for newer versions
	$(LOCK) $(UPGRADE) --extra postgres --extra sim --extra hci --extra flash --extra keyring pyproject.toml -o requirements/run.lock
	$(LOCK) $(UPGRADE) --group test --group build -c requirements/run.lock -o requirements/test.lock
	$(LOCK) $(UPGRADE) --group lint -c requirements/run.lock -c requirements/test.lock -o requirements/lint.lock
	$(LOCK) $(UPGRADE) --extra qrng pyproject.toml -c requirements/run.lock -c requirements/test.lock -o requirements/qrng.lock
	$(LOCK) $(UPGRADE) --extra probe pyproject.toml -c requirements/run.lock -c requirements/test.lock -o requirements/probe.lock
	$(LOCK) $(UPGRADE) --group peer -o requirements/peer.lock
	$(LOCK) $(UPGRADE) --group mesh-peer -o requirements/mesh-peer.lock

clean: ## remove what these targets made
	rm -rf $(VENV) $(VENV)-wheel $(VENV)-peer $(VENV)-mesh-peer $(VENV)-idp dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
