FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make
WORKDIR /src
RUN --mount=type=bind,source=c,target=/src,rw \
    --mount=type=tmpfs,target=/scratch \
    make CFLAGS="-O2 -static" BUILD=/scratch && install -D /scratch/hello /out/hello

FROM scratch
COPY --from=build /out/hello /hello
USER 1000:1000
ENTRYPOINT ["/hello"]
CMD ["world"]
