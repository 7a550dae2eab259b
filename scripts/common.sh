# Sourced by the other scripts: where things are built, how things are said and installed.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# One cache outside the clone: a second clone or a clean checkout does not compile burn again.
FLEDGE_CACHE=${FLEDGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fledge}
NATIVE_TARGET=$FLEDGE_CACHE/native
WEB_TARGET=$FLEDGE_CACHE/web
TOOLS=$FLEDGE_CACHE/tools
FLEDGE_BIN=$NATIVE_TARGET/release/fledge
SITE=${FLEDGE_SITE:-$ROOT/www/dist}
PYTHON=$FLEDGE_CACHE/python/bin/python
BROWSER_TOOLS=$FLEDGE_CACHE/browser-tools
# Stand for the dear halves of the builds, once they were made.
FULL_BUILD=$NATIVE_TARGET/with-gpu
FULL_SITE=$FLEDGE_CACHE/site-with-webgpu
export PATH="$TOOLS/bin:$HOME/.cargo/bin:$PATH"
mkdir -p "$TOOLS/bin"

say() { printf '==> %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# apt_install REASON PACKAGE...: installs Debian packages, or says what to install by hand.
apt_install() {
  local reason=$1
  shift
  has apt-get || die "$reason needs the package(s) $*, and this system has no apt-get: install them by hand, then run the command again"
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    has sudo || die "$reason needs the package(s) $*: run 'apt-get install $*' as root, then run the command again"
    as_root=(sudo)
  fi
  say "installing $* with apt-get ($reason)"
  if ! "${as_root[@]}" apt-get install -y --no-install-recommends "$@" >"$FLEDGE_CACHE/apt.log" 2>&1; then
    "${as_root[@]}" apt-get update >"$FLEDGE_CACHE/apt.log" 2>&1 &&
      "${as_root[@]}" apt-get install -y --no-install-recommends "$@" >>"$FLEDGE_CACHE/apt.log" 2>&1 ||
      die "apt-get could not install $*: $(tail -n 1 "$FLEDGE_CACHE/apt.log")"
  fi
}

# need_python IMPORTS PACKAGE...: packages of PyPI for $PYTHON, if it cannot import them yet.
need_python() {
  local imports=$1
  shift
  "$PYTHON" -c "import $imports" 2>/dev/null && return
  say "installing $* from PyPI"
  "$PYTHON" -m pip install -q "$@" ||
    die "$* could not be installed from PyPI: check the network, then run the command again"
}

# need_node PACKAGE VERSION: a package of npm in $BROWSER_TOOLS.
need_node() {
  # npm takes away what this file does not name.
  if [ ! -f "$BROWSER_TOOLS/package.json" ]; then
    rm -rf "$BROWSER_TOOLS/node_modules"
    mkdir -p "$BROWSER_TOOLS"
    echo '{"private": true}' >"$BROWSER_TOOLS/package.json"
  fi
  [ ! -d "$BROWSER_TOOLS/node_modules/$1" ] || return 0
  say "installing $1 from npm"
  (cd "$BROWSER_TOOLS" && npm install --silent --save-exact --no-package-lock "$1@$2" >/dev/null) ||
    die "$1 could not be installed from npm: check the network, then run the command again"
}

need_rust() {
  has cargo || die "cargo was not found: install Rust with rustup (https://rustup.rs), then run the command again"
  has cc || apt_install "linking Rust programs" gcc libc6-dev
}

# Everything that Cargo.lock names, once; after this the builds work without a network.
fetch_crates() {
  say "fetching crates"
  (cd "$ROOT" && cargo fetch --locked) 2>"$FLEDGE_CACHE/fetch.log" ||
    die "the crates could not be fetched ($(grep -m1 -iE 'error|caused|failed' "$FLEDGE_CACHE/fetch.log" || tail -n 1 "$FLEDGE_CACHE/fetch.log")): check the network, then run the command again"
}

build_fledge() {
  say "building fledge (the first time compiles burn and its GPU stack; later builds are short)"
  cargo_build_fledge "$@"
  touch "$FULL_BUILD"
}

build_fledge_for_the_cpu() {
  say "building fledge for the CPU (the first time compiles burn; later builds are short)"
  cargo_build_fledge --no-default-features
}

# beside LOG COMMAND...: runs it while the script goes on, giving way to what the script itself runs;
# its process group is $BESIDE, which ends with the script.
beside() {
  local log=$1
  shift
  set -m
  (
    renice -n 10 -p "$BASHPID" >/dev/null
    "$@"
  ) >"$log" 2>&1 &
  BESIDE=$!
  set +m
  at_exit "kill -- -$BESIDE 2>/dev/null"
}

# at_exit COMMAND: one more thing to do when the script ends, however it ends.
AT_EXIT=
at_exit() {
  # What fails, since it is gone already, keeps nothing else from being done.
  AT_EXIT="{ $1; } || true; $AT_EXIT"
  trap "$AT_EXIT" EXIT
}

cargo_build_fledge() {
  (cd "$ROOT" && CARGO_TARGET_DIR=$NATIVE_TARGET cargo build --locked --release -p trainer "$@") ||
    die "fledge did not compile: see the messages above"
}
