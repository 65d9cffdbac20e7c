#!/bin/bash
# Prints medians of a build, in milliseconds: COPY of 5,000 files (50 MB, half of it random) and five RUN on a Debian base; cold, nothing
# changed, and one file changed. With PEER='docker buildx build --load' (or another that takes -t, a directory and --no-cache) both are
# measured in turn, so that they see the same machine. Nothing here is a test: figures are read by people.
#   BASE_TAR=path to a root file system   (mmdebstrap --variant=minbase bookworm base.tar); the peer knows it as BASE already
#   RCOMPOSE=path  PEER=command  RUNS=5  BASE=debmin:test
set -euo pipefail
rcompose=${RCOMPOSE:-$(cd "$(dirname "$0")/.." && pwd)/target/release/rcompose}
runs=${RUNS:-5} base=${BASE:-debmin:test} peer=${PEER:-}
work=$(mktemp -d)
export RCOMPOSE_DATA_ROOT=$work/data RCOMPOSE_RUN_ROOT=$work/run
trap 'rm -rf "$work"' EXIT
"$rcompose" image import "${BASE_TAR:?a root file system}" "$base" >/dev/null
mkdir "$work/context"
python3 - "$work/context/tree" <<'P'
import os, random, sys
random.seed(1)
for i in range(5000):
    directory = f"{sys.argv[1]}/d{i % 50:02}"
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/f{i}", "wb") as file:
        file.write(random.randbytes(5000) + b"text line %d\n" % i * 400)
P
{ echo "FROM $base"; echo "COPY tree /tree"; for _ in 1 2 3 4 5; do echo "RUN true"; done; } >"$work/context/Dockerfile"
printf 'services: {a: {build: {context: context}, image: "bench:1"}}\n' >"$work/compose.yaml"
cd "$work"

median() { sort -n | awk '{v[NR] = $1} END {printf "%.1f", v[int((NR + 1) / 2)] / 1000}'; }
took() { # FILE COMMAND…
    local file=$1 start; shift
    start=$(date +%s%N)
    "$@" >/dev/null 2>&1 || { echo "failed: $*" >&2; return 1; }
    echo $((($(date +%s%N) - start) / 1000)) >>"$file"
}
ours() { "$rcompose" build -q "$@"; }
# shellcheck disable=SC2086 # the peer is several words
theirs() { $peer -q -t bench:1 "$@" context; }
change() { date +%N >context/tree/d00/changed; }

tools=(ours); [ -z "$peer" ] || tools+=(theirs)
for tool in "${tools[@]}"; do took /dev/null "$tool" --no-cache; done
for ((run = 0; run < runs; run++)); do
    for tool in "${tools[@]}"; do took "$tool.cold" "$tool" --no-cache; done
    for tool in "${tools[@]}"; do took "$tool.cached" "$tool"; done
    change
    for tool in "${tools[@]}"; do took "$tool.changed" "$tool"; done
done
printf '%-8s %10s %10s %10s\n' tool cold cached changed
for tool in "${tools[@]}"; do
    printf '%-8s' "$tool"
    for name in cold cached changed; do printf ' %10s' "$(median <"$tool.$name")"; done
    echo
done
