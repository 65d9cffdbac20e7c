ARG NGINX=1.27
FROM nginx:${NGINX}
ENV BACKEND=http://api:8080 \
    NGINX_ENVSUBST_OUTPUT_DIR=/etc/nginx
COPY templates/*.template /etc/nginx/templates/
RUN <<'EOT' bash
set -euo pipefail
for f in /etc/nginx/templates/*; do
  echo "template: $f"
done
EOT
