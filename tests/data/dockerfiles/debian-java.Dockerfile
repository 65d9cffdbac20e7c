# syntax=docker/dockerfile:1
FROM debian:bookworm-slim AS jdk
RUN <<EOF
set -e
mkdir -p /usr/share/man/man1
apt-get update
apt-get install -y --no-install-recommends openjdk-17-jdk-headless binutils
EOF

FROM jdk AS runtime
RUN jlink --add-modules java.base --strip-debug --no-man-pages --no-header-files --compress=2 --output /opt/java

FROM jdk AS build
WORKDIR /src
COPY src/ .
RUN javac -d /classes $(find . -name '*.java') \
    && jar --create --file /app.jar --main-class=example.Hello -C /classes .

FROM debian:bookworm-slim
ENV JAVA_HOME=/opt/java PATH=/opt/java/bin:$PATH
COPY --from=runtime $JAVA_HOME $JAVA_HOME
COPY --link --from=build /app.jar /app.jar
ENTRYPOINT ["java", "-jar", "/app.jar"]
CMD ["nobody"]
