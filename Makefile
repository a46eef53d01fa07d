# What a user and a developer do, a line each. `make help` lists it.

# Another Python: make demo PYTHON=/usr/bin/python3.12
PYTHON ?= $(or $(PYO3_PYTHON),python3)
VENV := target/test-venv
PYTEST := $(VENV)/bin/python -m pytest -c tests/pytest.ini
REQUIREMENTS := tests/requirements.txt

# The binary embeds the Python that makes the virtual environments.
export PYO3_PYTHON := $(PYTHON)

.NOTPARALLEL:
.PHONY: help test prerequisites check unit blackbox soak demo demo-stop bench reliability docs

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

demo: ## the blog behind nginx, from nothing; prints the URL
	@$(PYTHON) examples/blog/demo.py

demo-stop: ## stop it
	@$(PYTHON) examples/blog/demo.py stop

test: prerequisites check unit blackbox ## everything: style, unit tests, and the real thing with nginx and Django

prerequisites: ## what all of it needs, installed as root where it is missing
	@$(PYTHON) scripts/prerequisites.py

check: ## formatting and lints
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings

unit: ## the tests inside the crate, and the rules of the house
	cargo test

blackbox: $(VENV)/ready ## the release binary, seen from outside
	cargo build --release
	$(PYTEST) tests

soak: $(VENV)/ready ## races repeated until they would show
	cargo build --release
	$(PYTEST) tests -m soak

bench: ## against uWSGI, side by side
	$(PYTHON) benches/run.py

reliability: $(VENV)/ready ## every fault done to this and to uWSGI; writes docs/reliability.md
	cargo build --release
	$(VENV)/bin/python benches/reliability.py

docs: ## write the generated pages anew
	RUSTWSGI_BLESS=1 cargo test

$(VENV)/ready: $(REQUIREMENTS)
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --use-pep517 -r $(REQUIREMENTS)
	touch $@
