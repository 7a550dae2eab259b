#!/usr/bin/env bash
# Installs trunk and wasm-bindgen of the pinned versions into the cache, each only if absent.
. "$(dirname "$0")/common.sh"

TRUNK_VERSION=0.21.14
BINDGEN_VERSION=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p;}' "$ROOT/Cargo.lock")

# Tools run for seconds, so a fast build matters more than fast code, except where a whole module is
# read, changed and written.
export CARGO_TARGET_DIR=$FLEDGE_CACHE/tools-build CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
  CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_LTO=off \
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_PANIC=abort
optimised=()
for crate in wasmparser walrus wasm-bindgen-cli-support wasm-encoder sha2; do
  optimised+=(--config "profile.release.package.$crate.opt-level=1")
done

install_tool() { # crate version [flags]
  local crate=$1 version=$2
  shift 2
  say "installing $crate $version from crates.io"
  set -- "$crate" --version "$version" --root "$TOOLS" "${optimised[@]}" "$@"
  # A registry may not have yet what the lock file names.
  cargo install --locked "$@" >"$FLEDGE_CACHE/$crate.log" 2>&1 ||
    cargo install "$@" >"$FLEDGE_CACHE/$crate.log" 2>&1 ||
    die "$crate could not be installed: $(grep -m1 '^error' "$FLEDGE_CACHE/$crate.log")"
}

need_rust
[ "$(wasm-bindgen --version 2>/dev/null)" = "wasm-bindgen $BINDGEN_VERSION" ] ||
  install_tool wasm-bindgen-cli "$BINDGEN_VERSION" --no-default-features --bin wasm-bindgen
[ "$(trunk --version 2>/dev/null)" = "trunk $TRUNK_VERSION" ] ||
  install_tool trunk "$TRUNK_VERSION" --no-default-features
