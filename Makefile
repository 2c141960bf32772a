# Everything here needs make and Python 3.11, 3.12 or 3.13, and nothing else: each target installs what it uses
# into .venv, at the versions and hashes of requirements/dev.txt. A second run installs nothing.

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# A tenth of pip's time. Like pip it trusts the authorities of the system, as behind a proxy with one of its own. Who has
# an index that only pip knows of gets what pip installs.
INSTALL = install() { $(BIN)/uv pip install --quiet --no-config --system-certs --python $(BIN)/python --require-hashes "$$@" || \
	$(PIP) install --require-hashes "$$@"; }; install

SYSTEM := PYTHONPATH=$(abspath $(VENV))/system PATH="$(abspath $(VENV))/system/bin:$$PATH"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test cover test-system test-container test-live consumers explore soak year bench fuzz mutants check fix release-check lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r t d; do printf '%-20s%s\n' "$$t" "$$d"; done

demo: $(VENV)/.installed ## the whole job on a simulated PVE: no configuration, no network
	@echo "demo: rotating a token of a simulated PVE"
	@$(BIN)/rotate demo

test: $(VENV)/.installed ## all tests
	@echo "test: pytest on every core"
	@$(BIN)/python -m pytest -q -n auto

cover: $(VENV)/.installed ## all tests, with branch coverage (twice the time)
	@echo "cover: pytest on every core, with branch coverage"
	@$(BIN)/python -m pytest -q -n auto --cov

test-system: $(VENV)/.installed $(VENV)/system/.installed ## the tests with real programs, which requirements/debian.txt names
	@echo "test-system: the page in Chromium, the metrics in Prometheus, what is deployed"
	@$(SYSTEM) $(BIN)/python -m pytest -q -n 2 --ignore tests/system/container tests/system

test-container: $(VENV)/.installed $(VENV)/system/.installed ## the image, built by a docker daemon of its own, and the CronJob's command in it
	@echo "test-container: the image, and what runs in it"
	@$(SYSTEM) $(BIN)/python -m pytest -q tests/system/container

test-live: $(VENV)/.installed ## the tests of the stores against real servers that the environment names
	@echo "test-live: the tests of the stores against real servers"
	@$(BIN)/python -m tests.live

consumers: $(VENV)/.installed $(VENV)/consumers/.installed ## run consumers that are too large for make test (0.5 GB)
	@echo "consumers: Ansible's collection community.proxmox, with what was written for it, as its guide says"
	@CONSUMERS=$(abspath $(VENV))/consumers/bin $(BIN)/python -m pytest -q tests/consumers/ansible_collection.py tests/consumers/ansible_guide.py

explore: $(VENV)/.installed ## look for a way to break the promise: all crashes, races and faults (long)
	@echo "explore: all crashes, races and faults"
	@$(BIN)/python -m tests.explore all

soak: $(VENV)/.installed ## ten thousand rotations in memory, every tenth call of which goes wrong (minutes)
	@echo "soak: rotating, with consumers that log in all the time"
	@$(BIN)/python -m tests.explore.soak

year: $(VENV)/.installed ## a year of 500 credentials by a turned clock, then the memory of 100,000 runs (minutes)
	@echo "year: 500 credentials, with failures; then the memory of 100,000 runs"
	@$(BIN)/python -m tests.service.year 500 365 120
	@$(BIN)/python -m tests.service.memory

bench: $(VENV)/.installed $(VENV)/consumers/.installed ## what it costs, beside what rivals cost, on a PVE as slow as a real one (minutes)
	@echo "bench: rotations, cold starts, plans and rivals; all numbers to build/bench.json"
	@PATH="$(abspath $(VENV))/consumers/bin:$$PATH" $(BIN)/python -m tests.bench --json build/bench.json

fuzz: $(VENV)/.installed ## draw thousands of strange worlds and inputs, others each time (minutes; EXAMPLES=5000)
	@echo "fuzz: the properties and the parsers, with examples that were not tried before"
	@$(BIN)/python -m pytest -q -n auto --hypothesis-profile=deep tests/property

