#!/bin/bash
# Prints medians of `config` of 1,000 and of 10,000 services, and of `check` of the WordPress example: milliseconds of the whole process
# by the clock, processor time, and the largest resident size in megabytes.
#   benches/config.sh [N…]
#   RCOMPOSE=path  DOCKER_COMPOSE=path (measured in turn, on the same files, up to 1,000 services: it ends at none larger)  RUNS=21
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
rcompose=${RCOMPOSE:-$here/target/release/rcompose}
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

# Each command in turn, so that what disturbs one disturbs the other; started without a shell.
measure() { # LABEL, then per tool: NAME COMMAND…, tools apart by --
    python3 - "${RUNS:-21}" "$@" <<'EOF'
import os, subprocess, sys, time
runs, label, words = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
tools = [[]]
for word in words:
    if word == "--":
        tools.append([])
    else:
        tools[-1].append(word)
seen = {tool[0]: [] for tool in tools}
for _ in range(runs):
    for name, *command in tools:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(child.pid, 0)
        seen[name].append((time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss))
for name, figures in seen.items():
    clock, processor, size = (sorted(column) for column in zip(*figures))
    print(f"{label:24} {name:16} {clock[runs // 2] * 1e3:10.1f} {processor[runs // 2] * 1e3:10.1f} {size[-1] / 1024:10.1f}")
EOF
}

printf '%-24s %-16s %10s %10s %10s\n' what tool ms 'ms of cpu' MB
for n in "${@:-1000 10000}"; do for n in $n; do
    services "$n" >"$work/stack.yaml"
    peer=()
    if [ -n "${DOCKER_COMPOSE:-}" ] && ((n <= 1000)); then
        peer=(-- docker-compose "$DOCKER_COMPOSE" -f "$work/stack.yaml" config)
    fi
    measure "config of $n" rcompose "$rcompose" -f "$work/stack.yaml" config "${peer[@]}"
done; done
measure "check of wordpress" rcompose "$rcompose" -f "$here/examples/wordpress/compose.yaml" check
