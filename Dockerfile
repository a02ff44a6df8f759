# syntax=docker/dockerfile:1
# `make base-image` adds the digest of the base image here and below. It has not run yet: no registry could be reached.
# The first stage builds the wheel with the front-end files in it; the last two hold Python and that wheel alone.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN apt-get update && apt-get install -y --no-install-recommends make git && rm -rf /var/lib/apt/lists/*
RUN make build

FROM python:3.11-slim-bookworm AS base
RUN useradd --system --create-home --uid 10001 connector && mkdir -p /data && chown connector /data
ENV DAM_CONNECTOR_DATA_DIR=/data DAM_CONNECTOR_HOST=0.0.0.0 DAM_CONNECTOR_LOG_FORMAT=json PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8321
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/readyz', timeout=4)"]
CMD ["dam-connector", "web"]

# `--target web`: pages, API and webhooks, without the libraries for pictures and 3D. It cannot run a worker.
# All dependencies are checked against the hashes of constraints.txt; the wheel was built in the first stage.
FROM base AS web
COPY --from=build /src/dist/requirements-web.txt /src/dist/*.whl /tmp/install/
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/install/requirements-web.txt \
    && pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index /tmp/install/*.whl \
    && rm -rf /tmp/install
USER connector

# Without `--target`: web, workers and sweeper.
FROM base AS worker
COPY --from=build /src/dist/requirements.txt /src/dist/sbom.cdx.json /src/dist/*.whl /tmp/install/
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /tmp/install/requirements.txt \
    && pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index /tmp/install/*.whl \
    && mkdir -p /usr/share/doc/dam-connector && mv /tmp/install/sbom.cdx.json /usr/share/doc/dam-connector/ && rm -rf /tmp/install
USER connector
