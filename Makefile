# Set-up needs Python 3.11 or newer and make. `make demo` runs the main job, `make test` the tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test fast lint setup viewers bench sbom clean

demo: setup
	$(BIN)/cardioscan demo

test: setup
	$(BIN)/pytest -n 2 --dist loadfile

# What needs no outside program, no browser and no trained network: while one works.
fast: setup
	$(BIN)/pytest -n 2 --dist loadfile -m "not peer and not browser and not slow"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.tools.hand_set_numbers

bench: setup
	$(BIN)/python -m tests.bench.bench_receive
	$(BIN)/python -m tests.bench.bench_digitize

# The software bill of materials of a release, CycloneDX 1.6: what requirements.lock pins, with hashes.
sbom: setup
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible -o dist/sbom.cdx.json

# For the tests that look at what a viewer draws: needs node 18 or newer and npm.
viewers: tests/viewers/node_modules/.package-lock.json

tests/viewers/node_modules/.package-lock.json: tests/viewers/package-lock.json
	cd tests/viewers && npm ci
	touch $@

setup: .venv/.installed

# uv installs in a third of the time where it is on the PATH; pip does the same with what every Python has.
.venv/.installed: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv .venv
	if command -v uv >/dev/null 2>&1; \
	then uv pip install --python $(BIN)/python --require-hashes -r requirements-dev.lock; \
	else $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.lock; fi
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf .venv build dist *.egg-info demo-out
