# Two commands do everything: `make run` and `make test`. `make help` lists the rest.
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
CALLS  ?= 1000000
SECONDS ?= 600

.DEFAULT_GOAL := help
.PHONY: help run test check format bench soak fuzz train lock assets clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.runtime assets ## the whole system with the demo lab; ARGS=--once plays it once
	@$(BIN)/ringward demo $(ARGS)

test: $(VENV)/.dev assets ## install what the tests need and run everything
	@$(BIN)/python -m tests.run $(ARGS)

check: $(VENV)/.dev ## ruff, format, types, layer rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.dev ## let ruff format and mend what it can
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev ## ringward and its peers side by side; figures in var/bench
	@$(BIN)/ringward bench $(ARGS)

soak: $(VENV)/.dev ## very many calls of every kind, and the proof that none was lost; CALLS=20000 ARGS=--faults
	@$(BIN)/ringward soak --calls $(CALLS) $(ARGS)

fuzz: $(VENV)/.dev $(VENV)/.fuzz ## damaged input for every input path; SECONDS=600 in all, ARGS=NAME for one
	@$(BIN)/python -m tests.fuzz.run $(SECONDS) $(ARGS)

train: $(VENV)/.dev ## make the lab's tiny Vosk model anew from synthesised speech
	@lab/speech/train.sh $(ARGS)

lock: ## resolve the lock files anew (needs uv)
	uv pip compile --group build --universal --python-version 3.11 --generate-hashes --no-header -q -o requirements-build.lock
	uv pip compile pyproject.toml --group assets --universal --python-version 3.11 --generate-hashes --no-header -q -o requirements.lock
	uv pip compile --group fuzz --universal --python-version 3.11 --generate-hashes --no-header -q -o requirements-fuzz.lock
	uv pip compile pyproject.toml --group assets --group dev --universal --python-version 3.11 --generate-hashes --no-header -q -c requirements.lock -o requirements-dev.lock

assets: $(VENV)/.runtime
	@$(BIN)/python -m engine.console.build

clean: ## remove what set-up and runs made
	rm -rf $(VENV) var engine/console/static/dist engine/console/ts/node_modules

# --- set-up, each step once -------------------------------------------------

# PYTHON=... names the interpreter; else yours, or one of these that is built for speed (lab/bootstrap.sh).
PYTHON_NAMES := python3 python3.13 python3.12 python3.11
PYTHONS      := $(PYTHON_NAMES) $(addprefix /usr/local/bin/,$(PYTHON_NAMES)) $(addprefix /usr/bin/,$(PYTHON_NAMES))

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
       --no-build-isolation --use-pep517 --only-binary :all: --no-binary srt

$(VENV)/.created:
	@lab/bootstrap.sh $(VENV) $(or $(PYTHON),$(PYTHONS))
	@$(PIP) -r requirements-build.lock
	@touch $@

$(VENV)/.runtime: $(VENV)/.created requirements.lock pyproject.toml
	@echo "installing Python packages …"
	@$(PIP) -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "installing test packages …"
	@$(PIP) -r requirements-dev.lock
	@touch $@

# Only for `make fuzz`, which goes on without it where there is no wheel.
$(VENV)/.fuzz: $(VENV)/.dev requirements-fuzz.lock
	@$(PIP) -r requirements-fuzz.lock || echo "atheris could not be installed"
	@touch $@
