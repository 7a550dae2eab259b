#!/usr/bin/env bash
# Installs trunk and wasm-bindgen of the pinned versions into the cache, each only if absent.
. "$(dirname "$0")/common.sh"

TRUNK_VERSION=0.21.14
BINDGEN_VERSION=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p;}' "$ROOT/Cargo.lock")

# Tools run for seconds: a fast build matters more than fast code.
export CARGO_TARGET_DIR=$FLEDGE_CACHE/tools-build CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
  CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16

install_tool() { # crate version [flags]
  local crate=$1 version=$2
  shift 2
  say "installing $crate $version from crates.io"
  cargo install --locked "$crate" --version "$version" --root "$TOOLS" "$@" >"$FLEDGE_CACHE/$crate.log" 2>&1 ||
    cargo install "$crate" --version "$version" --root "$TOOLS" "$@" >"$FLEDGE_CACHE/$crate.log" 2>&1 ||
    die "$crate could not be installed: $(grep -m1 '^error' "$FLEDGE_CACHE/$crate.log")"
}

need_rust
[ "$(wasm-bindgen --version 2>/dev/null)" = "wasm-bindgen $BINDGEN_VERSION" ] ||
  install_tool wasm-bindgen-cli "$BINDGEN_VERSION"
[ "$(trunk --version 2>/dev/null)" = "trunk $TRUNK_VERSION" ] ||
  install_tool trunk "$TRUNK_VERSION" --no-default-features
