# Every target calls one thing; what it does is written there.
# PYTHON=... chooses the interpreter, otherwise the first that is new enough, preferably one that
# can make virtual environments (Debian ships that part as python3-venv).

ifeq ($(origin PYTHON), undefined)
PYTHON := $(shell for needed in sys,venv,ensurepip sys; do \
	for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c "import $$needed; sys.exit(sys.version_info < (3, 11))" 2>/dev/null \
	&& command -v $$python && break 2; done; done)
endif
STACK = $(if $(PYTHON),,$(error no Python 3.11 or newer found: install python3, \
	or name one: make PYTHON=/path/to/python3 $@))PYTHONSAFEPATH= exec "$(PYTHON)" -m host

.DEFAULT_GOAL := help
.PHONY: help demo projects test up down clean gc backup backup-verify restore doctor bench bench-serving chaos lint lock audit licences

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## start the stack, train and promote a model, ask it for a prediction
	@$(STACK) demo

projects: ## run every example project on the stack (K=name, T5=folder: not from the hub)
	@$(STACK) projects

test: ## run every test that this machine can (TIER=unit K=name FULL=1 COVERAGE=1)
	@$(STACK) test

up: ## start the stack: Docker Compose where an engine answers, else local processes
	@$(STACK) up

down: ## stop what runs, keep the data
	@$(STACK) down

clean: ## remove all data, after asking (YES=1: without)
	@$(STACK) clean

gc: ## delete for good what users have deleted, after asking (OLDER=30d YES=1)
	@$(STACK) gc

backup: ## back up all data while the stack runs (TO=folder or s3://bucket/folder)
	@$(STACK) backup

backup-verify: ## read a backup whole and check it (FROM= SNAPSHOT=)
	@$(STACK) backup-verify

restore: ## put a backup back, over a stack with data after asking twice (FROM= SNAPSHOT= OVER=)
	@$(STACK) restore

doctor: ## check this machine: ports, memory, disk, Docker
	@$(STACK) doctor

bench: ## compare tracking, and ways of logging, with MLflow's own (ARGS=--quick: in minutes)
	@$(STACK) bench

bench-serving: ## compare the model server with MLflow's and others (ARGS=--quick: in minutes)
	@$(STACK) bench-serving

chaos: ## bring faults about in a stack of its own, under load (ARGS=--list FULL=1)
	@$(STACK) chaos

lint: ## check all files (FIX=1: mend what can be mended)
	@$(STACK) lint

lock: ## pin all packages anew from the .in files (UPGRADE=1: newest versions)
	@$(STACK) lock

audit: ## ask a public database for known holes in what the locks pin (AUDIT=required)
	@$(STACK) audit

licences: ## write into docs/images.md which packages the images hold, and their licences
	@$(STACK) licences
