# syntax=docker/dockerfile:1
FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends nodejs \
    && rm -rf /var/lib/apt/lists/*

FROM base AS build
WORKDIR /src
COPY package.json build.js ./
COPY src ./src
RUN node build.js

FROM base
ENV NODE_ENV=production PORT=3000
WORKDIR /app
COPY --from=build --chown=nobody:nogroup /src/dist ./
COPY --from=build /src/package.json ./
USER nobody
EXPOSE $PORT
HEALTHCHECK --interval=1s --retries=20 CMD node -e "fetch('http://127.0.0.1:'+process.env.PORT).catch(() => process.exit(1))"
CMD ["node", "server.js"]
