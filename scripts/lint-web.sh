#!/usr/bin/env bash
# clippy for each of the browser's modules, with the toolchain and the profile that build them.
. "$(dirname "$0")/wasm-toolchain.sh"
cd "$ROOT"
if [ -n "${WASM_CLIPPY:-}" ]; then
  [ -x "$WASM_CLIPPY" ] || apt_install "linting for wasm32" "$WASM_CLIPPY_PACKAGE"
else
  WASM_CLIPPY=cargo-clippy
fi
lint() {
  "$WASM_CLIPPY" clippy --locked --target wasm32-unknown-unknown --profile "$2" -p web --no-default-features --features "$1" --bins -- -D warnings
}
lint page web-lto
lint audio-file web-lto
lint cpu web-lto
lint webgpu web
