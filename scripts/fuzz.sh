#!/bin/bash
# Fuzzes each target for SECONDS (900 unless said): scripts/fuzz.sh [SECONDS [TARGET…]]. Needs a nightly toolchain and cargo-fuzz;
# the test `laws` replays what is kept in fuzz/corpus, changed at random, with neither.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-900}
shift $(($# > 0))
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo +nightly fuzz list)
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
for target in "${targets[@]}"; do
    mkdir -p "$found/$target"
    longest=2000
    # An archive of three entries has as many bytes.
    [ "$target" != tar_layer ] || longest=16000
    nice -n 19 cargo +nightly fuzz run -s none "$target" "$found/$target" "fuzz/corpus/$target" \
        -- -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len="$longest"
done
