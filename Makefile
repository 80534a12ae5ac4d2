# SPDX-License-Identifier: GPL-2.0-or-later
# The front door. Meson does the building; what stands here is the names people type.

PYTHON = /usr/bin/python3
PYTEST = $(PYTHON) -m pytest -p no:cacheprovider -q

.PHONY: all deps check demo lab bench fuzz tidy analyze fmt install dist sbom clean

all: build/build.ninja
	@ninja -C build harborwall

build/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing: run 'make deps' first" >&2; exit 1; }
	@meson setup build >/dev/null || { rm -rf build; exit 1; }

deps: # quick when everything is there
	@scripts/deps

check: # everything; ends with "N passed, N failed, N skipped"
	@scripts/deps all
	@tests/run all

lab: all # only what needs a Docker engine
	@tests/run lab

demo: deps all
	@$(PYTHON) -B tests/lab/demo

bench: deps all # rules beside what people run today, in one run
	@$(PYTHON) -B tests/bench/bench.py

fuzz:
	@echo "make $@: not built yet" >&2; exit 1

tidy: all
	@scripts/tidy

analyze: # gcc -fanalyzer, cppcheck
	@scripts/analyze

fmt:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: all
	@meson install -C build

dist: # a tarball of what is committed
	@scripts/dist

sbom: all # what it is linked with, as CycloneDX JSON
	@scripts/sbom "$$(scripts/version)" build/harborwall

clean:
	@rm -rf build build-*
