FROM golang:1.23
RUN go install github.com/air-verse/air@latest
WORKDIR /app
COPY go.mod go.sum* ./
RUN go mod download
VOLUME /app
CMD ["air", "-c", ".air.toml"]
