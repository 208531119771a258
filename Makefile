PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# In the folder above the checkout Python would take the checkout itself, which has the package's
# name, for the package; a path in place of setuptools' finder keeps it from that.
EDITABLE := --config-settings editable_mode=compat --editable

.PHONY: install demo check test browser notebooks picture campaign docs format clean

# The stamps hold the time of the install, so that pip runs again only when the needs change.
$(VENV)/installed: setup.py pyproject.toml tf_mmdvlae/__init__.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(EDITABLE) .
	touch $@

$(VENV)/installed_test: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check $(EDITABLE) '.[test]'
	touch $@

$(VENV)/installed_docs: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check $(EDITABLE) '.[docs]'
	touch $@

install: $(VENV)/installed
	@echo "Installed in $(VENV); now: source $(BIN)/activate"

demo: $(VENV)/installed
	$(BIN)/python bin/train --dataset=synthetic_faces --preset=demo --workdir=runs/demo \
		--data_dir=runs/demo/data --export_dir=runs/demo/export
	@echo
	@echo "Look at the pictures in runs/demo/figures, then train on data of your own:"
	@echo "  source $(BIN)/activate"
	@echo "  bin/train --dataset=image_folder --image_dir=DIR"

# For every edit: the linter, types and the quick tests, a minute and a half on two cores.
check: LEFT_OUT := -m "not slow and not browser and not notebook"
# check and test differ in the tests that they run. tests/conftest.py has the order of the files.
check test: $(VENV)/installed_test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q --numprocesses=2 --dist=loadfile --no-loadscope-reorder $(LEFT_OUT)

# The explorer's page in a real browser, and the notebooks from top to bottom.
browser: MARK := browser
notebooks: MARK := notebook
browser notebooks: $(VENV)/installed_test
	$(BIN)/pip install --quiet --disable-pip-version-check $(EDITABLE) '.[$@]'
	$(BIN)/python -m pytest -q --numprocesses=2 --dist=loadfile -m $(MARK)

# The picture of the explorer in the README, after a change of its page.
picture: $(VENV)/installed_test
	$(BIN)/pip install --quiet --disable-pip-version-check $(EDITABLE) '.[browser]'
	$(BIN)/python -m tests.explorer.screenshot

# An hour of hostile input and faults; docs/reliability.md says what is tried.
campaign: $(VENV)/installed_test
	CAMPAIGN_MINUTES=60 $(BIN)/python -m pytest -q tests/campaigns

docs: $(VENV)/installed_docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -d build/doctrees docs build/docs
	@echo "Open build/docs/index.html"

format: $(VENV)/installed_test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) build *.egg-info
