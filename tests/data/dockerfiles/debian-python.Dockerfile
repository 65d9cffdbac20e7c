# syntax=docker/dockerfile:1
FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*

FROM base AS check
COPY app/ /check/
RUN python3 -m compileall -q /check && touch /checked

FROM base
ARG UID=10001
RUN useradd --uid "${UID}" --no-create-home app
WORKDIR /app
COPY --from=check /checked /
COPY --chown=app:app app/ ./
USER app
ENV PORT=8000
EXPOSE ${PORT}
HEALTHCHECK --interval=1s --retries=20 CMD python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8000')"
CMD ["python3", "server.py"]
