#!/bin/sh
# From a fresh clone to a WordPress site: installs what is missing, builds, brings the example up, prints its address and title.
set -eu
cd "$(dirname "$0")/.."

scripts/install-test-packages.sh
cargo build --release --bins
rcompose=${CARGO_TARGET_DIR:-$PWD/target}/release/rcompose
scripts/base-image.sh "$rcompose"

port=${WORDPRESS_PORT:-8080}
"$rcompose" -f examples/wordpress/compose.yaml up -d --wait
url=http://127.0.0.1:$port

# The installer's second step, as the form in a browser would send it; harmless when the site is there already.
"$rcompose" -f examples/wordpress/compose.yaml exec -T wordpress curl -fsS -o /dev/null \
    -H "Host: 127.0.0.1:$port" \
    --data-urlencode 'weblog_title=Hello from rcompose' --data-urlencode 'user_name=admin' \
    --data-urlencode 'admin_password=demo-only-7Xq' --data-urlencode 'admin_password2=demo-only-7Xq' \
    --data-urlencode 'pw_weak=1' --data-urlencode 'admin_email=admin@example.invalid' --data 'blog_public=0' \
    'http://127.0.0.1/wp-admin/install.php?step=2'

title=$("$rcompose" -f examples/wordpress/compose.yaml exec -T wordpress curl -fsS -H "Host: 127.0.0.1:$port" http://127.0.0.1/ \
    | sed -n 's:.*<title>\(.*\)</title>.*:\1:p' | head -n 1)
echo
echo "WordPress runs at $url"
echo "its title is: $title"
echo "stop it with: $rcompose -f examples/wordpress/compose.yaml down        (-v removes its data)"
