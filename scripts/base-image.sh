#!/bin/sh
# Makes debian:bookworm-slim available in the image store of the given rcompose: from a registry when one answers,
# else bootstrapped from the Debian archive (25 s).
set -eu
rcompose=$1
image=debian:bookworm-slim

if "$rcompose" image ls -q "$image" 2>/dev/null | grep -q .; then
    exit 0
fi
if "$rcompose" image pull -q "$image" >/dev/null 2>&1; then
    echo "pulled $image"
    exit 0
fi
echo "no registry answers: bootstrapping $image from the Debian archive"
"$rcompose" image bootstrap "$image"
