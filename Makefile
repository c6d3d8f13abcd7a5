# alliance-mailer: executable documentation of the work on it. `make` prints this list.
#
#   make demo        sets everything up and sends issue 2.6 to the example list, as files on this machine
#   make test        sets everything up and runs the tests; no root, no system package
#   make check       ruff, mypy, import-linter
#   make acceptance  the long proofs; needs Debian's packages, and says which
#   make bench       the benchmarks, as ratios from one run
#   make docs        writes the reference pages from the code
#   make golden      rewrites tests/golden; the diff is the review
#   make refresh-caniemail   what mail programs can show, anew from npm
#   make lock        resolves the dependencies anew
#   make clean       removes what the above made

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
# The machine's python3 if it is new enough, else the newest that runs; PYTHON=… chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && exit; done; echo python3)

.PHONY: help demo test check acceptance bench docs golden refresh-caniemail lock clean
help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n '1,/^$$/!p' | head -10

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo 'Python 3.11 or later is needed, and "$(PYTHON)" is not that. PYTHON=/path/to/python3.12 make … names another.'; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "setting up $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

# What it takes to run; then what it takes to work on it. Both are in the lock file, with hashes.
$(VENV)/runtime: lock/runtime.txt pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r lock/runtime.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/dev: lock/dev.txt $(VENV)/runtime
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r lock/dev.txt
	@touch $@

demo: $(VENV)/runtime
	@$(BIN)/mailer send --issue 2.6

test: $(VENV)/dev
	@$(BIN)/python -m pytest -n auto --ignore=tests/acceptance

check: $(VENV)/dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

acceptance: $(VENV)/dev
	@$(BIN)/python -m pytest -n auto tests/acceptance

bench: $(VENV)/dev
	@for each in compile.py startup.py check.py 'smtp.py --quick' mail_apis.py preview.py; do echo "== benchmarks/$$each"; $(BIN)/python benchmarks/$$each || exit 1; done

docs: $(VENV)/dev
	@COLUMNS=100 $(BIN)/python docs/generate.py

golden: $(VENV)/dev
	@GOLDEN=write $(BIN)/python -m pytest -q tests/test_golden.py

# What mail programs can show, from npm; once a season is enough.
refresh-caniemail: $(VENV)/dev
	@$(BIN)/python tools/caniemail.py

# uv resolves for all Pythons and platforms at once; it is not needed for anything else.
lock:
	@uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header -q -o lock/runtime.txt
	@uv pip compile pyproject.toml --group dev --extra cluster --universal --python-version 3.11 --generate-hashes --no-header -q -o lock/dev.txt

clean:
	@rm -rf $(VENV) build dist outbox .mailer .hypothesis .mypy_cache .ruff_cache .import_linter_cache
