FROM python:3.12-slim-bookworm

ENV PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 \
    NUMBA_CACHE_DIR=/var/cache/isotherm

RUN useradd --uid 10001 --create-home isotherm \
    && install -d -o isotherm -g isotherm /state "$NUMBA_CACHE_DIR"

WORKDIR /app
COPY requirements.txt ./
RUN pip install --require-hashes -r requirements.txt

COPY pyproject.toml README.md LICENSE isotherm.py ./
COPY connectors connectors
COPY flows flows
COPY sql sql
COPY dashboards dashboards
# Whole seconds, because an image keeps no fractions and the kernels' cache is keyed by the time of their source.
RUN pip install --no-deps --no-build-isolation -e . \
    && find . -name '*.py' -exec touch -d 2026-01-01T00:00:00Z {} +

USER isotherm
# Another CPU than the builder's compiles anew at its first start, into the same place.
RUN python -m flows.kernels.warm

CMD ["isotherm", "--help"]
