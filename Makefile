# Two commands: `make lab` opens the book, `make test` checks all of it. Both install what they need into .venv first.
# Written for GNU make 3.81 (macOS) and newer, with a POSIX shell (on Windows: Git Bash).
#
#   make lab PYTHON=python3.12                              another interpreter, 3.11 or newer
#   make lab PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
#                                                           torch without CUDA on Linux, 5 GB less to install
#   make lab LAB_ARGS="--port 9999 --ip 0.0.0.0"            anything for JupyterLab
#   make test PYTEST_ARGS="-x -k softtriple"  WORKERS=1     anything for pytest, and in how many processes
#   make book CHAPTERS="00 07"                              only some notebooks
#   make mutants SAMPLE=12                                  twelve of them, other ones each day, in two minutes at most
#   make fuzz ONLY="book maps"  SAMPLE=10                   of these modules, ten calls of each function
#   make mutants ONLY="growth"                              those with this word in their file, text or reason

VENV ?= .venv
ifeq ($(OS),Windows_NT)
SHELL := bash
PYTHON ?= python
PY := $(VENV)/Scripts/python.exe
else
PYTHON ?= python3
PY := $(VENV)/bin/python
endif
# As many processes as processors, and no more than four: each loads torch.
WORKERS ?= logical
FIRST := notebooks/00_start_here.ipynb
NBVAL := --nbval-lax --nbval-current-env --nbval-cell-timeout=120 --nbval-sanitize-with=tests/nbval_sanitize.cfg

.PHONY: help lab test test-browser book html bench mutants fuzz
help:
	@echo "make lab     open the book in JupyterLab (the first call installs it, a few minutes)"
	@echo "make test    all tests and all notebooks, in their smallest size"
	@echo "make test-browser  the explorers in a real browser; skipped where there is none"
	@echo "make book    run the notebooks again from notebooks/src and keep their outputs"
	@echo "make html    the book as a static site, in build/html; nothing is executed"
	@echo "make bench   measure what the losses and the retrieval cost on this machine"
	@echo "make fuzz    call every public function with one wrong argument at a time, and say what came of it"
	@echo "make mutants plant the faults of tests/mutants.toml, each alone, and name those that no test sees"

# Root must say so to Jupyter. Without a display it prints the address instead of looking for a browser.
lab: $(VENV)/.ready-book
	@flags=; \
	if [ "$$(id -u)" = 0 ]; then flags="$$flags --allow-root"; fi; \
	if [ "$$(uname -s)" = Linux ] && [ -z "$$DISPLAY$$WAYLAND_DISPLAY$$BROWSER" ]; then \
		flags="$$flags --no-browser"; echo "No display here: open the address below in a browser."; fi; \
	exec $(PY) -m jupyterlab $$flags --LabApp.default_url=/lab/tree/$(FIRST) $(LAB_ARGS)

# Tests and notebooks in one run, so that one line sums it up. loadscope keeps the cells of a notebook together and in order.
test: $(VENV)/.ready-test
	DMLBOOK_MODE=smoke OMP_NUM_THREADS=1 $(PY) -m pytest tests notebooks $(NBVAL) \
		--ignore=tests/browser -n $(WORKERS) --maxprocesses=4 --dist=loadscope --durations=10 $(PYTEST_ARGS)

# Pages and JupyterLab, driven by Playwright in a Chromium or Chrome that is found (or `playwright install chromium`).
# DMLBOOK_SCREENSHOTS=folder keeps what it looked like.
test-browser: $(VENV)/.ready-browser
	DMLBOOK_MODE=smoke OMP_NUM_THREADS=1 $(PY) -m pytest tests/browser $(PYTEST_ARGS)

book: $(VENV)/.ready-book
	$(PY) notebooks/build.py $(CHAPTERS)

html: $(VENV)/.ready-site
	$(PY) notebooks/build.py --html $(CHAPTERS)

bench: $(VENV)/.ready-book
	$(PY) -m dmlbook bench

# A sample of them is a test, so that `make test` sees all of them in turn.
mutants: $(VENV)/.ready-test
	$(PY) -m tests.mutants $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(ONLY),"$(ONLY)")

# A sample of these calls is a test, too.
fuzz: $(VENV)/.ready-test
	DMLBOOK_MODE=smoke OMP_NUM_THREADS=1 $(PY) -m tests.fuzz $(ONLY) $(if $(SAMPLE),--sample $(SAMPLE))

# The environment. Each file marks a finished step: an installation that was interrupted is taken up again, a finished one is not.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "dmlbook needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo 'not there'). Try: make lab PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' comes without venv. On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.ready-book: $(VENV)/.made pyproject.toml constraints.txt
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt $(PIP_ARGS) -e '.[book]'
	@touch $@

# The site extra holds the book extra, the test extra both, and the browser extra all three.
$(VENV)/.ready-site: $(VENV)/.made pyproject.toml constraints.txt
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt $(PIP_ARGS) -e '.[site]'
	@touch $(VENV)/.ready-book $@

$(VENV)/.ready-test: $(VENV)/.made pyproject.toml constraints.txt
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt $(PIP_ARGS) -e '.[test]'
	@touch $(VENV)/.ready-book $(VENV)/.ready-site $@

$(VENV)/.ready-browser: $(VENV)/.made pyproject.toml constraints.txt
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt $(PIP_ARGS) -e '.[browser]'
	@touch $(VENV)/.ready-book $(VENV)/.ready-site $(VENV)/.ready-test $@
