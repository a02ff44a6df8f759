# syntax=docker/dockerfile:1
# Two stages: the first builds the wheel with the front-end files in it, the second holds Python and that wheel alone.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN apt-get update && apt-get install -y --no-install-recommends make git && rm -rf /var/lib/apt/lists/*
RUN make build

FROM python:3.11-slim-bookworm
RUN useradd --system --create-home --uid 10001 connector && mkdir -p /data && chown connector /data
COPY --from=build /src/constraints.txt /src/dist/*.whl /tmp/install/
# the pins, without hashes: pip takes hashes for all or none, and the wheel has none
RUN sed -n 's/^\([A-Za-z0-9._-]*==[^ ;]*\).*/\1/p' /tmp/install/constraints.txt > /tmp/install/pins.txt \
    && pip install --no-cache-dir --disable-pip-version-check -c /tmp/install/pins.txt "$(ls /tmp/install/*.whl)[c2pa]" && rm -rf /tmp/install
USER connector
ENV DAM_CONNECTOR_DATA_DIR=/data DAM_CONNECTOR_HOST=0.0.0.0 DAM_CONNECTOR_LOG_FORMAT=json PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 8321
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/readyz', timeout=4)"]
CMD ["dam-connector", "web"]
