FROM clux/muslrust:stable AS builder
WORKDIR /volume
COPY Cargo.* ./
COPY src src
RUN cargo build --release && mv target/*-unknown-linux-musl/release/tool /volume/tool

FROM scratch
COPY --from=builder --chmod=0755 /volume/tool /tool
ENTRYPOINT [ "/tool" ]
