# make setup [EXTRA=cuda12|cuda13] | demo [FOLDER=demo/ FLAGS="--products 8"] | test | quick | check | docs | lock | clean
PYTHON ?= python3
VENV   ?= .venv
EXTRA  ?=
FLAGS  ?=
FOLDER ?= demo/
BIN    := $(VENV)/bin
comma  := ,
EXTRAS := test$(if $(EXTRA),$(comma)$(EXTRA))
STAMP  := $(VENV)/.installed$(if $(EXTRA),-$(EXTRA))
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: setup demo test check quick docs lock clean

ifneq ($(filter-out cuda12 cuda13 cluster docs export mlperf notebooks openvino parquet tensorboard xarray,$(EXTRA)),)
$(error EXTRA must be cuda12, cuda13, cluster, docs, export, mlperf, notebooks, openvino, parquet, tensorboard or xarray; found $(EXTRA))
endif

setup: $(STAMP)
	@echo "jaxmask is installed in $(VENV) ($$($(BIN)/python --version)): '$(BIN)/jaxmask' lists its stages"

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
	"jaxmask needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d: run make with PYTHON=/path/to/python3.11" % v)'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "the venv module is missing: install it (Debian: apt install python3-venv)"; exit 1; }

$(STAMP): pyproject.toml requirements.lock | $(BIN)/pip
	@echo "installing the locked packages into $(VENV) (a few minutes, once)"
	$(PIP) install --quiet --constraint requirements.lock hatchling editables
	$(PIP) install --quiet --constraint requirements.lock --no-build-isolation --editable '.[$(EXTRAS)]'
	@touch $@

demo: $(STAMP)
	$(BIN)/python -m jaxmask.demo $(FOLDER) $(FLAGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal

quick: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m quick

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python -m sphinx -W --keep-going -n -q -b html docs dist/docs
	@echo "the documentation: dist/docs/index.html"

# Resolve again for every supported Python (needs uv); package indexes are not recorded in the file.
lock:
	uv pip compile --universal --python-version 3.11 --all-extras --no-annotate --no-header \
	    --no-emit-index-url --quiet --upgrade pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info
