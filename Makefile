# Every target works on a fresh machine with Python 3.11 or 3.12, Node 20 or newer, make and git: it sets up what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= $(shell for p in python3.12 python3.11 python3 python; do \
  "$$p" -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,12))' 2>/dev/null && { command -v "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
CHECKS := $(VENV)/.checks
JUPYTER := $(VENV)/.jupyter
NODE := node_modules/.package-lock.json
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

DATA ?= toy
BACKBONE ?= auto
TRIALS ?= 4
EPOCHS ?=
NAME ?=

.PHONY: help setup run up notebook test test-all test-aws prove-iam check settings security format snapshots bench synth deploy down destroy clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.made:
	@[ -n "$(PYTHON)" ] || { echo "Pedigree needs Python 3.11 or 3.12 on the PATH (or: make PYTHON=/path/to/python3.12 ...)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(RUNTIME): requirements.txt constraints.txt pyproject.toml | $(VENV)/.made
	@echo "Installing what Pedigree needs into $(VENV) (about 7 GB with PyTorch, some minutes)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

$(CHECKS): requirements-dev.txt $(RUNTIME)
	$(BIN)/python -m pip install --quiet -c constraints.txt -r requirements-dev.txt
	@touch $@

$(JUPYTER): notebooks/requirements.txt $(CHECKS)
	$(BIN)/python -m pip install --quiet -c constraints.txt -r notebooks/requirements.txt
	@touch $@

$(NODE): package.json package-lock.json
	@node --version >/dev/null 2>&1 || { echo "Pedigree needs Node 20 or newer for the AWS CDK CLI" >&2; exit 1; }
	npm ci --silent
	@touch $@

setup: $(RUNTIME) $(NODE) ## install everything into .venv and node_modules

run: setup ## the whole job; DATA=<toy|folder|zip|https URL|s3://...> BACKBONE=... TRIALS=4 EPOCHS=...
	@exec $(BIN)/pedigree run --data "$(DATA)" --backbone "$(BACKBONE)" --trials "$(TRIALS)" $(if $(EPOCHS),--epochs "$(EPOCHS)")

up: setup ## keep the local cloud running and serve the last trained model
	@exec $(BIN)/pedigree up

notebook: $(JUPYTER) ## the notebook in JupyterLab, on the cloud that `make up` runs, or ON=aws STAGE=...
	@variables="$$($(BIN)/pedigree $(if $(ON),--on "$(ON)") $(if $(STAGE),--stage "$(STAGE)") env)" && eval "$$variables" \
	  && exec $(BIN)/jupyter lab notebooks/train_and_deploy.ipynb

test: $(CHECKS) $(NODE) ## the tests, without the slow ones
	$(BIN)/python -m pytest -m "not slow"

test-all: $(CHECKS) $(NODE) ## all tests
	$(BIN)/python -m pytest

test-aws: $(CHECKS) $(NODE) ## the end-to-end tests on AWS, for money: PROFILE=... STAGE=e2e YES=1
	@[ -n "$(PROFILE)" ] || { echo "Say which account: make test-aws PROFILE=<a profile of your AWS configuration>" >&2; exit 1; }
	@AWS_PROFILE="$(PROFILE)" exec $(BIN)/python -m tests.end_to_end.on_aws --stage "$(or $(STAGE),e2e)" $(if $(YES),--yes)

prove-iam: $(CHECKS) $(NODE) ## take each permission away in turn and see what fails (half an hour); ONLY="role/statement" EACH=1 WRITE=1
	@CDK_VALIDATION=false exec $(BIN)/python -m tests.iam.prove $(if $(ONLY),--only "$(ONLY)") $(if $(EACH),--each-action) $(if $(WRITE),--write)

check: $(CHECKS) ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

snapshots: $(CHECKS) ## renew the templates on record in tests/infra/snapshots; the commit says why they changed
	CDK_VALIDATION=false $(BIN)/python -m tests.infra.snapshot

format: $(CHECKS) ## bring the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

settings: setup ## docs/settings.md, from the code
	$(BIN)/python -m infra.settings_page

security: setup ## the tables of docs/security.md, from the code
	$(BIN)/python -m infra.security_page

bench: setup ## one benchmark: NAME=features
	$(BIN)/python -m benchmarks.bench_$(NAME)

# Validating the templates takes three times as long as making them; the slow tests do it, and so does a deployment to AWS.
synth: setup ## the CloudFormation templates, without credentials, into cdk.out
	CDK_VALIDATION=false cdk synth --quiet

deploy: setup ## deploy to the AWS account of your credentials
	@exec $(BIN)/pedigree --on aws deploy

down: setup ## remove the local cloud's state
	@exec $(BIN)/pedigree down

destroy: setup ## remove what was deployed to AWS
	@exec $(BIN)/pedigree --on aws down

clean: ## remove what was built, not the models in build/
	rm -rf $(VENV) node_modules cdk.out
