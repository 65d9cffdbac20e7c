FROM python:3.11-bookworm AS builder
ARG DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
    && apt-get install -y --no-install-recommends libpq-dev gcc \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /wheels
COPY requirements/*.txt ./
RUN pip wheel --no-cache-dir --wheel-dir /wheels -r production.txt

FROM python:3.11-slim-bookworm
RUN groupadd -r django && useradd -r -g django -d /app django
COPY --from=builder /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links=/wheels /wheels/*.whl && rm -rf /wheels
WORKDIR /app
COPY --chown=django:django . .
USER django
RUN python manage.py collectstatic --noinput
EXPOSE 8000/tcp
STOPSIGNAL SIGINT
ENTRYPOINT ["./docker-entrypoint.sh"]
CMD ["gunicorn", "config.wsgi:application", "--workers", "3"]
