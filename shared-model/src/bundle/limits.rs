//! How large the files of a model folder may be. Everything is checked against these before it is
//! parsed, so no length inside a file can drive an allocation.

/// Weights of some 60 million f32 parameters.
const MAX_WEIGHTS_BYTES: u64 = 256 << 20;
pub(super) const MAX_MANIFEST_BYTES: u64 = 1 << 20;
const MAX_CONFIG_BYTES: u64 = 64 << 10;
const MAX_TOKENS_BYTES: u64 = 4 << 20;
/// Everything else, language models beside the network included.
const MAX_OTHER_BYTES: u64 = 1 << 30;

/// Largest size of the file called `name`.
pub fn max_bytes(name: &str) -> u64 {
    match name {
        "manifest.json" => MAX_MANIFEST_BYTES,
        "config.json" => MAX_CONFIG_BYTES,
        "tokens.txt" => MAX_TOKENS_BYTES,
        name if name.ends_with(".safetensors") => MAX_WEIGHTS_BYTES,
        _ => MAX_OTHER_BYTES,
    }
}
