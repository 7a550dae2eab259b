#!/usr/bin/env bash
# Builds the static site into www/dist (or $FLEDGE_SITE), release mode.
#   --cpu-only   leaves the WebGPU engine out, which takes most of the first build; the page then
#                computes on the CPU.
. "$(dirname "$0")/wasm-toolchain.sh"
"$ROOT/scripts/install-web-tools.sh"
cd "$ROOT"
if [ "${1:-}" = --cpu-only ]; then
  say "building the site with the CPU engine (the first time compiles burn for wasm32)"
  page=www/index.cpu-only.html
  trap 'rm -f "$ROOT/$page"' EXIT
  grep -v 'data-bin="engine-webgpu"' www/index.html >"$page"
  trunk build --release --config Trunk.toml --dist "$SITE" --html-output index.html "$page" ||
    die "the site did not build: see the messages above"
else
  say "building the site with both engines (the first time compiles burn's GPU stack for wasm32)"
  trunk build --release --config Trunk.toml --dist "$SITE" || die "the site did not build: see the messages above"
  touch "$FULL_SITE"
fi
"$ROOT/scripts/write-catalog.sh"
