# Each target sets up what it needs; a second run finds it done. `make` alone lists the targets.

BIN := .venv/bin
READY := .venv/.ready

# PROGRAM:PACKAGE; the package is installed where the program is missing.
RUN_PROGRAMS := runc:runc slirp4netns:slirp4netns busybox:busybox-static ip:iproute2 unshare:util-linux
TEST_PROGRAMS := $(RUN_PROGRAMS) dockerd:docker.io docker:docker-cli mmdebstrap:mmdebstrap ps:procps \
	bzip2:bzip2 xz:xz-utils bsdtar:libarchive-tools git:git docker-compose:docker-compose node:nodejs npm:npm \
	ssh-agent:openssh-client

# Examples for each property in `make fuzz`.
FUZZ_EXAMPLES ?= 10000

.PHONY: help setup demo test check bench fuzz
.DELETE_ON_ERROR:

help:
	@echo "make demo    build examples/hello with an engine of its own, and list the images"
	@echo "make test    run every test that this machine can run"
	@echo "make check   formatting, lint, types, imports, lengths, licences"
	@echo "make bench   the same work by imagewright and its peers, fifteen minutes: writes docs/benchmarks.md;"
	@echo "             with BENCH=--quick three minutes, and only printed"
	@echo "make fuzz    the property tests with FUZZ_EXAMPLES=$(FUZZ_EXAMPLES)"
	@echo "make setup   only set up: .venv and the system's programs"

setup: $(READY)
	@.ci/install-programs $(RUN_PROGRAMS)

# pip is told nothing about where packages come from: that is the machine's business.
$(READY): requirements/dev.txt pyproject.toml src/imagewright/__init__.py
	@set -eu; \
	for python in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then echo "Python 3.11 or newer is needed." >&2; exit 1; fi; \
	if [ ! -x $(BIN)/python ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	    rm -rf .venv; \
	    if ! $$found -c 'import ensurepip' 2>/dev/null; then .ci/install-programs python3-venv:python3-venv; fi; \
	    $$found -m venv .venv; \
	fi; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	touch $@

demo: setup
	@examples/hello/demo $(BIN)/imagewright

test: $(READY)
	@.ci/install-programs $(TEST_PROGRAMS)
	$(BIN)/pytest

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src/imagewright tests
	$(BIN)/lint-imports
	.ci/check-requirements $(BIN)
	.ci/check-lengths

bench: $(READY)
	@.ci/install-programs $(TEST_PROGRAMS) docker-registry:docker-registry podman:podman
	$(BIN)/python benchmarks/bench.py $(BENCH)

fuzz: $(READY)
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/pytest tests/property --hypothesis-profile=fuzz --timeout=0
	PYTHONPATH=src:tests $(BIN)/python -m fuzz.tar $(FUZZ_EXAMPLES)
	PYTHONPATH=src:tests $(BIN)/python -m fuzz.reference $(FUZZ_EXAMPLES)
	PYTHONPATH=src:tests $(BIN)/python -m fuzz.dockerfile $(FUZZ_EXAMPLES)
