# syntax=docker/dockerfile:1
FROM python:3.12-slim AS python-base
ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=off \
    POETRY_VERSION=1.8.3 \
    POETRY_HOME="/opt/poetry" \
    POETRY_VIRTUALENVS_IN_PROJECT=true \
    VENV_PATH="/opt/pysetup/.venv"
ENV PATH="$POETRY_HOME/bin:$VENV_PATH/bin:$PATH"

FROM python-base AS builder-base
RUN buildDeps="build-essential curl" \
    && apt-get update \
    && apt-get install --no-install-recommends -y $buildDeps \
    && rm -rf /var/lib/apt/lists/*
RUN curl -sSL https://install.python-poetry.org | python3 -
WORKDIR /opt/pysetup
COPY poetry.lock pyproject.toml ./
RUN poetry install --only main

FROM python-base AS production
COPY --from=builder-base /opt/pysetup /opt/pysetup
COPY ./src /app/src
WORKDIR /app
CMD ["uvicorn", "src.main:app", "--host", "0.0.0.0"]
