#!/bin/bash
# Prints the proportional set size, in kB, of shims and of the supervisor of a stack of N idle containers (default 100).
set -euo pipefail
n=${1:-100}
rcompose=${RCOMPOSE:-$(cd "$(dirname "$0")/.." && pwd)/target/release/rcompose}
work=$(mktemp -d)
export RCOMPOSE_DATA_ROOT=$work/data RCOMPOSE_RUN_ROOT=$work/run
trap '"$rcompose" -f "$work/stack.yaml" down -t 0 >/dev/null 2>&1; sleep 2; rm -rf "$work"' EXIT
"$rcompose" image import "$IMAGE_TAR" busybox:test >/dev/null
{ echo "name: memory"; echo "services:"; for ((i = 0; i < n; i++)); do printf '  s%d: {image: "busybox:test", command: [sleep, infinity]}\n' "$i"; done; } >"$work/stack.yaml"
"$rcompose" -f "$work/stack.yaml" up -d >/dev/null 2>&1
sleep 3
pss() { awk '/^Pss:/ {sum += $2} END {print sum + 0}' "/proc/$1/smaps_rollup" 2>/dev/null || echo 0; }
shims=0; total=0; supervisor=0
for directory in /proc/[0-9]*; do
    pid=${directory#/proc/}
    line=$(tr '\0' ' ' <"$directory/cmdline" 2>/dev/null || true)
    case $line in
    *" run $work/run/containers/"*) shims=$((shims + 1)); total=$((total + $(pss "$pid"))) ;;
    *"supervise memory"*) supervisor=$(pss "$pid") ;;
    esac
done
echo "$shims shims: $((total / (shims > 0 ? shims : 1))) kB each; supervisor: $supervisor kB"
