# make demo, make test: two commands do everything, on a fresh clone with nothing
# but Python 3.11 or later. CONTRIBUTING.md tells the rest.

PYTHON ?= python3

# The Pythons to test on, as VERSION=PATH=BUILD, oldest first; one or two of them.
PYTHONS := $(if $(filter-out clean help,$(MAKECMDGOALS)),$(shell CC='$(CC)' $(PYTHON) tools/pythons.py))
fields = $(subst =, ,$(1))
VERSIONS := $(foreach python,$(PYTHONS),$(firstword $(call fields,$(python))))
OLDEST := $(firstword $(VERSIONS))
NEWEST := $(lastword $(VERSIONS))
path_of = $(word 2,$(call fields,$(filter $(1)=%,$(PYTHONS))))
build_of = $(word 3,$(call fields,$(filter $(1)=%,$(PYTHONS))))

# What the compiled core is made from.
CORE := setup.py $(shell find src/socketeer/_core src/socketeer/_fast -name '*.py' -o -name '*.p[xy][dx]' -o -name '*.h')

# Peers on Node.js; without npm, tests with them are skipped and figures left out.
NODE_PEER := $(if $(shell command -v npm),tests/interop/node_modules/.package-lock.json)

BENCH_PEER := $(if $(shell command -v npm),bench/node_modules/.package-lock.json)

TESTED := $(foreach version,$(VERSIONS),.venv/$(version)/.built-$(call build_of,$(version)))

# The environment of the oldest Python, ready to be used.
OLDEST_ENVIRONMENT := .venv/$(OLDEST)/.built-$(call build_of,$(OLDEST))

# For fuzzing, which compares the builds if there are two.
FUZZ := $(if $(filter pure,$(call build_of,$(OLDEST))),SOCKETEER_CORE=pure) .venv/fuzz/bin/python -m fuzz.campaign

.PHONY: demo test check docs loss bench memory build clean help hostile soak soak-short \
	autobahn autobahn-short fuzz fuzz-short sanitize
# Two builds at once would write the same files.
.NOTPARALLEL:

help:
	@echo 'make demo    serve a live chat and print its address   (DEMO="--redis redis://...")'
	@echo 'make test    run all tests on both builds   (TESTS="tests/core -x", COVERAGE=off)'
	@echo 'make check   lint, format, types, architecture'
	@echo 'make docs    build the documentation into build/docs'
	@echo 'make bench   measure speed and memory beside peers   (QUICK=1, ROWS="echo tls")'
	@echo 'make memory  show how the bytes of a connection add up, and check them'
	@echo 'make loss    prove that no message is lost untold  (SECONDS=600)'
	@echo 'make build   compile the core again'
	@echo 'make hostile attack a live server and client at full strength'
	@echo 'make soak    half an hour of churn, with a plot in build/soak.png'
	@echo 'make clean   remove everything that make made'
	@echo
	@echo 'make autobahn    run the Autobahn test suite, which takes two hours   (make autobahn-short: two minutes)'
	@echo 'make fuzz        fuzz each target for 15 minutes   (TARGETS=frames; make fuzz-short: for 20 seconds)'
	@echo 'make sanitize    test the compiled core under ASan and UBSan'

demo: .venv/demo/.built-$(call build_of,$(NEWEST))
	@.venv/demo/bin/python -m socketeer.demo $(DEMO)

test: $(TESTED) $(NODE_PEER)
	@.venv/$(OLDEST)/bin/python tools/matrix.py --tests='$(TESTS)' $(if $(filter off,$(COVERAGE)),--no-coverage) \
		$(foreach version,$(VERSIONS),$(version)=.venv/$(version)=$(call build_of,$(version)))

# Faults of all kinds while clients come and go; SECONDS for each kind of Redis.
SECONDS := 600
loss: .venv/$(NEWEST)/.built-$(call build_of,$(NEWEST))
	@.venv/$(NEWEST)/bin/python -m tests.loss --seconds $(SECONDS)
	@.venv/$(NEWEST)/bin/python -m tests.loss --seconds $(SECONDS) --redis watched

check: .venv/check/.ready .venv/$(OLDEST)/.built-$(call build_of,$(OLDEST))
	.venv/check/bin/ruff check
	.venv/check/bin/ruff format --check
	.venv/check/bin/mypy
	.venv/check/bin/pyright --project pyproject.toml --pythonpath .venv/check/bin/python
	.venv/check/bin/python tools/typed.py .venv/$(OLDEST)
	.venv/$(OLDEST)/bin/python -m pytest -q tests/test_architecture.py

docs: .venv/docs/.ready
	.venv/docs/bin/sphinx-build -q -W --keep-going -b html docs build/docs

bench: bench/.venv/.built-compiled $(BENCH_PEER)
	@bench/.venv/bin/python -m bench $(if $(QUICK),--quick) --rows='$(ROWS)'

