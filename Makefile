# Two commands matter: `make run` and `make test`. Both set everything up by themselves.
PORT ?= 8080
DATA_DIR ?= var
PYTHON ?= python3
RUNS ?= 50
BIN := .venv/bin
export PYTHONPATH := $(CURDIR):$(CURDIR)/protos/gen
# Without it, every process of a test run compiles all that it imports: 4 s of a core each.
unexport PYTHONDONTWRITEBYTECODE

PROTOS = $(shell cd protos && find imagegen -name '*.proto' | sort)
SERVICES = $(filter %_service.proto,$(PROTOS))

.PHONY: help setup run backup restore executor auth test test-app app-static thorough doors chaos rolling upgrade fuzz audit bench simulate check check-deploy format proto lock

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

run: setup ## Run everything here: make run [PORT=8080] [DATA_DIR=var] [REPLICAS=1] [SKETCHES=1 | COMFYUI_URL=URL,URL]
	@$(BIN)/python -m deploy.local --port $(PORT) --data-dir $(DATA_DIR)

backup: setup ## Save what runs here: make backup OUT=folder [DATA_DIR=var]
	@$(BIN)/python -m deploy.local.backup save $(or $(OUT),$(error say where: OUT=folder)) --data-dir $(DATA_DIR)

restore: setup ## Make a data folder of a backup: make restore FROM=folder DATA_DIR=folder
	@$(BIN)/python -m deploy.local.backup restore $(or $(FROM),$(error say what: FROM=folder)) --data-dir $(DATA_DIR)

executor: setup ## Operate the executor that runs here: make executor DO="workers list" [DATA_DIR=var]
	@file="$(DATA_DIR)/run/operator.env"; set -a; ! test -e "$$file" || . "$$file"; \
		$(BIN)/python -m services.executor $(DO)

auth: setup ## Operate the accounts that run here: make auth DO="roles grant NAME operator" [DATA_DIR=var]
	@file="$(DATA_DIR)/run/operator.env"; set -a; ! test -e "$$file" || . "$$file"; \
		$(BIN)/python -m services.auth $(DO)

test: setup ## Run every test against real PostgreSQL, Valkey, Envoy and sketch
	@$(BIN)/pytest

test-app: setup ## Run the client's tests with every story (its stories want Chromium from the system)
	@STORIES=1 $(BIN)/pytest -n 0 tests/app

app-static: setup ## Make the client a folder of plain files: make app-static OUT=folder [SERVER=URL]
	@PYTHONPATH=$$PYTHONPATH:app/src $(BIN)/python -m app.static $(or $(OUT),$(error say where: OUT=folder)) \
		$(if $(SERVER),--server $(SERVER))

screenshots: setup ## Look at every view of the client, in both sizes and themes: make screenshots [OUT=var/screenshots]
	@PYTHONPATH=$$PYTHONPATH:app/src $(BIN)/python -m tests.app.screenshots --out $(or $(OUT),var/screenshots)

thorough: setup ## Run the tests of whole installations in their long form
	@THOROUGH=1 $(BIN)/pytest tests/e2e tests/security tests/rolling

doors: setup ## Go through every door with clients that others wrote (needs Node.js 20 and npm)
	@cd tests/doors/web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@$(BIN)/pytest -n 2 tests/doors tests/gateway/test_openai.py

chaos: setup ## Hurt an installation at random and judge it: make chaos [TASKS=300] [USERS=20] [FAULTS=88] [SEED=1]
	@$(BIN)/python -m tests.chaos --tasks $(or $(TASKS),300) --users $(or $(USERS),20) --faults $(or $(FAULTS),88) \
		--seconds $(or $(SECONDS),180) --engines $(or $(ENGINES),2) --seed $(or $(SEED),1)

rolling: setup ## Replace every process of an installation one by one while people use it: make rolling [USERS=50]
	@$(BIN)/python -m tests.rolling --users $(or $(USERS),50)

upgrade: setup ## Bring earlier code and its schema to what is here while people use it: make upgrade [FROM=REVISION] [USERS=50]
	@$(BIN)/python -m tests.rolling --users $(or $(USERS),50) --from $(FROM)

fuzz: setup ## Let schemathesis try every operation as two people: make fuzz [EXAMPLES=50] [SEED=1]
	@$(BIN)/python -m tests.security.fuzz --examples $(or $(EXAMPLES),50) --seed $(or $(SEED),1)

audit: setup ## Ask pip-audit about everything in requirements.lock
	@$(BIN)/python -m tests.security.audit

bench: setup ## Measure our path beside the engine alone: make bench [RUNS=50] [ONLY=engine] [COMFYUI_URL=…]
	@PYTHONPATH=$$PYTHONPATH:app/src $(BIN)/python -m tests.bench --runs $(RUNS) $(if $(ONLY),--only $(ONLY))

simulate: setup ## Replay the fair-share policy on simulated GPUs: make simulate [SEEDS=5] [OUT=folder]
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),5) $(if $(OUT),--out $(OUT))

check: setup ## Lint, types, imports, contract lint and drift
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=$$PYTHONPATH:app/src $(BIN)/lint-imports
	@$(BIN)/buf lint protos
	@$(MAKE) --no-print-directory proto PROTO_OUT=$(shell mktemp -d)/gen DRIFT=1

check-deploy: setup ## Let other people's tools judge deploy/ and compose.yaml, and try what each image installs
	@$(BIN)/python -m tests.deploy.check

format: setup ## Format the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

PROTO_OUT ?= protos/gen
proto: setup ## Generate protos/gen from the contracts
	@rm -rf $(PROTO_OUT) && mkdir -p $(PROTO_OUT)
	@PATH=$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -Iprotos -Iprotos/vendor \
		--python_out=$(PROTO_OUT) --mypy_out=quiet:$(PROTO_OUT) buf/validate/validate.proto $(PROTOS)
	@PATH=$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -Iprotos -Iprotos/vendor \
		--grpc_python_out=$(PROTO_OUT) --mypy_grpc_out=quiet:$(PROTO_OUT) $(SERVICES)
	@$(if $(DRIFT),diff -r -x __pycache__ protos/gen $(PROTO_OUT) && rm -rf $(PROTO_OUT))

lock: setup ## Resolve pyproject.toml into requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 --extra dev pyproject.toml -o requirements.lock

setup: .venv/synced

.venv/synced: requirements.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@# The machine's own certificates first (a company's mirror may need them), then those that uv brings.
	@$(BIN)/uv --system-certs pip sync --quiet --python $(BIN)/python requirements.lock \
		|| $(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	@touch $@