mutants: $(VENV)/.installed $(VENV)/mutants/.installed ## change the code in small ways, to see whether a test notices (minutes)
	@echo "mutants: changing the code in small ways, in a copy"
	@PYTHONPATH=$(abspath $(VENV))/mutants $(BIN)/python -m tests.mutants

check: $(VENV)/.installed ## format, lint, types, layers, locks
	@echo "check: format, lint, types, layers, locks"
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest -q tests/repo/test_locks.py

fix: $(VENV)/.installed ## format, and repair what the linter can
	@echo "fix: format, and repair what the linter can"
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

release-check: $(VENV)/.installed $(VENV)/system/.installed ## build sdist and wheel twice, see that the bytes are the same, and look what is in them
	@echo "release-check: building twice, elsewhere and with other times"
	@PYTHONPATH=$(abspath $(VENV))/system $(BIN)/python -m tests.release

LOCK := $(BIN)/uv pip compile --quiet --no-config --system-certs --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK_FLAGS)

lock: $(VENV)/.installed ## bring requirements/ in step with pyproject.toml (newest versions: LOCK_FLAGS=--upgrade)
	@echo "lock: resolving the dependencies"
	@$(LOCK) --output-file requirements/runtime.txt pyproject.toml
	@$(LOCK) --output-file requirements/dev.txt --group dev --constraint requirements/runtime.txt pyproject.toml
	@$(LOCK) --output-file requirements/image.txt --all-extras --constraint requirements/dev.txt pyproject.toml
	@$(LOCK) --output-file requirements/build.txt --group build --constraint requirements/dev.txt
	@$(LOCK) --output-file requirements/uv.txt --group installer --constraint requirements/dev.txt
	@$(LOCK) --output-file requirements/consumers.txt --group consumers
	@$(LOCK) --output-file requirements/mutants.txt --group mutants --constraint requirements/dev.txt
	@$(LOCK) --output-file requirements/system.txt --group system --constraint requirements/dev.txt

clean: ## remove everything that these targets made
	@echo "clean: removing $(VENV), caches and builds"
	@rm -rf $(VENV) dist build .coverage* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +

# A name that merely exists is not enough: version managers put shims on the path that fail when called.
PYTHONS := $(PYTHON) python3.13 python3.12 python3.11 python3 python
SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))

$(VENV)/.locked: requirements/dev.txt requirements/uv.txt
	@python=; for p in $(PYTHONS); do if $$p -c '$(SUITABLE)' >/dev/null 2>&1; then python=$$p; break; fi; done; \
	if [ -z "$$python" ]; then \
		echo "no Python 3.11, 3.12 or 3.13 with venv found (tried: $(strip $(PYTHONS)))" >&2; \
		echo "hint: on Debian, apt-get install python3-venv; or name one: make PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	echo "install: $(VENV), with $$($$python --version)"; \
	$$python -m venv --clear $(VENV)
	@$(PIP) install --require-hashes --requirement requirements/uv.txt
	@$(INSTALL) --requirement requirements/dev.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/consumers/.installed: requirements/consumers.txt | $(VENV)/.installed
	@echo "install: $(VENV)/consumers"
	@$(BIN)/python -m venv --clear $(VENV)/consumers
	@$(VENV)/consumers/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --requirement $<
	@touch $@

# Beside the installation, not in it: the tests that mutants run need all of that too.
$(VENV)/mutants/.installed: requirements/mutants.txt | $(VENV)/.installed
	@echo "install: $(VENV)/mutants"
	@rm -rf $(VENV)/mutants
	@$(INSTALL) --target $(VENV)/mutants --requirement $<
	@touch $@

$(VENV)/system/.installed: requirements/system.txt | $(VENV)/.installed
	@echo "install: $(VENV)/system"
	@rm -rf $(VENV)/system
	@$(INSTALL) --target $(VENV)/system --requirement $<
	@touch $@
