#!/usr/bin/env bash
# Writes into a built site what the page reads first: the manifests of all models in one file, and
# the table of their error rates.
#   scripts/write-catalog.sh [SITE]
. "$(dirname "$0")/common.sh"
cd "$ROOT"
# The scripts for wasm32 set what is wrong for a native program.
env -u RUSTFLAGS -u RUSTC -u RUSTC_BOOTSTRAP -u CARGO_UNSTABLE_BUILD_STD \
  CARGO_TARGET_DIR="$NATIVE_TARGET" \
  cargo run -q --locked --release -p web --no-default-features --features catalog --bin catalog -- "${1:-$SITE}" ||
  die "the catalog of models could not be written: see the messages above"
