//! The linker leaves out the names of functions, which are longer than the code of the GPU engine,
//! but keeps the section by which wasm-bindgen knows the module's features. The profile's `strip`
//! would remove both. With FLEDGE_KEEP_NAMES they stay, for `scripts/module-size.mjs`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=FLEDGE_KEEP_NAMES");
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("wasm32") {
        if std::env::var_os("FLEDGE_KEEP_NAMES").is_none() {
            println!("cargo:rustc-link-arg-bins=--strip-all");
        }
        println!("cargo:rustc-link-arg-bins=--keep-section=target_features");
    }
}
