FROM postgres:16
ARG PGVECTOR=v0.8.0
ADD --checksum=sha256:4f1d3e1b5fa3a1b3d1b5d7f4d1a1c0c0c7d4f6a9f2b6b3f7f0d6a2d9b8a7c6e5 https://example.org/pgvector-${PGVECTOR}.tar.gz /tmp/pgvector.tar.gz
RUN apt-get update && \
    apt-mark hold locales && \
    apt-get install -y --no-install-recommends build-essential postgresql-server-dev-16 && \
    mkdir /tmp/pgvector && tar -C /tmp/pgvector --strip-components=1 -xf /tmp/pgvector.tar.gz && \
    cd /tmp/pgvector && make OPTFLAGS="" && make install && \
    apt-get autoremove -y build-essential postgresql-server-dev-16 && \
    rm -rf /tmp/pgvector /var/lib/apt/lists/*
COPY --chmod=644 initdb/*.sql /docker-entrypoint-initdb.d/
