# make run                      install, run the simulated default, write the report
# make test                     install and run everything that CI checks
# make real MIRROR=<folder>     the studies whose real raw files lie in a folder
# make figure F=<path>          one figure or table, with only what it needs
# make report [CONFIG=<file>]   the report of a run
# make check CONFIG=<file>      what a config would do: names, missing files, time, memory, disk
# make verify [CONFIG=<file>] [VERIFY_CORES=1]   run a config (config/tiny.yaml) twice, compare all numbers
# make bench [ARGS=--quick]     the engine's time and memory beside other libraries
# make lint                     ruff, snakefmt, snakemake --lint
# make format                   let ruff and snakefmt mend what they can
# make docs                     config/README.md from the schema, pictures of the README

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
CORES ?= all
CONFIG ?=
MIRROR ?=
ARGS ?=

BIN := .venv/bin
SNAKEMAKE := PYTHONNOUSERSITE=1 $(BIN)/snakemake --cores $(CORES)
CONFIGFILE = $(if $(CONFIG),--configfile $(CONFIG))
# The run's name, from the config, or from the default where the config does not give one.
RUN = $(shell sed -nE "s/^run: *[\"']?([A-Za-z0-9_.-]+).*/\1/p" $(CONFIG) config/config.yaml | head -n 1)

.PHONY: help install run real figure report check verify test bench lint format docs clean

help:
	@sed -n 's/^# make/make/p' Makefile

# The stamps name what was installed; a changed pin installs again.
.venv/installed: requirements.txt constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "found no $(PYTHON): install Python 3.11, or give another by make PYTHON=<command>" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt --constraint constraints.txt
	touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt --constraint constraints.txt
	touch $@

install: .venv/installed

run: .venv/installed
	$(SNAKEMAKE) $(CONFIGFILE)
	@$(MAKE) --no-print-directory report
	@echo
	@echo "Report:   results/$(RUN)/report.html   (open it in a browser)"
	@echo "Figures:  results/$(RUN)/*/figures/*.png"
	@echo "Tables:   results/$(RUN)/*/tables/*.csv"

real:
	@[[ -n "$(MIRROR)" ]] || { echo "give the folder of the raw files: make real MIRROR=<folder>" >&2; exit 1; }
	@$(MAKE) --no-print-directory .venv/installed
	$(SNAKEMAKE) --configfile config/real.yaml --config mirror="$(MIRROR)"
	PYTHONWARNINGS=ignore::RuntimeWarning $(SNAKEMAKE) --configfile config/real.yaml --config mirror="$(MIRROR)" --report results/real/report.html
	@echo
	@echo "Report:   results/real/report.html   (open it in a browser)"
	@echo "Figures:  results/real/*/figures/*.png"

figure: .venv/installed
	@[[ -n "$(F)" ]] || { echo "give the file: make figure F=results/demo/bold5000/figures/heatmap_CSI1.png" >&2; exit 1; }
# --configfile takes all that follows for configs.
	$(SNAKEMAKE) $(F) $(CONFIGFILE)

report: .venv/installed
	# Snakemake warns of memory requests that it never asks for while it writes a report.
	PYTHONWARNINGS=ignore::RuntimeWarning $(SNAKEMAKE) $(CONFIGFILE) --report results/$(RUN)/report.html

check: .venv/installed
	@$(BIN)/python -m scripts.check.check_config $(or $(CONFIG),config/config.yaml) $(if $(MIRROR),--mirror "$(MIRROR)")

# Cores of the second run, and what its numbers may differ by if not by 1e-6.
VERIFY_CORES ?= $(CORES)
TOLERANCE ?=
verify: CONFIG = config/tiny.yaml
verify: .venv/installed
	$(SNAKEMAKE) $(CONFIGFILE) $(if $(MIRROR),--config mirror="$(MIRROR)")
	rm -rf results/$(RUN)_again resources/simulated/$(RUN)_again
	$(SNAKEMAKE) --cores $(VERIFY_CORES) $(CONFIGFILE) --config run=$(RUN)_again $(if $(MIRROR),mirror="$(MIRROR)")
	$(BIN)/python -m scripts.check.compare_runs results/$(RUN) results/$(RUN)_again $(if $(TOLERANCE),--tolerance $(TOLERANCE))

test: .venv/installed-dev lint
	# One BLAS thread per worker: two workers share two cores. A file's tests share what it runs.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations=25

# mne-rsa, and what its import needs, have an environment of their own: see the file.
benchmarks/.venv/installed: benchmarks/requirements.txt
	$(PYTHON) -m venv benchmarks/.venv
	benchmarks/.venv/bin/python -m pip install --quiet --no-deps --requirement $<
	touch $@

bench: .venv/installed benchmarks/.venv/installed
	$(BIN)/python -m benchmarks.engine $(ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(SNAKEMAKE) --lint

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

# Pictures of the README: docs/<name>_simulated.png is this figure of the default run.
PICTURES := bold5000:bold5000/figures/heatmap_joint \
  pairs:scenes/figures/inflation \
  emotions:movie/figures/leakage \
  reconstruction:pictures/figures/reconstructions_natural \
  calibration:calibration/figures/calibration

docs: .venv/installed-dev
	$(BIN)/python -m scripts.docs.write_config_readme
	$(SNAKEMAKE) $(foreach picture,$(PICTURES),results/demo/$(lastword $(subst :, ,$(picture))).png)
	for picture in $(PICTURES); do cp "results/demo/$${picture#*:}.png" "docs/$${picture%%:*}_simulated.png"; done
