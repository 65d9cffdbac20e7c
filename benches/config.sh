#!/bin/bash
# Prints the medians of `config` of 1,000 and of 10,000 services in milliseconds, with the largest resident size in megabytes.
#   benches/config.sh [N…]
#   RCOMPOSE=path  DOCKER_COMPOSE=path (measured in turn, on the same files)  RUNS=11
set -euo pipefail
rcompose=${RCOMPOSE:-$(cd "$(dirname "$0")/.." && pwd)/target/release/rcompose}
runs=${RUNS:-11}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

services() { # N
    echo "name: bench$1"; echo "services:"
    local i
    for ((i = 0; i < $1; i++)); do
        cat <<EOF
  s$i:
    image: busybox:test
    command: ["sleep", "infinity"]
    networks: [net]
    environment: {A: "\${HOME}", B: "x\${UNSET:-def}y", C: "$i"}
    labels: {com.example.i: "$i", com.example.n: "\${UNSET2:-b}"}
    ports: ["$((10000 + i % 50000)):80"]
    volumes: ["vol$((i % 10)):/data", "./d$i:/src:ro"]
    deploy: {resources: {limits: {cpus: '0.5', memory: 64M}}}
EOF
        ((i == 0)) || echo "    depends_on: [s$((i - 1))]"
    done
    echo "networks: {net: {}}"; echo "volumes:"
    for ((i = 0; i < 10; i++)); do echo "  vol$i: {}"; done
}

tools=("$rcompose"); [ -z "${DOCKER_COMPOSE:-}" ] || tools+=("$DOCKER_COMPOSE")
printf '%-8s %-16s %10s %10s\n' N tool ms MB
for n in "${@:-1000 10000}"; do for n in $n; do
    services "$n" >"$work/stack.yaml"
    rm -f "$work"/*.figures
    for ((run = 0; run < runs; run++)); do
        for tool in "${tools[@]}"; do
            start=$(date +%s%N)
            /usr/bin/time -q -f %M -o "$work/size" "$tool" -f "$work/stack.yaml" config >/dev/null 2>&1 || true
            echo "$((($(date +%s%N) - start) / 1000)) $(cat "$work/size")" >>"$work/$(basename "$tool").figures"
        done
    done
    for tool in "${tools[@]}"; do
        sort -n "$work/$(basename "$tool").figures" | awk -v n="$n" -v tool="$(basename "$tool")" \
            '{ms[NR] = $1; if ($2 > size) size = $2} END {printf "%-8s %-16s %10.1f %10.1f\n", n, tool, ms[int((NR + 1) / 2)] / 1000, size / 1024}'
    done
done; done
