# Two commands do everything on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Label Studio needs an environment of its own; tests and `make serve` find it here
export FEWCLICKS_HOME ?= $(CURDIR)/.cache/fewclicks
export DO_NOT_TRACK := 1
WORKERS ?= 2

.PHONY: demo test faults faults-stack check docs serve install label-studio readers clean

demo: install ## label a rendered clip with a simulated annotator, in under five minutes
	$(BIN)/fewclicks demo --out out/demo

test: check label-studio readers ## every test, real servers included
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

faults: install ## random faults against the loop, 200 of them over 8 videos: make faults FAULTS=50 SEED=7
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python tests/flows/fault_campaign.py --faults $(or $(FAULTS),200) $(if $(SEED),--seed $(SEED))

faults-stack: label-studio ## the same with real servers, killed with -9: Prefect's, Label Studio, PostgreSQL; make faults-stack FAULTS=20 SEED=7
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python tests/end_to_end/stack_campaign.py --faults $(or $(FAULTS),40) $(if $(SEED),--seed $(SEED))

check: install ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: install ## the pages of docs/ as a site in out/site; a broken link is an error
	$(BIN)/zensical build --clean --strict

serve: install ## Label Studio for the project in DIR (make serve DIR=street)
	$(BIN)/fewclicks serve $(or $(DIR),$(error say which project: make serve DIR=street))

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/python -c "import cv2; cv2.ximgproc.createSuperpixelSLIC" 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps opencv-contrib-python-headless==4.12.0.88
	touch $@

label-studio: install
	$(BIN)/python -c "from connectors.label_studio.installation import label_studio_binary; label_studio_binary(print)"

readers: $(FEWCLICKS_HOME)/readers/.installed ## other people's libraries that read our exports in tests; they want other versions

$(FEWCLICKS_HOME)/readers/.installed: tests/connectors/export/readers.txt
	$(PYTHON) -m venv $(FEWCLICKS_HOME)/readers
	$(FEWCLICKS_HOME)/readers/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

clean:
	rm -rf $(VENV) .cache out build *.egg-info
