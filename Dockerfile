# The Python that the tests run with. Another one with a tag of its own: --build-arg PYTHON=3.13-slim-bookworm
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# The packages change seldom, the code often: so they are a layer of their own.
COPY requirements-image.lock ./
RUN python -m venv /opt/labelwatch \
    && /opt/labelwatch/bin/pip install --require-hashes -r requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY monitor monitor
COPY consumers consumers
# What only builds stays behind, and pip with it.
RUN /opt/labelwatch/bin/pip install --no-deps --no-build-isolation . \
    && /opt/labelwatch/bin/pip uninstall --yes hatchling pathspec pluggy trove-classifiers setuptools pip

FROM python:${PYTHON}
# Nothing but /data and /tmp is written to, so the root may be read-only.
ENV PATH=/opt/labelwatch/bin:$PATH PYTHONDONTWRITEBYTECODE=1 LABELWATCH_STORE=/data/labelwatch.duckdb
COPY --from=build /opt/labelwatch /opt/labelwatch
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin labelwatch \
    && mkdir /data && chown 10001:10001 /data
USER 10001:10001
WORKDIR /data
EXPOSE 8711
# Alive, which needs no token. Ready is /readyz: not to be asked here, for who waits for a broker need not be restarted.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8711/livez', timeout=4)"]
# A batch at hand is committed first.
STOPSIGNAL SIGTERM
ENTRYPOINT ["labelwatch"]
CMD ["run"]
