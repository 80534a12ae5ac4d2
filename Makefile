# SPDX-License-Identifier: GPL-2.0-or-later
# The front door. Meson does the building; what stands here is the names people type.

PYTHON = /usr/bin/python3
PYTEST = $(PYTHON) -m pytest -p no:cacheprovider -q

.PHONY: all deps check nightly demo lab bench soak fuzz tidy analyze fmt install dist sbom clean

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

nightly: # clang-tidy with all its depth; the random stories, 500 of them: CHAOS_SEED=n tells one again
	@scripts/deps all
	@scripts/tidy
	@CHAOS_SEEDS=$${CHAOS_SEEDS:-500} tests/run chaos

lab: all # only what needs a Docker engine
	@tests/run lab

demo: $(if $(HARBORWALL),,deps all) # HARBORWALL=/usr/bin/harborwall shows an installed one, and builds none
	@$(if $(HARBORWALL),scripts/deps demo)
	@demo/run

bench: deps all # beside what people run today; BENCH=quick takes a minute, JSON=FILE keeps the figures
	@ninja -C build
	@$(PYTHON) -B tests/bench/bench.py $(BENCH) $(if $(JSON),--json $(JSON))

soak: deps all # ten thousand passes, then ten minutes of nothing: memory and processor time
	@$(PYTHON) -B tests/fake/soak.py passes 10000
	@$(PYTHON) -B tests/fake/soak.py idle 600

fuzz: # any bytes, a minute for each of what reads them; FUZZ_SECONDS makes it longer
	@scripts/deps all
	@tests/fuzz/run $${FUZZ_SECONDS:-60}

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
