#!/usr/bin/env bash
# Every check, in the order CI runs them. `make test`.
. "$(dirname "$0")/common.sh"
cd "$ROOT"
started=$SECONDS
step() { say "[$((SECONDS - started)) s] $*"; }

need_rust
fetch_crates
(. "$ROOT/scripts/wasm-toolchain.sh")
beside "$FLEDGE_CACHE/web-tools.log" "$ROOT/scripts/install-web-tools.sh"
web_tools=$BESIDE

step "formatting"
cargo fmt --all --check || die "not formatted: run 'cargo fmt --all'"

step "licences, bans and sources"
if ! has cargo-deny; then
  "$ROOT/scripts/install-cargo-deny.sh"
fi
cargo-deny --offline check licenses bans sources

step "lints, native"
export CARGO_TARGET_DIR=$NATIVE_TARGET
cargo clippy --locked --release --all-targets --features trainer/onnx -- -D warnings
RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --locked --release --no-deps -q

step "lints, wasm32"
(
  . "$ROOT/scripts/wasm-toolchain.sh"
  "$ROOT/scripts/lint-web.sh"
)

step "native tests"
build_fledge --features onnx
"$ROOT/scripts/install-test-tools.sh"
. "$ROOT/scripts/software-gpu.sh"
cargo test --locked --release --features trainer/onnx
"$PYTHON" -m unittest discover -s trainer/corpus

step "exported models in other people's programs"
FLEDGE=$FLEDGE_BIN "$ROOT/scripts/check-interchange.sh"

step "GPU check, on the software adapter"
"$ROOT/scripts/gpu-check.sh" --small --out "$FLEDGE_CACHE/gpu-check"

step "site"
wait "$web_tools" || die "the page's tools could not be installed: $(tail -n 1 "$FLEDGE_CACHE/web-tools.log")"
"$ROOT/scripts/build-site.sh"

step "the demo on a corpus of one's own"
"$ROOT/scripts/test-demo.sh"

step "browser tests"
"$ROOT/scripts/test-browser.sh"

step "everything passed"
