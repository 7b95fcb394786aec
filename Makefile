# Two commands: `make demo` and `make test`. Each sets up what it needs in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo test check clean

demo: $(VENV)/.core
	$(BIN)/tumorlens predict tests/data/slices/[0-9]*.mat --uncertainty --write overlay,heatmap,mask,json,html --out demo-out
	@echo "demo-out: report, overlay, heatmap, mask and JSON of each of twelve slices (the model was trained on them)"

test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

$(VENV)/.core: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,pacs,cluster,dev]'
	touch $@

clean:
	rm -rf $(VENV) demo-out
