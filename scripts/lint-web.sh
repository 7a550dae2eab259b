#!/usr/bin/env bash
# clippy for each of the browser's modules, with the toolchain that builds them.
. "$(dirname "$0")/wasm-toolchain.sh"
cd "$ROOT"
lint() {
  cargo clippy --locked --target wasm32-unknown-unknown --profile web -p web --no-default-features --features "$1" --bins -- -D warnings
}
lint page
lint cpu
lint webgpu
