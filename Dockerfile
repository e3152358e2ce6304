# The image has the program and nothing of its making: no compiler, no cache, no sources.
FROM python:3.12-slim AS build
WORKDIR /build
RUN python -m venv /app
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.txt ./
RUN /app/bin/pip install --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY alembic ./alembic
COPY src ./src
RUN /app/bin/pip wheel --no-deps --wheel-dir dist .
RUN /app/bin/pip install --no-deps dist/*.whl
# What not everybody needs: `--build-arg PACKAGES="officeai-proxy[parquet,prices] brotli zstandard"`.
ARG PACKAGES=
RUN test -z "$PACKAGES" || /app/bin/pip install $PACKAGES

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin officeai \
    && install -d -o officeai -g officeai -m 700 /data
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OFFICEAI_HOST=0.0.0.0 \
    OFFICEAI_PORT=8000 \
    OFFICEAI_DATA_DIR=/data
USER officeai
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Without the environment's forward proxy, which could not find this address. `serve` may take a
# while on its first start: it makes the tables.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('OFFICEAI_PORT', '8000') + '/health/ready', timeout=4)"]
ENTRYPOINT ["officeai-proxy"]
CMD ["serve"]
