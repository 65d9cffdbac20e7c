#!/bin/bash
# Prints medians of whole commands on N busybox services, in milliseconds. PEER='docker compose' (any tool with the same verbs) is
# measured in turn with rcompose, so that both see the same machine. Nothing here is a test: figures are read by people.
#   benches/compare.sh [N…]          default: 1 10 100
#   RCOMPOSE=path  PEER=command  RUNS=5  IMAGE=busybox:test (must be known to both)
set -euo pipefail
rcompose=${RCOMPOSE:-$(cd "$(dirname "$0")/.." && pwd)/target/release/rcompose}
runs=${RUNS:-5} image=${IMAGE:-busybox:test}
work=$(mktemp -d)
export RCOMPOSE_DATA_ROOT=${RCOMPOSE_DATA_ROOT:-$work/data} RCOMPOSE_RUN_ROOT=${RCOMPOSE_RUN_ROOT:-$work/run}
trap 'rm -rf "$work"' EXIT

if [ -n "${IMAGE_TAR:-}" ]; then "$rcompose" image import "$IMAGE_TAR" "$image" >/dev/null; fi

now() { echo $(($(date +%s%N) / 1000)); }
# Prints how long a command takes, in microseconds.
took() { local start end; start=$(now); "$@" >/dev/null 2>&1 || { echo "failed: $*" >&2; return 1; }; end=$(now); echo $((end - start)); }
median() { sort -n | awk '{v[NR] = $1} END {printf "%.1f", v[int((NR + 1) / 2)] / 1000}'; }

stack() { # N
    echo "name: bench$1"; echo "services:"
    for ((i = 0; i < $1; i++)); do
        printf '  s%d:\n    image: %s\n    command: ["sleep", "infinity"]\n    networks: [net]\n' "$i" "$image"
    done
    echo "networks: {net: {}}"
}

tools=("$rcompose"); [ -z "${PEER:-}" ] || tools+=("$PEER")
printf '%-8s %-24s %10s %10s %10s %10s %10s %10s\n' N tool up no-op ps exec restart down
for n in "${@:-1 10 100}"; do for n in $n; do
    stack "$n" >"$work/stack.yaml"
    rm -f "$work"/*.times
    for ((run = 0; run < runs; run++)); do
        for tool in "${tools[@]}"; do
            key=$(basename "${tool%% *}")
            # shellcheck disable=SC2086 # a tool may be two words
            step() { local name=$1; shift; took $tool -f "$work/stack.yaml" "$@" >>"$work/$key.$name.times"; }
            step up up -d; step noop up -d; step ps ps; step exec exec -T s0 true; step restart restart -t 0 s0; step down down -t 0
        done
    done
    for tool in "${tools[@]}"; do
        key=$(basename "${tool%% *}")
        printf '%-8s %-24s' "$n" "$key"
        for name in up noop ps exec restart down; do printf ' %10s' "$(median <"$work/$key.$name.times")"; done
        echo
    done
done; done
