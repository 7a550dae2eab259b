#!/usr/bin/env bash
# Compiles the page's modules without trunk, which later finds them made: so they need not wait for
# trunk itself.
#   --cpu-only   leaves the WebGPU engine out.
. "$(dirname "$0")/wasm-toolchain.sh"
cd "$ROOT"
web_modules | while read -r bin profile features; do
  [ "$bin" != engine-webgpu ] || [ "${1:-}" != --cpu-only ] || continue
  cargo build --locked --target wasm32-unknown-unknown --profile "$profile" -p web \
    --no-default-features --features "$features" --bin "$bin" ||
    die "the module $bin did not compile: see the messages above"
done
