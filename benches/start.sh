#!/bin/bash
# Prints medians, in milliseconds, of `up -d` of one container from an image of 2 GB (20,000 files in 10 layers) and from a small one, in turn;
# what the kernel keeps of files is dropped before each, so that both start cold. Nothing here is a test: figures are read by people.
# Needs root, busybox-static and 5 GB.
#   benches/start.sh        RCOMPOSE=path  RUNS=9
set -euo pipefail
rcompose=${RCOMPOSE:-$(cd "$(dirname "$0")/.." && pwd)/target/release/rcompose}
runs=${RUNS:-9}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/rcbench.XXXXXX")
export RCOMPOSE_DATA_ROOT=$work/data RCOMPOSE_RUN_ROOT=$work/run
cleanup() {
    for name in small large; do "$rcompose" -f "$work/$name.yaml" down -t 0 >/dev/null 2>&1 || true; done
    rm -rf "$work"
}
trap cleanup EXIT
mkdir -p "$work/context/root/bin"
cp "$(command -v busybox)" "$work/context/root/bin/busybox"
ln -s busybox "$work/context/root/bin/sleep"
python3 - "$work/context" <<'P'
import os, sys
for layer in range(10):
    for i in range(2000):
        directory = f"{sys.argv[1]}/l{layer}/d{i % 40}"
        os.makedirs(directory, exist_ok=True)
        with open(f"{directory}/f{i}", "wb") as file:
            file.write(os.urandom(100_000))
P
printf 'FROM scratch\nCOPY root /\nCMD ["sleep", "1000"]\n' >"$work/context/small"
{ echo FROM small:1; for layer in 0 1 2 3 4 5 6 7 8 9; do echo "COPY l$layer /l$layer"; done; } >"$work/context/large"
for name in small large; do
    printf 'services: {a: {image: "%s:1", build: {context: context, dockerfile: %s}}}\n' "$name" "$name" >"$work/$name.yaml"
    "$rcompose" -f "$work/$name.yaml" build -q
done
rm -rf "$work/context"/l?

median() { sort -n | awk '{v[NR] = $1} END {printf "%.1f", v[int((NR + 1) / 2)] / 1000}'; }
for ((run = 0; run < runs; run++)); do
    for name in small large; do
        sync
        echo 3 >/proc/sys/vm/drop_caches
        # The programs themselves are warm: what differs is the image.
        "$rcompose" -f "$work/$name.yaml" ps >/dev/null
        start=$(date +%s%N)
        "$rcompose" -f "$work/$name.yaml" up -d --no-build >/dev/null 2>&1
        echo $((($(date +%s%N) - start) / 1000)) >>"$work/$name.times"
        "$rcompose" -f "$work/$name.yaml" down -t 0 >/dev/null 2>&1
    done
done
for name in small large; do printf '%-8s %10s\n' "$name" "$(median <"$work/$name.times")"; done
