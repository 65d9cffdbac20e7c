#!/bin/sh
# Installs what the tests use and runs all of them. The privileged ones make real containers, bridges and rules, so this wants root.
set -eu
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
    echo "scripts/test.sh: the tests start containers and need root: sudo scripts/test.sh" >&2
    exit 1
fi
scripts/install-test-packages.sh all
cargo build --workspace --bins
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --no-fail-fast "$@"
else
    cargo test --workspace --no-fail-fast "$@" -- --test-threads 2
fi
