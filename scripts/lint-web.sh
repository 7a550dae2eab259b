#!/usr/bin/env bash
# clippy for each of the browser's modules, with the toolchain and the profile that build them.
. "$(dirname "$0")/wasm-toolchain.sh"
cd "$ROOT"
if [ -n "${WASM_CLIPPY:-}" ]; then
  [ -x "$WASM_CLIPPY" ] || apt_install "linting for wasm32" "$WASM_CLIPPY_PACKAGE"
else
  WASM_CLIPPY=cargo-clippy
fi
web_modules | while read -r bin profile features; do
  "$WASM_CLIPPY" clippy --locked --target wasm32-unknown-unknown --profile "$profile" -p web \
    --no-default-features --features "$features" --bin "$bin" -- -D warnings ||
    die "the module $bin has lints: see the messages above"
done
