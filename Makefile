# What this project can do. `make` alone lists it.
PYTHON ?= python3
# After the Python of an environment: `pip install` that shows that it goes on.
PIP := tools/install.py
DEV := .venv-dev/bin
ASAN := .venv-asan/bin
# What must be loaded before a Python that was not built with it.
SANITIZERS = $$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so)
CXX_SOURCES := $(shell find csrc tests/cpp -name '*.[ch]pp')
# What a wheel is made from.
SOURCES := pyproject.toml bench/pyproject.toml CMakeLists.txt $(CXX_SOURCES) $(shell find src cli bench -name '*.py')

.DEFAULT_GOAL := help
.PHONY: help demo docs wheel test-wheel release-check test test-pages test-shakespeare test-clients test-remote test-ray test-browser playground test-torch test-newest test-oldest test-engines architectures newest check figures pictures stubs man format fuzz fuzz-asan test-cpp cross asan clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

demo: .venv/.ready  ## install infgram and see what it does
	.venv/bin/infgram demo -o build/demo

test: .venv-dev/.ready test-cpp  ## all tests
	$(DEV)/python -m pytest
	$(MAKE) test-pages

test-pages: .venv-dev/.ready  ## what the site and the notebooks say, pasted; plain pytest leaves it out
	$(DEV)/python -m pytest -m pages --dist=load

test-shakespeare: .venv-dev/.ready  ## tests of published figures, of the text that INFGRAM_TINY_SHAKESPEARE names
	@test -n "$$INFGRAM_TINY_SHAKESPEARE" || { echo 'INFGRAM_TINY_SHAKESPEARE is not set,' \
	  'expected the path of Tiny Shakespeare. Fetch it (the README says how) and name the file.' >&2; exit 1; }
	$(DEV)/python -m pytest -m shakespeare

test-clients: .venv-clients/.ready  ## the server, by OpenAI's client, LiteLLM, lm-evaluation-harness; infini-gram beside it
	.venv-clients/bin/python -m pytest -rs -m clients tests/test_serve_clients.py

test-remote: .venv-remote/.ready  ## indexes at an address, on a server of S3 and one that fails, both of this machine
	.venv-remote/bin/python -m pytest -rs tests/test_remote.py

# Ray runs whatever reaches its ports, so it gets a network that has nothing but this machine.
test-ray: .venv-ray/.ready  ## corpora in parts on Ray, of which workers are killed; without a network
	unshare --map-root-user --net sh -c 'ip link set lo up && \
	  exec .venv-ray/bin/python -m pytest -rs tests/test_cluster.py'

test-browser: .venv-browser/.ready  ## the server's page and the playground, in chromium, which chromedriver drives
	.venv-browser/bin/python -m pytest -rs tests/test_serve_browser.py tests/test_playground.py tests/test_playground_browser.py

playground: .venv-cross/.ready  ## a folder of static files, build/playground: the core in a browser, on a text that is pasted
	.venv-cross/bin/python tools/playground.py

check: .venv-dev/.ready  ## style, types, layers, stubs
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/clang-format --dry-run -Werror $(CXX_SOURCES)
	$(DEV)/mypy
	for system in win32 darwin; do $(DEV)/mypy --platform $$system -p infgram -p infgram_cli || exit; done
	$(DEV)/lint-imports
	$(DEV)/pybind11-stubgen infgram._core --numpy-array-use-type-var --exit-code -o build/stubs
	diff -u src/infgram/_core.pyi build/stubs/infgram/_core.pyi

docs: .venv-docs/.ready  ## the site, into build/docs, without a warning and with all links right
	.venv-docs/bin/sphinx-build -W --keep-going -b html docs build/docs

wheel: .venv-release/.ready  ## the wheel and sdist of the last commit, into dist, if they are as promised
	.venv-release/bin/python tools/release.py wheel -o dist

