#!/bin/sh
# Makes a fresh clone ready for `npm test` and `npm run demo`; quiet and fast when nothing is to do.
#
#   sh scripts/setup.sh               packages, and what the kernel tests and the demo need from the system
#   sh scripts/setup.sh --no-kernel   packages only
#
# Exit status: 0 ready, 1 something is missing (it says what, why, and how to get it), 2 usage.
set -u
cd "$(dirname "$0")/.." || exit 1
PATH="$PATH:/usr/sbin:/sbin"
kernel=yes
case "${1-}" in
  '') ;;
  --no-kernel) kernel=no ;;
  *) echo "usage: sh scripts/setup.sh [--no-kernel]" >&2; exit 2 ;;
esac

missing=
fail() { # what, why, how
  missing="$missing
  $1
      needed for: $2
      get it:     $3"
}
say() { echo "setup: $*" >&2; }

# --- packages ------------------------------------------------------------------------------------------------------
# The stamp holds the checksum of the lockfile it was made from. Without a stamp, npm's own record counts if newer.
stamp=node_modules/.setup-stamp
want=$(cksum < package-lock.json)
installed() {
  [ -f node_modules/.package-lock.json ] && [ -x node_modules/.bin/node ] || return 1
  if [ -f "$stamp" ]; then [ "$(cat "$stamp")" = "$want" ]; else
    [ node_modules/.package-lock.json -nt package-lock.json ] && echo "$want" > "$stamp"
  fi
}
if ! installed; then
  if command -v npm > /dev/null; then
    say 'installing packages (npm ci)'
    if npm ci --no-audit --no-fund --loglevel=error > /dev/null; then echo "$want" > "$stamp"; else
      fail 'npm packages' 'everything' 'npm ci (it failed, see above)'
    fi
  else
    fail 'npm' 'installing packages' 'https://nodejs.org, or your distribution'
  fi
fi
if [ -x node_modules/.bin/node ]; then
  version=$(node_modules/.bin/node --version 2>&1)
  case "$version" in
    v24.* | v2[5-9].* | v[3-9]?.*) ;;
    *) fail "Node.js 24 (node_modules/.bin/node says: $version)" 'running TypeScript without a build' 'rm -r node_modules && npm ci' ;;
  esac
fi

# --- system --------------------------------------------------------------------------------------------------------
has_plugin() { [ -x "/usr/lib/cni/$1" ] || [ -x "/opt/cni/bin/$1" ]; }
has_plugins() { has_plugin ptp && has_plugin bridge && has_plugin host-local; }

debian_packages() {
  command -v nft > /dev/null || printf ' nftables'
  { command -v ip && command -v bridge; } > /dev/null || printf ' iproute2'
  has_plugins || printf ' containernetworking-plugins'
  command -v nsenter > /dev/null || printf ' util-linux'
  [ -x /usr/bin/perl ] || printf ' perl-base'
}

# Another apt may hold the locks; the lock of the package lists has no waiting option of its own.
apt() {
  tries=0
  until DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" > "$log" 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge 24 ] || ! grep -q 'Could not get lock\|Unable to lock' "$log"; then
      cat "$log" >&2
      return 1
    fi
    [ "$tries" -gt 1 ] || say 'waiting for another apt to finish'
    sleep 5
  done
}

install_debian() {
  log=$(mktemp) || return 1
  say "installing$1 (apt-get)"
  # Old package lists may name versions that are gone, so they are renewed first; without a network they must do.
  apt update || say 'apt-get update failed; trying with the package lists that are there'
  # shellcheck disable=SC2086  # a list of package names
  apt install -y --no-install-recommends $1
  status=$?
  rm -f "$log"
  return $status
}

if [ $kernel = yes ]; then
  uid=$(id -u)
  if [ "$uid" != 0 ]; then
    fail 'root' 'network namespaces and nftables, in the kernel tests and the demo' \
      'sudo npm test (npm run test:unit and npm run check need no root)'
  fi
  wanted=$(debian_packages)
  if [ -n "$wanted" ] && [ "$uid" = 0 ] && command -v apt-get > /dev/null; then
    install_debian "$wanted"
    hash -r
  fi
  how() { echo "apt-get install --no-install-recommends $1 (or your distribution's package)"; }
  command -v nft > /dev/null || fail nft 'loading rules into the kernel' "$(how nftables)"
  { command -v ip && command -v bridge; } > /dev/null || fail 'ip and bridge' 'building nodes and pods' "$(how iproute2)"
  command -v nsenter > /dev/null || fail nsenter 'running CNI plugins inside a node' "$(how util-linux)"
  [ -x /usr/bin/perl ] || fail /usr/bin/perl 'sending packets in many namespaces' "$(how perl-base)"
  has_plugins || fail 'CNI plugins ptp, bridge and host-local in /usr/lib/cni or /opt/cni/bin' \
    'attaching pods as real nodes do' "$(how containernetworking-plugins)"

  if [ "$uid" = 0 ] && command -v nft > /dev/null && command -v unshare > /dev/null; then
    if ! unshare -n true 2> /dev/null; then
      fail 'permission to make network namespaces (CAP_SYS_ADMIN)' 'nodes and pods' 'docker run --privileged, or a virtual machine'
    elif ! unshare -n nft add table inet probe 2> /dev/null; then
      fail 'nf_tables in the kernel' 'enforcing policy' 'modprobe nf_tables (a kernel with CONFIG_NF_TABLES_INET)'
    fi
    if [ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] && ! modprobe br_netfilter 2> /dev/null; then
      fail 'br_netfilter in the kernel' 'policy on bridged nodes' 'modprobe br_netfilter'
    fi
  fi
fi

if [ -n "$missing" ]; then
  echo "nftpolicy cannot start here; missing:$missing" >&2
  exit 1
fi

# --- bundle --------------------------------------------------------------------------------------------------------
# bin/policy.mjs runs the bundle while no source is newer, and the sources otherwise: only speed depends on it.
if [ ! -f dist/policy.mjs ] || [ -n "$(find src packages/nftables-json/src -newer dist/policy.mjs | head -n 1)" ]; then
  PATH="$PWD/node_modules/.bin:$PATH" rolldown -c rolldown.config.ts > /dev/null || say 'building the bundle failed; the sources are run'
fi
