# Every target makes its own .venv first; nothing needs root, a database or a broker.
# Where WAYBILL_DATABASE_URL or WAYBILL_BROKER_URL is set, that database or broker is used instead of the embedded one.

SHELL := /bin/sh
VENV := .venv
READY := $(VENV)/.ready
ARGS ?=

.PHONY: help demo test test-real lint bench serve venv

help:
	@echo "make demo       a shop, its payments and its ERP, with faults on   (ARGS=\"--orders 200 --exit\")"
	@echo "make test       the tests"
	@echo "make test-real  the tests against programs that other people wrote; what is missing is skipped with its reason"
	@echo "make lint       style, types, import contracts"
	@echo "make bench      every performance figure beside its peers'"
	@echo "make serve      web and worker on your own configuration (waybill init makes a first one)"

demo: $(READY)
	@$(VENV)/bin/waybill demo $(ARGS)

serve: $(READY)
	@$(VENV)/bin/waybill serve $(ARGS)

test: $(READY)
	$(VENV)/bin/python -m pytest -m "not real" -n auto --maxprocesses 4 --dist loadfile $(ARGS)

test-real: $(READY)
	$(VENV)/bin/python -m pytest -m real -rs $(ARGS)

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(READY)
	$(VENV)/bin/python -m benchmarks.run $(ARGS)

venv: $(READY)

$(READY): pyproject.toml constraints.txt
	@found=; for python in python3.13 python3.12 python3.11 python3; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; done; \
	if [ -z "$$found" ]; then echo "Waybill needs Python 3.11 or newer; none of python3.13, python3.12, python3.11, python3 is." >&2; exit 1; fi; \
	if ! $$found -c 'import venv, ensurepip' >/dev/null 2>&1; then \
	  echo "$$found cannot make virtual environments; install its venv package (Debian: apt-get install python3-venv)." >&2; exit 1; fi; \
	echo "Making $(VENV) with $$($$found --version), once."; \
	$$found -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[embedded,test]"
	@touch $@
