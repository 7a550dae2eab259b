# Sourced: the one place that decides how wasm32 code is compiled. Exports what cargo and trunk need.
#
# With rustup's prebuilt standard library where that can be had, else (or with FLEDGE_WASM=debian)
# with Debian's rustc and the standard library built from Debian's sources. RUSTFLAGS and the linker
# are fixed here because a change of either rebuilds everything.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# A folder for each toolchain: cargo would rebuild everything at a change.
export CARGO_TARGET_DIR=$WEB_TARGET
export RUSTFLAGS='-C target-feature=+simd128'
# Where whoever builds keeps crates and toolchains, usually at home, is nothing that a site should tell its
# visitors. Flags are split at spaces.
case $HOME in
  '' | *[[:space:]]*) ;;
  *) RUSTFLAGS+=" --remap-path-prefix=$HOME=~" ;;
esac

wasm32_of_rustup() {
  [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown/lib" ]
}

if [ "${FLEDGE_WASM:-}" != debian ] && ! wasm32_of_rustup && has rustup; then
  say "adding the wasm32 standard library with rustup"
  timeout 120 rustup target add wasm32-unknown-unknown >"$FLEDGE_CACHE/rustup.log" 2>&1 || true
fi
if [ "${FLEDGE_WASM:-}" = debian ] || ! wasm32_of_rustup; then
  say "compiling for wasm32 with Debian's rustc and the standard library's sources"
  missing=()
  [ -x /usr/bin/rustc ] || missing+=(rustc-web)
  [ -d /usr/lib/rustlib/src/rust ] || missing+=(rust-web-src)
  [ -x /usr/bin/wasm-ld-22 ] || missing+=(lld-22)
  [ ${#missing[@]} = 0 ] || apt_install "compiling for wasm32" "${missing[@]}"
  # Lints must come from the compiler that builds; its clippy is a package of its own.
  WASM_CLIPPY=/usr/bin/cargo-clippy
  WASM_CLIPPY_PACKAGE=rust-web-clippy
  export CARGO_TARGET_DIR=$WEB_TARGET-debian
  export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
  export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=/usr/bin/wasm-ld-22
  export CARGO_UNSTABLE_BUILD_STD=std,panic_abort
fi

# The modules that the page names, one a line: binary, profile, features.
web_modules() {
  local usual
  usual=$(sed -n 's/^cargo_profile = "\(.*\)"/\1/p' "$ROOT/Trunk.toml")
  sed -nE '/rel="rust"/{
    s/.* data-bin="([^"]+)".* data-cargo-profile="([^"]+)".* data-cargo-features="([^"]+)".*/\1 \2 \3/p
    s/.* data-bin="([^"]+)".* data-cargo-features="([^"]+)".*/\1 '"$usual"' \2/p
  }' "$ROOT/www/index.html"
}
