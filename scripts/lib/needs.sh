# What the scripts need of the machine: checked by name, installed where asked and possible, else said plainly.
# Sourced with the working directory at the top of the repository.

# Programs and the Debian packages that bring them.
NEEDED="cc:build-essential git:git bash:bash"

# missing_packages [PROGRAM:PACKAGE…]: the Debian packages of what is not there, on one line.
missing_packages() {
  local pair packages=""
  for pair in $NEEDED "$@"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || packages="$packages ${pair##*:}"
  done
  # The task-agent is linked statically: glibc's archive must be there beside the compiler.
  if command -v cc >/dev/null 2>&1 && [ "$(cc -print-file-name=libc.a)" = libc.a ]; then
    packages="$packages libc6-dev"
  fi
  echo $packages
}

# need_rust: a toolchain that is new enough, or a sentence about how to get one.
need_rust() {
  if [ -f "$HOME/.cargo/env" ] && ! command -v cargo >/dev/null 2>&1; then . "$HOME/.cargo/env"; fi
  if ! command -v cargo >/dev/null 2>&1 || ! command -v rustc >/dev/null 2>&1; then
    echo "There is no Rust toolchain here: cargo and rustc are missing. Install one from https://rustup.rs, then run this again." >&2
    return 1
  fi
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  found=$(rustc --version | sed 's/^rustc \([0-9.]*\).*/\1/')
  if [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
    echo "Rust $wanted or newer is needed, and this is $found: run \`rustup update\`, then this again." >&2
    return 1
  fi
}

# need_room GIB DIR: whether a first build has that much disk below DIR; what was built before needs less, and is not asked.
need_room() {
  local free
  [ ! -d "$2" ] || return 0
  free=$(df --output=avail -k "$(dirname "$2")" 2>/dev/null | tail -n 1)
  [ -n "$free" ] || return 0
  [ "$free" -ge $(($1 * 1024 * 1024)) ] && return 0
  echo "A first build takes $1 GiB of disk, and $(dirname "$2") has $((free / 1024)) MiB free." >&2
  return 1
}

# need_packages [install] [PROGRAM:PACKAGE…]: says which Debian packages are missing; with "install" and as root, installs them.
need_packages() {
  local packages install=""
  if [ "${1:-}" = install ]; then install=yes; shift; fi
  packages=$(missing_packages "$@")
  [ -n "$packages" ] || return 0
  if [ -n "$install" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing $packages"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null && return 0
  fi
  echo "Missing here: $packages. On Debian or Ubuntu: sudo apt-get install $packages" >&2
  return 1
}

# A container engine for the tests, which start a private one of their own: the programs, and the Debian packages with
# what those need beside them. Optional: without it the tests with containers say that they are skipped.
ENGINE="podman:podman runc:runc busybox:busybox-static iptables:iptables newuidmap:uidmap slirp4netns:slirp4netns"
ENGINE_PACKAGES="podman runc catatonit uidmap slirp4netns netavark aardvark-dns iptables busybox-static"

# need_engine [install]: says what containers lack here; with "install" and as root, installs it.
need_engine() {
  local pair missing=""
  for pair in $ENGINE; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
  done
  [ -n "$missing" ] || return 0
  if [ "${1:-}" = install ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing $ENGINE_PACKAGES"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $ENGINE_PACKAGES >/dev/null && return 0
  fi
  echo "For tests with containers, missing here:$missing. On Debian or Ubuntu: sudo apt-get install $ENGINE_PACKAGES" >&2
  return 1
}

# need_browser [install]: a Chromium for the tests of the page, which without one say that they are skipped.
need_browser() {
  if command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1; then return 0; fi
  if [ "${1:-}" = install ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing chromium"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null && return 0
  fi
  echo "For tests of the page in a browser, missing here: chromium. On Debian or Ubuntu: sudo apt-get install chromium" >&2
  return 1
}
