FROM debian:bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ cmake ninja-build && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY CMakeLists.txt ./
COPY --parents src/**/*.cpp src/**/*.h ./
RUN cmake -G Ninja -B /out -DCMAKE_BUILD_TYPE=Release && cmake --build /out

FROM build AS test
RUN ctest --test-dir /out --output-on-failure

FROM debian:bookworm-slim
COPY --from=build /out/tool /usr/local/bin/
ENTRYPOINT ["tool"]
