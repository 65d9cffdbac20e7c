# syntax=docker/dockerfile:1
FROM debian:bookworm-slim AS rust
RUN apt-get update && apt-get install -y --no-install-recommends cargo rustc

FROM rust AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
RUN --mount=type=cache,target=/root/.cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --offline && install -D target/release/hello /out/hello

FROM debian:bookworm-slim
COPY --from=build /out/hello /usr/local/bin/
ENTRYPOINT ["hello"]
