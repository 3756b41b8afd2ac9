# Two commands do all the set-up: `make demo` and `make test`.
# Settings: PYTHON (3.11 or later), VENV, TORCH_INDEX (a package index to take torch from, such as
# https://download.pytorch.org/whl/cu128), PYTEST and BENCH (arguments for pytest and for the benchmarks).

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
PEERS ?= .venv-peers
TORCH ?= 2.13.0
TORCH_INDEX ?=
CPU_INDEX := https://download.pytorch.org/whl/cpu
OUT ?= tour
PYTEST ?=
BENCH ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ROOMS := face hooks probes worlds analyses
# Editable installs are strict: a file that is added or removed needs a reinstall, one that is edited does not.
FILES := $(sort $(shell find $(ROOMS) -type f -not -path '*/__pycache__/*' -not -path '*/.*'))
OFFLINE := HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1

.PHONY: help demo test check format docs notebooks bench bench-gpu tables wheel clean FORCE
.DELETE_ON_ERROR:

help:
	@echo 'make demo         install, then the tour: the main job on the embedded model'
	@echo 'make test         install with the test extras, then every test, offline'
	@echo 'make check        ruff, mypy, the docstring examples: what CI and pre-commit call'
	@echo 'make format       ruff, writing'
	@echo 'make notebooks    runs the notebooks and writes their outputs into them'
	@echo 'make docs         the documentation site, in build/site; a warning is an error'
	@echo 'make bench        every benchmark, beside other libraries (three to four hours; BENCH=--quick)'
	@echo 'make bench-gpu    a model of 7B parameters, where there is a GPU'
	@echo 'make tables       brings what make bench found into the README and the documentation'
	@echo 'make wheel        dist/*.whl'
	@echo 'make clean        removes what these made, $(VENV) included'

demo: $(VENV)/.installed
	$(OFFLINE) $(BIN)/conceptscope tour --out $(OUT)

test: $(VENV)/.installed-test
	$(OFFLINE) $(BIN)/python -m pytest $(PYTEST)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p conceptscope
	$(OFFLINE) $(BIN)/python -m pytest --doctest-modules --pyargs conceptscope -q

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(VENV)/.installed-test
	$(OFFLINE) $(BIN)/python -m nbconvert --to notebook --execute --inplace --log-level WARN \
		--ExecutePreprocessor.record_timing=False notebooks/*.ipynb

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo 'the site is in build/site: open build/site/index.html'

bench: $(VENV)/.installed-test $(PEERS)/.installed-peers
	$(OFFLINE) $(BIN)/python benchmarks/run.py --peers $(PEERS)/bin/python $(BENCH)

bench-gpu: $(VENV)/.installed-test
	$(OFFLINE) $(BIN)/python benchmarks/run.py gpu $(BENCH)

tables: $(VENV)/.installed-test
	$(BIN)/python benchmarks/tables.py build/bench

wheel: $(VENV)/.installed-dev
	rm -rf build/lib build/bdist.* dist
	$(BIN)/python -m build --outdir dist .

clean:
	rm -rf $(VENV) $(PEERS) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache $(OUT)

# ---- installing; each step leaves a stamp, so that it is not done twice

$(VENV)/.made:
	@[ -n '$(PYTHON)' ] || { echo 'conceptscope needs Python 3.11 or later, and none was found: say which, as in make demo PYTHON=/path/to/python3.11' >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "conceptscope needs Python 3.11 or later, and '$(PYTHON)' is not that: say which, as in make demo PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# Where there is no NVIDIA GPU, Linux gets the CPU build of torch, without gigabytes of CUDA: from the
# configured index where that has it, else from PyTorch's own.
$(VENV)/.torch: constraints.txt | $(VENV)/.made
	if [ -n '$(TORCH_INDEX)' ]; then \
		$(PIP) install --index-url '$(TORCH_INDEX)' torch==$(TORCH); \
	elif [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null; then \
		$(PIP) install -c constraints.txt torch==$(TORCH)+cpu 2>/dev/null \
		|| $(PIP) install --index-url $(CPU_INDEX) torch==$(TORCH)+cpu \
		|| $(PIP) install -c constraints.txt torch==$(TORCH); \
	else \
		$(PIP) install -c constraints.txt torch==$(TORCH); \
	fi
	@touch $@

$(VENV)/.files: FORCE | $(VENV)/.made
	@echo '$(FILES)' | tr ' ' '\n' | cmp -s - $@ || echo '$(FILES)' | tr ' ' '\n' > $@

$(VENV)/.installed: EXTRAS =
$(VENV)/.installed-test: EXTRAS = [test]
$(VENV)/.installed-dev: EXTRAS = [test,dev]
$(VENV)/.installed-docs: EXTRAS = [test,dev,docs]
$(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-dev $(VENV)/.installed-docs: pyproject.toml constraints.txt $(VENV)/.torch $(VENV)/.files
	$(PIP) install -q -c constraints.txt -e '.$(EXTRAS)'
	@touch $@

# Peers pin what they like: they get an environment of their own, which git and ruff do not look into.
$(PEERS)/.installed-peers: pyproject.toml constraints.txt benchmarks/peers-requirements.txt
	$(MAKE) VENV=$(PEERS) $(PEERS)/.installed
	echo '*' > $(PEERS)/.gitignore
	while read -r peer; do case $$peer in ''|'#'*) continue;; esac; \
		$(PEERS)/bin/python -m pip install -q -c constraints.txt $$peer || echo "$$peer does not install here: left out"; \
	done < benchmarks/peers-requirements.txt
	@touch $@
