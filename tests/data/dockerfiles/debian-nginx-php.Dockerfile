FROM debian:bookworm-slim AS assets
WORKDIR /out
COPY <<HTML index.html
<h1>built from a heredoc</h1>
HTML
RUN gzip -k index.html

FROM debian:bookworm-slim
ENV DEBIAN_FRONTEND=noninteractive
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
    apt-get update && apt-get install -y --no-install-recommends nginx-light php-cli
COPY --from=assets --link /out/ /var/www/html/
COPY --chmod=755 <<'SH' /entrypoint
#!/bin/sh
set -e
php -r 'echo "php " . PHP_MAJOR_VERSION . "\n";'
exec "$@"
SH
STOPSIGNAL SIGQUIT
EXPOSE 80
ENTRYPOINT ["/entrypoint"]
CMD ["nginx", "-g", "daemon off;"]
