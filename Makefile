# Every target sets up .venv by itself; `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.DEFAULT_GOAL := help
.PHONY: help setup test test-slow test-soak test-all check bench demo screenshot lock clean

help:            ## what there is to run
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

setup: $(STAMP)  ## .venv from the hash-checked locks, the project in it, numba caches compiled

# Python 3.11 or 3.12, checked here because pip would say it far less plainly.
$(STAMP): requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 12) else f"isotherm needs Python 3.11 or 3.12, found {v[0]}.{v[1]}: run make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m flows.kernels.warm
	@touch $@

test: setup      ## the tests, in minutes
	$(BIN)/python -m pytest -m "not slow and not soak" -n 2

test-slow: setup ## those that take minutes
	$(BIN)/python -m pytest -m "slow and not soak" -n 2

# Seeds of faults over real sockets: what the event loop does between them is not in the seed, so `make test` and CI run five.
test-soak: setup ## hundreds of seeds of faults, a million mutated frames, outages of each venue
	$(BIN)/python -m pytest -m soak -n 2

test-all: test test-slow test-soak  ## all of them

check: setup     ## ruff, mypy --strict, import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup     ## one JSON line a benchmark, each against a peer measured in the same run
	@$(BIN)/python -m tests.bench

# make demo FOR=60s stops by itself; make demo RECORDING=btcusdt.gz VENUE=... SYMBOL=... replays instead.
VENUE ?= binance_futures
SYMBOL ?= BTCUSDT
DATA ?= data/demo
demo: setup      ## the whole pipeline on a simulated market, until Ctrl-C (FOR=60s), or over a RECORDING
ifdef RECORDING
	$(BIN)/isotherm replay --venue $(VENUE) --symbol $(SYMBOL) --data-dir $(DATA) $(RECORDING)
	$(BIN)/isotherm sql --data-dir $(DATA) "SELECT * FROM market.depth_measures_1m"
else
	$(BIN)/isotherm demo --data-dir $(DATA) $(if $(FOR),--for $(FOR))
endif

screenshot: setup ## README's picture, made anew from the demo
	$(BIN)/python -m tests.browser.screenshot

lock:            ## the locks, anew from pyproject.toml (universal, hashed, no download addresses)
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet --group build pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet --group build --group dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean:           ## what setup and the tests left behind
	rm -rf $(VENV) *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
