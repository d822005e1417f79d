# The two set-up commands are `make demo` and `make test`; `make help` lists all.
PYTHON ?= python3
DEMO := build/env-demo
TEST := build/env-test
NATIVE := CMakeLists.txt pyproject.toml $(shell find csrc -type f)

.PHONY: help demo test test-avx512 lint format bench clean

help:
	@echo "make demo    train an RBM on MNIST (about a minute after set-up) and write a report to open"
	@echo "make test    install everything with torch, build, run the whole suite"
	@echo "make test-avx512  the kernels' tests with AVX-512 instructions as loops, where the processor has none"
	@echo "make lint    ruff, mypy, clang-format"
	@echo "make format  let ruff and clang-format rewrite the sources"
	@echo "make bench   rbmx beside its peers; results in build/bench"
	@echo "make clean   remove build/"

# Each environment is made once, and again when the build or its settings change.
$(DEMO)/.ready: $(NATIVE)
	@echo "setting up $(DEMO): NumPy and matplotlib, no torch; building the native kernels (a minute or two)"
	@test -x $(DEMO)/bin/python || $(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[report]"
	@touch $@

$(TEST)/.ready: $(NATIVE)
	@echo "setting up $(TEST): with torch, which is large; building the native kernels (a few minutes)"
	@test -x $(TEST)/bin/python || $(PYTHON) -m venv $(TEST)
	@$(TEST)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[all,test,lint]"
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

lint: $(TEST)/.ready
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/mypy
	find csrc -name '*.h' -o -name '*.cpp' | xargs $(TEST)/bin/clang-format --dry-run --Werror

format: $(TEST)/.ready
	$(TEST)/bin/ruff check --fix .
	$(TEST)/bin/ruff format .
	find csrc -name '*.h' -o -name '*.cpp' | xargs $(TEST)/bin/clang-format -i

bench: $(TEST)/.ready
	@mkdir -p build/bench
	$(TEST)/bin/python -m rbmx.bench peers --json build/bench/peers.json
	$(TEST)/bin/python -m rbmx.bench memory --json build/bench/memory.json

clean:
	rm -rf build
