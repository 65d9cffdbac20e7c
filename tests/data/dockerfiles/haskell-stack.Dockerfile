FROM haskell:9.6-slim AS build
WORKDIR /opt/app
COPY stack.yaml stack.yaml.lock package.yaml ./
RUN stack build --only-dependencies --system-ghc
COPY . .
RUN stack install --local-bin-path /usr/local/bin --system-ghc

FROM gcr.io/distroless/base-debian12
COPY --from=build /usr/local/bin/app /app
ENTRYPOINT ["/app"]
