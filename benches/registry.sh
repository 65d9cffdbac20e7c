#!/bin/bash
# Prints medians, in milliseconds, of pulling and pushing a 300 MB image of 6 layers through a registry on loopback, and the peak memory of
# rcompose. docker and podman are measured in turn with it where they are installed, so that all see the same machine. Nothing here is a
# test: figures are read by people. Needs root, docker-registry and python3 (for the content of the layers).
#   benches/registry.sh        RCOMPOSE=path  RUNS=5  PEERS="docker podman"
set -euo pipefail
rcompose=${RCOMPOSE:-$(cd "$(dirname "$0")/.." && pwd)/target/release/rcompose}
runs=${RUNS:-5}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/rcbench.XXXXXX")
# What is built stays in a build's cache: pulls go to a store of their own.
export RCOMPOSE_DATA_ROOT=$work/builder RCOMPOSE_RUN_ROOT=$work/run
registries=()
cleanup() {
    for pid in "${registries[@]}"; do kill "$pid" 2>/dev/null || true; done
    for tool in "${peers[@]}"; do "$tool" rmi -f "$image" "$copy" >/dev/null 2>&1 || true; done
    rm -rf "$work"
}
peers=()
for tool in ${PEERS-docker podman}; do command -v "$tool" >/dev/null && peers+=("$tool"); done

now() { echo $(($(date +%s%N) / 1000)); }
# Prints how long a command takes, in microseconds.
took() { local start end; start=$(now); "$@" >/dev/null 2>"$work/error" || { cat "$work/error" >&2; echo "failed: $*" >&2; return 1; }; end=$(now); echo $((end - start)); }
median() { sort -n | awk '{v[NR] = $1} END {printf "%.1f", v[int((NR + 1) / 2)] / 1000}'; }

# Starts an empty registry on a port.
serve() { # port
    rm -rf "$work/store$1"
    printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n' "$work/store$1" "$1" >"$work/$1.yml"
    docker-registry serve "$work/$1.yml" >/dev/null 2>&1 &
    registries+=($!)
    until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do sleep 0.02; done
}
# What podman is told besides.
plain() { case $1 in podman) echo --tls-verify=false ;; esac; }
verb() { case $1 in "$rcompose") echo "$rcompose image" ;; *) echo "$1" ;; esac; }

image=127.0.0.1:5891/big:1 copy=127.0.0.1:5892/big:1
trap cleanup EXIT
mkdir "$work/context"
python3 - "$work/context" <<'P'
# 500 files of 100 kB a layer, half of each noise, half words.
import os, random, sys
random.seed(2)
words = [random.randbytes(6).hex().encode() for _ in range(4000)]
for layer in range(6):
    for i in range(500):
        path = f"{sys.argv[1]}/l{layer}/d{i % 20}"
        os.makedirs(path, exist_ok=True)
        open(f"{path}/f{i}", "wb").write(random.randbytes(50000) + b" ".join(random.choices(words, k=3846)))
P
{ echo FROM scratch; for layer in 0 1 2 3 4 5; do echo "COPY l$layer /l$layer"; done; } >"$work/context/Dockerfile"
printf 'services: {big: {image: "%s", build: "%s/context"}}\n' "$image" "$work" >"$work/compose.yaml"
serve 5891
"$rcompose" -f "$work/compose.yaml" build -q
serve 5892 && first=${registries[-1]}
"$rcompose" image push -q "$image" >/dev/null
export RCOMPOSE_DATA_ROOT=$work/data

tools=("$rcompose" "${peers[@]}")
for ((run = 0; run < runs; run++)); do
    for tool in "${tools[@]}"; do
        key=$(basename "$tool") do=$(verb "$tool") flag=$(plain "$tool")
        # shellcheck disable=SC2086 # verbs are two words, flags may be none
        {
            if [ "$tool" = "$rcompose" ]; then $do rm -f "$image" "$copy" && $do prune -af; else $tool rmi -f "$image" "$copy"; fi >/dev/null 2>&1 || true
            sync
            took $do pull -q $flag "$image" >>"$work/$key.pull.times"
            took $do pull -q $flag "$image" >>"$work/$key.again.times"
            $do tag "$image" "$copy"
            kill "$first" && wait "$first" 2>/dev/null || true
            serve 5892 && first=${registries[-1]}
            took $do push -q $flag "$copy" >>"$work/$key.push.times"
            took $do push -q $flag "$copy" >>"$work/$key.repush.times"
        }
    done
done

# The most memory a pull and a push took: what the kernel says shortly before the end.
peak() {
    local most=0 seen
    "$@" >/dev/null 2>&1 &
    while seen=$(awk '/VmHWM/ {print $2}' "/proc/$!/status" 2>/dev/null) && [ -n "$seen" ]; do most=$seen; sleep 0.01; done
    wait $!
    echo $((most / 1024))
}
"$rcompose" image rm -f "$image" "$copy" >/dev/null && "$rcompose" image prune -af >/dev/null
pull_peak=$(peak "$rcompose" image pull -q "$image")
"$rcompose" image tag "$image" "$copy"
kill "$first" && wait "$first" 2>/dev/null || true
serve 5892
push_peak=$(peak "$rcompose" image push -q "$copy")

printf '%-10s %12s %12s %12s %12s\n' tool pull 'up to date' push 'all there'
for tool in "${tools[@]}"; do
    key=$(basename "$tool")
    printf '%-10s' "$key"
    for name in pull again push repush; do printf ' %12s' "$(median <"$work/$key.$name.times")"; done
    echo
done
echo "peak memory of rcompose: pull $pull_peak MB, push $push_peak MB"
