# Every target is a `mirr` command in the project's own virtual environment, which is made when it is needed.
# Variables: LAB (which lab), WORLD (sim or docker), POLICY, FAULT, SEED, EPISODES, PYTHON,
#            GATEWAY_PORT, PROMETHEUS_PORT, TRAFFIC_PORT.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
LAB ?= mirr
WORLD ?= sim
SEED ?= 7
EPISODES ?= 10
SERVICE ?= gateway
export LAB

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
ROOMS := agents bridge chaos cli env interfaces lab scenarios
CODE := mirr/__init__.py mirr/__main__.py $(ROOMS) services tests traffic

$(READY): pyproject.toml lab/venv.sh
	@lab/venv.sh $(PYTHON) $(VENV)
	@touch $@

$(READY_DEV): pyproject.toml lab/venv.sh
	@lab/venv.sh $(PYTHON) $(VENV) dev
	@touch $@ $(READY)

.PHONY: help
help: ## say what there is (this)
	@echo "MIRR Lab: five services under real traffic; break one, and let an agent fix it."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Variables: LAB=name WORLD=sim|docker SEED=n EPISODES=n SERVICE=name; more: $(BIN)/mirr --help"

.PHONY: up
up: $(READY) ## build and start the lab, wait until it is in steady state
	@$(BIN)/mirr up

.PHONY: down
down: $(READY) ## remove the lab's containers, networks and volumes, and nothing else
	@$(BIN)/mirr down

.PHONY: status
status: $(READY) ## how the lab stands
	@$(BIN)/mirr status

.PHONY: logs
logs: $(READY) ## a service's log lines (SERVICE=name)
	@$(BIN)/mirr logs $(SERVICE)

.PHONY: doctor
doctor: $(READY) ## check every precondition, with the command that fixes what fails
	@$(BIN)/mirr doctor

.PHONY: demo
demo: $(READY) ## watch one episode (WORLD=docker: on the real lab)
	@$(BIN)/mirr demo --world $(WORLD) --seed $(SEED) $(if $(FAULT),--fault $(FAULT)) $(if $(POLICY),--policy $(POLICY))

.PHONY: compare
compare: $(READY) ## the same episodes in both worlds, side by side
	@$(BIN)/mirr compare $(if $(POLICY),--policy $(POLICY),--policy heuristic --policy random) \
		--episodes $(EPISODES) --seed $(SEED)

.PHONY: bench
bench: $(READY_DEV) ## how fast and how large everything is
	@$(BIN)/mirr bench

.PHONY: test
test: $(READY_DEV) ## the whole test suite, the real lab included
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: check
check: $(READY_DEV) ## format, lint, types, and Prometheus' rules
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/mypy
	@if command -v promtool >/dev/null; then \
		promtool check config prometheus/prometheus.yml && promtool test rules prometheus/tests/*.yml; \
	else echo "promtool is not installed: Prometheus' rules are not checked"; fi

.PHONY: package
package: $(READY_DEV) ## build the source distribution and the wheel into dist/, the former unpacked in dist/source
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist .
	@mkdir dist/source
	@tar -xzf dist/mirr_lab-*.tar.gz -C dist/source --strip-components 1

.PHONY: audit
audit: $(READY_DEV) ## ask for known vulnerabilities in the packages of the images
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip -r services/requirements.txt

.PHONY: lock
lock: ## pin the packages of the images anew, with hashes (needs uv)
	@uv pip compile --no-header --no-annotate --universal --python-version 3.11 --generate-hashes \
		services/requirements.in -o services/requirements.txt
