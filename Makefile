# Everything a person or CI runs. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := $(shell command -v uv 2>/dev/null)
export BENTOML_DO_NOT_TRACK := True
export FEAST_USAGE := False
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true

.PHONY: help setup setup-spark lock demo up test test-faults test-spark check fmt lint type imports bench-features bench-features-large bench-mooc bench-timing bench-curve bench-cdnow bench-thresholds bench-gate bench-decide bench-slot-price bench-spark bench-sweep bench-uplift setup-uplift-reference test-uplift-reference clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(STAMP) ## Create .venv with the locked dependencies (done by every other target)

$(STAMP): requirements.lock pyproject.toml
	@bash scripts/setup.sh $(VENV) "$(UV)"
	@touch $(STAMP)

setup-spark: $(STAMP) ## Add pyspark to .venv (about 400 MB; needs Java 17)
	@$(or $(UV),$(BIN)/python -m uv) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --require-hashes -r requirements-spark.lock

lock: $(STAMP) ## Resolve both lock files again, for all supported Pythons and platforms
	$(or $(UV),$(BIN)/uv) pip compile --universal --generate-hashes --no-emit-index-url --group dev --python-version 3.11 \
	  --custom-compile-command "make lock" --quiet pyproject.toml -o requirements.lock
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['spark'], sep='\n')" | \
	  $(or $(UV),$(BIN)/uv) pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11 -c requirements.lock \
	  --custom-compile-command "make lock" --quiet --no-annotate - -o requirements-spark.lock

demo: $(STAMP) ## Simulate, import, train, serve and decide, in one go; ends by itself
	@$(BIN)/stillhere demo

up: $(STAMP) ## The same, kept up with the MLflow UI until Ctrl-C
	@$(BIN)/stillhere up

test: $(STAMP) ## Run the tests (under 6 minutes on 2 cores)
	@$(BIN)/python -m pytest -q -rs -n 2 --dist loadfile -m "not faults and not spark"

test-faults: $(STAMP) ## Run the long fault and concurrency tests
	@$(BIN)/python -m pytest -q -m faults
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not faults" --hypothesis-profile=long tests/laws

test-spark: $(STAMP) ## Run the tests of the Spark executor (after make setup-spark)
	@$(BIN)/python -m pytest -q -rs -m spark tests/spark

check: fmt-check lint type imports test ## Format, lint, types, import rules, tests: what CI runs

fmt: $(STAMP) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --quiet .

.PHONY: fmt-check
fmt-check: $(STAMP)
	@$(BIN)/ruff format --check .

lint: $(STAMP) ## Lint
	@$(BIN)/ruff check .

type: $(STAMP) ## Check types
	@$(BIN)/mypy

imports: $(STAMP) ## Check who imports whom
	@$(BIN)/lint-imports

bench-features: $(STAMP) ## The kernel beside one DuckDB query
	@$(BIN)/python -m benchmarks.bench_features

bench-features-large: $(STAMP) ## 100 million events from Parquet to Parquet (about 5 minutes, 6 GB of disk)
	@$(BIN)/python -m benchmarks.bench_features_large

bench-mooc: $(STAMP) ## Risk on KDD Cup 2015 beside recency alone (data in STILLHERE_DATA)
	@$(BIN)/python -m benchmarks.bench_mooc

bench-cdnow: $(STAMP) ## Who never buys again on CDNOW, beside BG/NBD (data in STILLHERE_DATA)
	@$(BIN)/python -m benchmarks.bench_cdnow

bench-thresholds: $(STAMP) ## The alert error held in simulated cohorts, its recall, alarms (about 4 minutes)
	@$(BIN)/python -m benchmarks.bench_thresholds

bench-gate: $(STAMP) ## How often the gate refuses because of a segment, in simulated worlds (two minutes)
	@$(BIN)/python -m benchmarks.bench_gate

bench-timing: $(STAMP) ## When to act, beside fixed delays, habits and the oracle (13 to 20 minutes)
	@$(BIN)/python -m benchmarks.bench_timing

bench-curve: $(STAMP) ## What the timing curve costs a decision (half a minute)
	@$(BIN)/python -m benchmarks.bench_curve

bench-decide: $(STAMP) ## Decisions per second beside an empty route and a naive service
	@$(BIN)/python -m benchmarks.bench_decide

bench-sweep: $(STAMP) ## Finding the silent in 20 million events, and what a sweep costs service and callers (about 6 minutes)
	@$(BIN)/python -m benchmarks.bench_sweep

bench-slot-price: $(STAMP) ## What the price of a slot is worth under a weekly cap (simulated, 2 minutes)
	@$(BIN)/python -m benchmarks.bench_slot_price

bench-spark: $(STAMP) ## The Spark executor beside batch: equal, and what it costs (after make setup-spark)
	@$(BIN)/python -m benchmarks.bench_spark

bench-uplift: $(STAMP) ## Uplift, policy values and planted gains (data in STILLHERE_DATA; under 4 minutes)
	@$(BIN)/python -m benchmarks.bench_uplift

setup-uplift-reference: $(STAMP) ## Make .venv-reference with EconML and causalml, whose pins are not ours
	@$(or $(UV),$(BIN)/python -m uv) venv --quiet --python $(BIN)/python .venv-reference
	@$(or $(UV),$(BIN)/python -m uv) pip install --quiet --python .venv-reference/bin/python econml==0.17.0 causalml==0.18.0 "lightgbm>=4.6,<5"

test-uplift-reference: $(STAMP) ## Compare the learners with EconML's and causalml's (after make setup-uplift-reference)
	@$(BIN)/python -m pytest -q -rs tests/reference

clean: ## Remove generated state (not .venv)
	rm -rf .stillhere mlflow.db* mlruns mlartifacts feature_repo/data benchmarks/out
