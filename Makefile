# The two set-up commands are `make demo` and `make test`; `make help` lists all.
PYTHON ?= python3
DEMO := build/env-demo
TEST := build/env-test
NATIVE := CMakeLists.txt pyproject.toml $(shell find csrc -type f)

.PHONY: help demo test test-avx512 test-hadoop test-hadoop-short test-spark lint format docs bench hadoop-up hadoop-down hadoop-cds clean

# hadoop-up: nodes, profile of settings, first port, a network of its own (auto, yes, no), CDS=1 for a class archive
NODES = 1
PROFILE = default
BASE = 21000
PRIVATE = auto
CDS =

help:
	@echo "make demo    train an RBM on MNIST (about a minute after set-up) and write a report to open"
	@echo "make test    install everything with torch, build, run the whole suite"
	@echo "make test-avx512  the kernels' tests with AVX-512 instructions as loops, where the processor has none"
	@echo "make hadoop-up [NODES=3] [PROFILE=paper] [BASE=21000] [PRIVATE=auto] [CDS=1]  a real Hadoop on loopback"
	@echo "make hadoop-down  stop it, leaving no process and no data"
	@echo "make hadoop-cds   make the class archive that lets its JVMs start faster (a minute, once)"
	@echo "make test-hadoop  the tests on the real Hadoop (Java 17, Maven); test-hadoop-short: one node, three jobs"
	@echo "make test-spark   the tests on Spark (Java 17; installs pyspark, which is large)"
	@echo "make lint    ruff, mypy, clang-format"
	@echo "make format  let ruff and clang-format rewrite the sources"
	@echo "make docs    the guide and the reference as pages in build/docs; a warning is an error"
	@echo "make bench   rbmx beside its peers; results in build/bench"
	@echo "make clean   remove build/"

# Each environment is made once, and again when the build or its settings change.
$(DEMO)/.ready: $(NATIVE)
	@echo "setting up $(DEMO): NumPy, matplotlib and mrjob, no torch; building the native kernels (a minute or two)"
	@test -x $(DEMO)/bin/python || $(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[report,hadoop]"
	@touch $@

$(TEST)/.ready: $(NATIVE)
	@echo "setting up $(TEST): with torch, which is large; building the native kernels (a few minutes)"
	@test -x $(TEST)/bin/python || $(PYTHON) -m venv $(TEST)
	@$(TEST)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[all,test,lint,docs]"
	@touch $@

demo: $(DEMO)/.ready
	@$(DEMO)/bin/rbmx demo

test: $(TEST)/.ready
	$(TEST)/bin/python -m pytest --durations=5

test-avx512:
	@test -x build/env-avx512/bin/python || $(PYTHON) -m venv build/env-avx512
	@build/env-avx512/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall ".[test]" \
	  --config-settings=build-dir=build/avx512 --config-settings=cmake.define.RBMX_EMULATE_AVX512=ON
	build/env-avx512/bin/python -m pytest tests/test_install.py tests/kernels tests/golden

test-hadoop: $(TEST)/.ready
	$(TEST)/bin/python -m pytest -m hadoop -s --durations=5 tests/hadoop

test-hadoop-short: $(TEST)/.ready
	$(TEST)/bin/python -m pytest -m hadoop_short -s --durations=5 tests/hadoop

$(TEST)/.spark: $(TEST)/.ready
	@echo "adding pyspark to $(TEST), 456 MB"
	@$(TEST)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[spark]"
	@touch $@

test-spark: $(TEST)/.spark
	$(TEST)/bin/python -m pytest -m spark --durations=5 tests/jobs

hadoop-up:
	@$(PYTHON) -m tools.hadoop up --nodes "$(NODES)" --profile "$(PROFILE)" --base "$(BASE)" --private "$(PRIVATE)" \
	  $(if $(CDS),--cds)

hadoop-down:
	@$(PYTHON) -m tools.hadoop down

hadoop-cds:
	@$(PYTHON) -m tools.hadoop cds

lint: $(TEST)/.ready
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/mypy
	find csrc -name '*.h' -o -name '*.cpp' | xargs $(TEST)/bin/clang-format --dry-run --Werror

format: $(TEST)/.ready
	$(TEST)/bin/ruff check --fix .
	$(TEST)/bin/ruff format .
	find csrc -name '*.h' -o -name '*.cpp' | xargs $(TEST)/bin/clang-format -i

docs: $(TEST)/.ready
	$(TEST)/bin/python -m sphinx -q -W --keep-going -b html docs build/docs

bench: $(TEST)/.ready
	@mkdir -p build/bench
	$(TEST)/bin/python -m rbmx.bench peers --json build/bench/peers.json
	$(TEST)/bin/python -m rbmx.bench memory --json build/bench/memory.json

clean:
	@test ! -d build/hadoop/run || $(PYTHON) -m tools.hadoop down
	rm -rf build
