# Two commands: `make demo` and `make test`. Each sets up what it needs in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo test check clean

demo: $(VENV)/.train
	$(BIN)/tumorlens reproduce --recipes smoke --data tests/data/slices --out demo-out
	$(BIN)/tumorlens predict tests/data/slices/[0-9]*.mat --run demo-out/segmentation --run demo-out/classification --out demo-out/findings
	@echo "demo-out/index.html: both models trained for seconds on twelve slices, which shows the way and no skill"
	@echo "demo-out/findings: mask, overlay and JSON of each slice"

test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

$(VENV)/.train: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train]'
	touch $@

$(VENV)/.dev: $(VENV)/.train
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,dev]'
	touch $@

clean:
	rm -rf $(VENV) demo-out