# As a stranger has it: every extra, no code beside the tests, no compiler.
test-wheel: wheel  ## what the README, the site, the notebooks and docstrings say, by that wheel alone
	rm -rf .venv-wheel build/stranger && $(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python $(PIP) "$$(ls -t dist/infgram-*-cp*.whl | head -1)[test,draft,refine]" \
	  "$$(ls -t dist/infgram_bench-*.whl | head -1)"
	mkdir -p build/stranger
	git archive HEAD README.md pyproject.toml bench/README.md bench/pyproject.toml bench/results docs \
	  examples tests | tar -x -C build/stranger
	cd build/stranger && CC=false CXX=false $(CURDIR)/.venv-wheel/bin/python -m pytest -m '' \
	  tests/test_site.py tests/test_site_torch.py tests/test_notebooks.py tests/test_documentation.py \
	  tests/test_cli_demo.py tests/test_own_estimator.py

release-check: .venv-release/.ready .venv-dev/.ready  ## whether the last commit can be released
	$(DEV)/python -m infgram_bench.summary --check $(FIGURES)
	.venv-release/bin/python tools/release.py check
	.venv-release/bin/python tools/release.py wheel --within 20

stubs: .venv-dev/.ready  ## write the stub of the native module anew
	$(DEV)/pybind11-stubgen infgram._core --numpy-array-use-type-var --exit-code -o src

man: .venv-dev/.ready  ## write the manual page anew
	$(DEV)/infgram man > docs/infgram.1

format: .venv-dev/.ready  ## format everything
	$(DEV)/ruff check --fix --quiet . ; $(DEV)/ruff format .
	$(DEV)/clang-format -i $(CXX_SOURCES)

test-torch: newest  ## tests of what needs PyTorch, with the newest releases of it and all else
	.venv-newest/bin/python -m pytest -m torch

# The packages are fetched once: some hundred megabytes, of which little is kept. llama-cpp-python is
# compiled, which takes minutes; where that fails, the tests that run it are skipped.
test-engines: newest  ## drafts for vLLM, SGLang and llama.cpp, by their own code: the newest releases and those before
	.venv-newest/bin/python tests/engines.py build/engines
	-CMAKE_ARGS='-DLLAVA_BUILD=OFF -DGGML_NATIVE=OFF' .venv-newest/bin/python $(PIP) --upgrade llama-cpp-python
	INFGRAM_ENGINES=build/engines .venv-newest/bin/python -m pytest -rs \
	  tests/test_draft_engines.py tests/test_draft_llama_cpp.py

test-newest: newest  ## all tests, with the newest releases of what infgram stands on
	.venv-newest/bin/python -m pytest

architectures: newest  ## what drafts are for every decoder of transformers, into docs: half an hour
	PYTHONPATH=tests .venv-newest/bin/python tests/architectures.py -o docs/drafting-architectures.md

# Old releases do what newer ones of others deprecate, which is nobody's fault here.
test-oldest: .venv-oldest/.ready .venv-oldest-torch/.ready  ## all tests, with the oldest releases that pyproject allows
	.venv-oldest/bin/python -m pytest -W ignore::DeprecationWarning -m 'not torch'
	.venv-oldest-torch/bin/python -m pytest -W ignore::DeprecationWarning -m torch

FIGURES = bench/results/results.json README.md bench/README.md
figures: .venv-dev/.ready  ## write the figures of bench/results into README.md and bench/README.md
	$(DEV)/python -m infgram_bench.summary $(FIGURES)

pictures: .venv-dev/.ready  ## draw the pictures of bench/results, into build/pictures
	$(DEV)/python -m infgram_bench.pictures bench/results/results.json build/pictures

fuzz: .venv-dev/.ready  ## the random tests, twenty times as long, CASES=20000 indexes from strangers, TEXTS=1000 edited
	INFGRAM_FUZZ=20 $(DEV)/python -m pytest tests/test_exact.py tests/test_generate.py tests/test_storage.py
	PYTHONPATH=tests $(DEV)/python -m fuzzing --cases $(or $(CASES),20000)
	PYTHONPATH=tests $(DEV)/python -m fuzzing.editing --texts $(or $(TEXTS),1000)

fuzz-asan: .venv-asan/.ready  ## CASES=2000 indexes from strangers, under address and undefined-behaviour sanitizers
	ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
	LD_PRELOAD="$(SANITIZERS)" PYTHONPATH=tests \
	$(ASAN)/python -m fuzzing --cases $(or $(CASES),2000)

test-cpp: .venv-dev/.ready  ## tests of the core, without Python
	$(DEV)/cmake -S . -B build/cpp -G Ninja "-DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(DEV)/ninja" -DINFGRAM_PYTHON=OFF -DINFGRAM_TESTS=ON
	$(DEV)/cmake --build build/cpp
	$(DEV)/ctest --test-dir build/cpp --output-on-failure

cross: .venv-cross/.ready  ## the core for other systems: compiled, and run where an emulator is installed
	.venv-cross/bin/python tools/cross.py

asan: .venv-dev/.ready .venv-asan/.ready  ## C++ and Python tests under address and undefined-behaviour sanitizers
	$(DEV)/cmake -S . -B build/cpp-asan -G Ninja "-DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(DEV)/ninja" -DCMAKE_BUILD_TYPE=Debug \
	  -DINFGRAM_PYTHON=OFF -DINFGRAM_TESTS=ON -DINFGRAM_SANITIZE=address,undefined
	$(DEV)/cmake --build build/cpp-asan
	$(DEV)/ctest --test-dir build/cpp-asan --output-on-failure
	ASAN_OPTIONS=detect_leaks=0 INFGRAM_FUZZ=0.1 \
	LD_PRELOAD="$(SANITIZERS)" \
	$(ASAN)/python -m pytest -p no:faulthandler tests/test_exact.py tests/test_generate.py \
	  tests/test_storage.py tests/test_build.py tests/test_index.py tests/test_shakespeare.py \
	  tests/test_draft.py tests/test_refine_propose.py tests/test_refine_polish.py \
	  tests/test_two_sided.py tests/test_strangers.py

clean:  ## remove what was built
	rm -rf build .venv .venv-*

# Environments. Each is made anew when what it is made from changes.

.venv/.ready: $(SOURCES)
	test -d .venv || $(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) .
	touch $@

.venv-dev/.ready: pyproject.toml bench/pyproject.toml CMakeLists.txt
	test -d .venv-dev || $(PYTHON) -m venv .venv-dev
	$(DEV)/python $(PIP) cmake ninja 'scikit-build-core>=0.10' 'pybind11>=2.13'
	$(DEV)/python $(PIP) --no-build-isolation -Ceditable.rebuild=true -Ceditable.verbose=false \
	  -Cbuild-dir=build/editable -e '.[dev]'
	$(DEV)/python $(PIP) -e ./bench
	touch $@

.venv-newest/.ready: $(SOURCES)
	test -d .venv-newest || $(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python $(PIP) '.[test]' './bench[neural]'
	touch $@

# An environment does not get older by itself. PyTorch must be there: without, its tests are skipped.
newest: .venv-newest/.ready
	$(PYTHON) tests/bounds.py newest 'infgram[test]' 'infgram-bench[neural]' > .venv-newest/newest.txt
	.venv-newest/bin/python $(PIP) --upgrade --upgrade-strategy eager -r .venv-newest/newest.txt
	.venv-newest/bin/python -c 'import safetensors, torch, transformers'

# Two of them: beside the oldest transformers there is no room for the oldest tokenizers.
.venv-oldest/.ready: ASKED := infgram-bench infgram[test]
.venv-oldest-torch/.ready: ASKED := infgram-bench[neural] infgram[test]
.venv-oldest/.ready .venv-oldest-torch/.ready: $(SOURCES) tests/bounds.py
	test -d $(@D) || $(PYTHON) -m venv $(@D)
	$(PYTHON) tests/bounds.py oldest $(foreach each,$(ASKED),'$(each)') > $(@D)/oldest.txt
	$(@D)/bin/python $(PIP) -r $(@D)/oldest.txt
	$(@D)/bin/python $(PIP) --no-deps . ./bench
	touch $@

.venv-clients/.ready: $(SOURCES)
	test -d .venv-clients || $(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python $(PIP) '.[test]' ./bench openai litellm 'lm_eval[api]>=0.4.13' \
	  infini-gram transformers
	touch $@

.venv-remote/.ready: $(SOURCES)
	test -d .venv-remote || $(PYTHON) -m venv .venv-remote
	.venv-remote/bin/python $(PIP) '.[test,remote]' ./bench 'moto[server]>=5'
	touch $@

.venv-ray/.ready: $(SOURCES)
	test -d .venv-ray || $(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python $(PIP) '.[test,ray]' ./bench
	touch $@

# The package of axe-core is for another driver, which is not needed.
.venv-browser/.ready: $(SOURCES)
	test -d .venv-browser || $(PYTHON) -m venv .venv-browser
	.venv-browser/bin/python $(PIP) '.[test]' ./bench 'selenium>=4.20' '$(ZIG)'
	.venv-browser/bin/python $(PIP) --no-deps axe-playwright-python
	touch $@

.venv-docs/.ready: $(SOURCES) Makefile
	test -d .venv-docs || $(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python $(PIP) '.[plot]' 'sphinx>=8' 'myst-parser>=4' furo sphinx-copybutton
	touch $@

.venv-release/.ready: Makefile
	test -d .venv-release || $(PYTHON) -m venv .venv-release
	.venv-release/bin/python $(PIP) 'build>=1.2' 'twine>=6'
	touch $@

# zig brings a C++ compiler, and headers and libraries of the systems that it compiles for.
ZIG := ziglang==0.17.1

.venv-cross/.ready: Makefile
	test -d .venv-cross || $(PYTHON) -m venv .venv-cross
	.venv-cross/bin/python $(PIP) '$(ZIG)' 'pybind11>=2.13'
	touch $@

.venv-asan/.ready: $(SOURCES)
	test -d .venv-asan || $(PYTHON) -m venv .venv-asan
	.venv-asan/bin/python $(PIP) -Cbuild-dir=build/asan -Ccmake.build-type=Debug \
	  -Ccmake.define.INFGRAM_SANITIZE=address,undefined '.[test]' ./bench
	touch $@
