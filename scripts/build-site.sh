#!/usr/bin/env bash
# Builds the static site into www/dist, release mode.
. "$(dirname "$0")/wasm-toolchain.sh"
"$ROOT/scripts/install-web-tools.sh"
say "building the site (two engines: CPU and WebGPU; the first time compiles burn for wasm32)"
cd "$ROOT"
trunk build --release --config Trunk.toml || die "the site did not build: see the messages above"
