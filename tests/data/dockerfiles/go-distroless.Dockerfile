FROM golang:1.22-alpine AS builder
RUN apk add --no-cache git make
WORKDIR /go/src/app
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG COMMIT
RUN go build -ldflags="-X main.version=${VERSION} -X main.commit=${COMMIT:-none}" -o /go/bin/app .

FROM gcr.io/distroless/static-debian12:nonroot
LABEL org.opencontainers.image.source="https://example.org/app" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /go/bin/app /
CMD ["/app"]
