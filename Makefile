# Two commands on a fresh machine (python3 >= 3.11 and make):   make run     make test
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
# Installed tools are stamped with the lock file they came from, so an edited lock installs again.
stamp   = $(VENV)/.$(1)-installed
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PYTHONDONTWRITEBYTECODE =

.PHONY: run test test-long check bench baseline lock clean

run: $(call stamp,run)
	$(BIN)/sim run scenarios/baseline.yaml --force

test: $(call stamp,test)
	$(BIN)/python -m pytest

test-long: $(call stamp,test)
	$(BIN)/python -m pytest -m "long or not long"

check: $(call stamp,dev)
	$(BIN)/ruff format --check sim tests
	$(BIN)/ruff check sim tests
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/sim validate scenarios/*.yaml
	$(BIN)/python -m pytest -q tests/test_architecture.py tests/test_docs.py tests/test_docs_commands.py

bench: $(call stamp,test)
	$(BIN)/python -m tests.bench

# Rewrites the stored baseline numbers; say why in CHANGELOG.md.
baseline: $(call stamp,test)
	$(BIN)/python -m tests.baseline_numbers --write

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "sim needs Python 3.11, 3.12 or 3.13; $(PYTHON) is `$(PYTHON) --version 2>&1`. Try: make run PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "This Python has no venv module. On Debian or Ubuntu: sudo apt install python3-venv   On Fedora: sudo dnf install python3-pip"; exit 2; }
	$(PYTHON) -m venv $(VENV)

define install
$(call stamp,$(1)): requirements/$(1).txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/$(1).txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $$@
endef
$(foreach set,run test dev,$(eval $(call install,$(set))))

# Writes the hashed requirement files anew from pyproject.toml (needs uv).
lock:
	for set in run:build test:build,test dev:build,test,dev; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    pyproject.toml --extra all $$(echo $${set#*:} | tr ',' '\n' | sed 's/^/--group /') -o requirements/$${set%%:*}.txt; done

clean:
	rm -rf $(VENV) outputs/*/ .pytest_cache .ruff_cache .hypothesis
