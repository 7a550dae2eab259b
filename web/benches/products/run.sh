#!/usr/bin/env bash
# Times matrix products in WebAssembly, f32 and int8 weights, plain and relaxed SIMD.
. "$(dirname "$0")/../../../scripts/wasm-toolchain.sh"
cd "$ROOT/web/benches/products"
RUSTFLAGS='-C target-feature=+simd128,+relaxed-simd' \
  cargo build --release --target wasm32-unknown-unknown || die "the kernels did not compile"
node --experimental-wasm-relaxed-simd run.mjs \
  "$CARGO_TARGET_DIR/wasm32-unknown-unknown/release/products.wasm"
