#!/bin/sh
# Installs from Debian what building and running Keelson needs and this machine lacks, and says what.
# Arguments: `run` (default) or `test`, which adds what only the tests use; `test browser` adds Chromium, which is large,
# for the test of the dashboard. Does nothing when all is there.
set -eu

need=""
want() { # want FILE PACKAGE: the package is needed when the file is missing
  for file in $1; do [ -e "$file" ] && return; done
  need="$need $2"
}

want "/usr/bin/g++ /usr/local/bin/g++" g++
want "/usr/bin/make /usr/local/bin/make" make
want "/usr/bin/python3 /usr/local/bin/python3" python3
want "/usr/include/seccomp.h" libseccomp-dev
want "/bin/busybox /usr/bin/busybox" busybox-static
want "/usr/sbin/nft /sbin/nft" nftables
if [ "${1:-run}" = test ]; then
  want "/usr/sbin/ip /sbin/ip" iproute2
  want "/usr/bin/docker-registry" docker-registry
  want "/usr/bin/skopeo" skopeo
  want "/usr/bin/umoci" umoci
  want "/usr/bin/crun" crun
  want "/usr/bin/unzip" unzip
  want "/usr/bin/zstd" zstd
  want "/usr/bin/openssl" openssl
  want "/usr/bin/curl" curl
  want "/usr/sbin/haproxy" haproxy
fi
if [ "${2:-}" = browser ]; then want "/usr/bin/chromium" chromium; fi

[ -z "$need" ] && exit 0

if [ "$(id -u)" != 0 ]; then
  echo "keelson: these Debian packages are missing and only root can install them:$need" >&2
  exit 1
fi
if ! command -v apt-get >/dev/null; then
  echo "keelson: these packages are missing, and there is no apt-get to install them with:$need" >&2
  exit 1
fi
echo "Installing from Debian:$need"
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 $need >/dev/null; }
install 2>/dev/null || { apt-get update -qq && install; }
