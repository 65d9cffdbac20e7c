#!/bin/sh
# Installs what the tests and the demo use, as root on a Debian-like system; does nothing when all of it is there.
set -eu

missing=
need() { # program, package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need nft nftables
need mmdebstrap mmdebstrap
need ip iproute2
if [ "${1:-}" = all ]; then
    need docker-registry docker-registry
    need openssl openssl
    need skopeo skopeo
    need sqlite3 sqlite3
    need chromium chromium
    need cc gcc
    need script bsdutils
    # Images are made of a busybox that needs no library.
    [ -e /usr/share/doc/busybox-static ] || missing="$missing busybox-static"
fi
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null 2>&1 || { echo "please install:$missing" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "please run as root, or install:$missing" >&2; exit 1; }
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# shellcheck disable=SC2086 # one word a package
apt-get install -y -q --no-install-recommends $missing >/dev/null