memory: bench/.venv/.built-compiled
	@bench/.venv/bin/python -m bench.memory --check

build: $(TESTED)

# Attacks at full strength, one after another: latencies are judged. Needs some
# 12 000 file descriptors and a machine that has nothing else to do. Latencies are
# promised of asyncio; the other rooms are attacked in tests/hostile/test_rooms.py.
hostile: .venv/$(NEWEST)/.built-$(call build_of,$(NEWEST))
	@for core in $(if $(filter compiled,$(call build_of,$(NEWEST))),pure fast,pure); do \
		echo "$$core build"; \
		HOSTILE=full SOCKETEER_CORE=$$core .venv/$(NEWEST)/bin/python -m pytest -q tests/hostile/test_hostile.py || exit 1; \
	done

# All variants at once: both builds, both loops, with and without TLS, debug mode.
soak: .venv/soak/.built-$(call build_of,$(NEWEST))
	@.venv/soak/bin/python -m tests.soak --plot build/soak.png $(SOAK)

# The same for a minute, without a plot.
soak-short: .venv/$(NEWEST)/.built-$(call build_of,$(NEWEST))
	@.venv/$(NEWEST)/bin/python -m tests.soak --seconds 60 --connections 200 --rate 50

AUTOBAHN = compliance/setup.sh && .venv/$(OLDEST)/bin/python compliance/run.py .venv/$(OLDEST)/bin/python

autobahn: $(OLDEST_ENVIRONMENT)
	@rm -rf build/autobahn
	@$(AUTOBAHN) --document docs/conformance.md

autobahn-short: $(OLDEST_ENVIRONMENT)
	@$(AUTOBAHN) --short --out build/autobahn-short

fuzz: .venv/fuzz/.built-$(call build_of,$(OLDEST))
	@$(FUZZ) 900 $(TARGETS)

fuzz-short: .venv/fuzz/.built-$(call build_of,$(OLDEST))
	@$(FUZZ) 20 $(TARGETS)

sanitize: $(OLDEST_ENVIRONMENT)
	@.venv/$(OLDEST)/bin/python tools/sanitize.py $(TESTS)

clean:
	rm -rf .venv bench/.venv bench/node_modules build dist src/*.egg-info .coverage* .hypothesis .*_cache docs/_build tests/interop/node_modules
	find bench compliance fuzz src tests tools -name __pycache__ -prune -exec rm -rf {} +
	find src -name '*.so' -delete

# An environment has a Python and a group of requirements from pyproject.toml.
.venv/%/.ready: INTERPRETER = $(call path_of,$*)
.venv/%/.ready: GROUP = test
.venv/demo/.ready: INTERPRETER = $(call path_of,$(NEWEST))
.venv/demo/.ready: GROUP = demo
.venv/soak/.ready: INTERPRETER = $(call path_of,$(NEWEST))
.venv/soak/.ready: GROUP = soak
.venv/check/.ready .venv/docs/.ready .venv/fuzz/.ready: INTERPRETER = $(call path_of,$(OLDEST))
.venv/check/.ready: GROUP = check
.venv/docs/.ready: GROUP = docs
.venv/fuzz/.ready: GROUP = fuzz

define environment
@echo 'making $(@D) with $(INTERPRETER)'
@$(INTERPRETER) -m venv $(@D)
@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint tools/constraints.txt pip
@$(@D)/bin/python -m pip install --quiet --constraint tools/constraints.txt --group $(GROUP)
@touch $@
endef

.venv/%/.ready: pyproject.toml tools/constraints.txt
	$(environment)

# What is measured needs a Python that was compiled with optimisations.
bench/.venv/.ready: INTERPRETER = $(shell $(PYTHON) tools/pythons.py --fastest)
bench/.venv/.ready: GROUP = bench
bench/.venv/.ready: pyproject.toml tools/constraints.txt
	$(environment)

# Installed from the checkout; compiled modules stand beside their sources, for
# each Python under another name.
define install
@echo 'installing socketeer in $(@D), $(1) build'
@SOCKETEER_BUILD=$(1) $(@D)/bin/python -m pip install --quiet --no-build-isolation --no-deps --editable .
@touch $@
endef

.venv/%/.built-compiled: .venv/%/.ready $(CORE)
	$(call install,compiled)

bench/.venv/.built-compiled: bench/.venv/.ready $(CORE)
	$(call install,compiled)

.venv/%/.built-pure: .venv/%/.ready $(CORE)
	$(call install,pure)

tests/interop/node_modules/.package-lock.json: tests/interop/package-lock.json
	@cd tests/interop && npm ci --silent && touch node_modules/.package-lock.json || test "$$CI" != true

bench/node_modules/.package-lock.json: bench/package-lock.json
	@cd bench && npm ci --silent --ignore-scripts && touch node_modules/.package-lock.json || echo 'npm failed: nothing on Node.js is measured'

# Environments are made once, not thrown away as by-products.
.SECONDARY:
