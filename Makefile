# Every target is a `mirr` command in the project's own virtual environment. `make` creates it when it is needed.
# Variables: LAB (the name of the lab), WORLD (sim or docker), POLICY, FAULT, SEED, EPISODES, PYTHON,
#            GATEWAY_PORT, PROMETHEUS_PORT, TRAFFIC_PORT, ALERTMANAGER_PORT;
#            for `make test` WORKERS, COVERAGE, PYTEST_ARGS.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
LAB ?= mirr
WORLD ?= sim
SEED ?= 7
EPISODES ?= 10
SERVICE ?= gateway
WORKERS ?= auto
COVERAGE ?= --cov
RECORDINGS ?= recordings/lab.parquet
# Recordings of another day, if there are any: nothing was fitted to them.
AGAIN ?= $(wildcard recordings/again.parquet)
export LAB

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
# A test run starts hundreds of processes. If the environment says that Python keeps no bytecode, each of them compiles
# every module that it imports, which takes longer than most of them run. So tests keep it here, whatever it says.
KEEPING_BYTECODE := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX="$$(pwd -P)/$(VENV)/bytecode"
ROOMS := agents bridge chaos cli env interfaces lab room scenarios
CODE := mirr/*.py $(ROOMS) services tests traffic

# A virtual environment stops working if the checkout is moved or copied, or if its Python is removed.
STALE := $(shell [ -x $(BIN)/python ] && grep -qsF "$$(pwd -P)/$(BIN)/" $(BIN)/mirr || echo stale)
.PHONY: stale
stale:

$(READY): pyproject.toml lab/venv.sh $(STALE)
	@lab/venv.sh $(PYTHON) $(VENV) room
	@touch $@

$(READY_DEV): pyproject.toml lab/venv.sh $(STALE)
	@lab/venv.sh $(PYTHON) $(VENV) dev
	@touch $@ $(READY)

.PHONY: help
help: ## list the commands (this list)
	@echo "MIRR Lab: five services under real traffic; break one, and let an agent fix it."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Variables: LAB=name WORLD=sim|docker SEED=n EPISODES=n SERVICE=name; more: $(BIN)/mirr --help"

.PHONY: up
up: $(READY) ## build and start the lab, and wait until it is in steady state
	@$(BIN)/mirr up
	@$(BIN)/mirr room --world docker --detach || echo "the lab is up, and only its incident room is not" >&2

.PHONY: down
down: $(READY) ## remove the lab's containers, networks and volumes, and nothing else
	@$(BIN)/mirr down

.PHONY: status
status: $(READY) ## show the state of the lab
	@$(BIN)/mirr status

.PHONY: logs
logs: $(READY) ## show the log lines of a service (SERVICE=name)
	@$(BIN)/mirr logs $(SERVICE)

.PHONY: doctor
doctor: $(READY) ## check everything the lab needs, and name the command that fixes each failure
	@$(BIN)/mirr doctor

.PHONY: demo
demo: $(READY) ## watch one episode (on the real lab: WORLD=docker)
	@$(BIN)/mirr demo --world $(WORLD) --seed $(SEED) $(if $(FAULT),--fault $(FAULT)) $(if $(POLICY),--policy $(POLICY))

.PHONY: room
room: $(READY) ## open the incident room in a browser (on the real lab: WORLD=docker)
	@$(BIN)/mirr room --world $(WORLD)

.PHONY: compare
compare: $(READY) ## play the same episodes in both worlds and compare them
	@$(BIN)/mirr compare $(if $(POLICY),--policy $(POLICY),--policy heuristic --policy random) \
		--episodes $(EPISODES) --seed $(SEED)

.PHONY: report
report: $(READY_DEV) ## fit the simulator to the recordings in the repository, without a lab, and write report/fidelity.html
	@$(BIN)/mirr calibrate --from $(RECORDINGS) --out report/calibration.json
	@# A missed target is news, and no reason for make to fail.
	@$(BIN)/mirr fidelity --lab $(or $(AGAIN),$(RECORDINGS)) $(if $(AGAIN),--again $(RECORDINGS),--held-out) \
		--parameters report/calibration.json --report report || [ $$? -eq 1 ]

.PHONY: bench
bench: $(READY_DEV) ## measure speed and memory
	@$(BIN)/mirr bench

.PHONY: test
test: $(READY_DEV) ## run all tests, on the real lab too, and print the branch coverage
	@$(KEEPING_BYTECODE) $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadgroup $(PYTEST_ARGS) $(COVERAGE)

.PHONY: quick
quick: $(READY_DEV) ## run the quick tests: no lab, no browser, and nothing that takes seconds
	@$(KEEPING_BYTECODE) $(BIN)/python -m tests.compile_simulator
	@$(KEEPING_BYTECODE) $(BIN)/python -m pytest -m "not thorough and not docker and not browser" \
		--numprocesses=$(WORKERS) --dist=loadgroup $(PYTEST_ARGS)

.PHONY: check
check: $(READY_DEV) ## check format, lint, types, and Prometheus' rules
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/python -m tests.services.release_types
	@if command -v promtool >/dev/null; then \
		promtool check config prometheus/prometheus.yml && promtool test rules prometheus/tests/*.yml; \
	else echo "promtool is not installed: Prometheus' rules are not checked"; fi

.PHONY: hooks
hooks: $(READY_DEV) ## run `make check` before each commit
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-user 'pre-commit>=4.3'
	@$(BIN)/pre-commit install

.PHONY: package
package: $(READY_DEV) ## build the source distribution and the wheel into dist/, and unpack the first into dist/source
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist .
	@mkdir dist/source
	@tar -xzf dist/mirr_lab-*.tar.gz -C dist/source --strip-components 1

.PHONY: audit
audit: $(READY_DEV) ## look up known vulnerabilities in the packages of the images
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip -r services/requirements.txt

.PHONY: lock
lock: ## choose new versions of the images' packages and pin them by hash (needs uv)
	@uv pip compile --no-header --no-annotate --universal --python-version 3.11 --generate-hashes \
		services/requirements.in -o services/requirements.txt
