//! How the network's parts are computed.

/// Which operations stand for a branch of the network on the CPU backend, and on graphics adapters
/// where nothing is differentiated and utterances are few. Whatever else there is composes burn's
/// operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Operations {
    /// Compositions of burn's own operations: the definition.
    Composed,
    /// One operation a branch, on graphics adapters two or three; the same up to rounding.
    #[default]
    Fused,
    /// As [`Self::Fused`], but factors of matrix products are rounded to bf16 (8 bits of
    /// precision; sums stay f32) where the processor multiplies those faster (Intel AMX, AVX-512
    /// with bf16). Elsewhere the same as [`Self::Fused`].
    FusedBf16,
}

impl Operations {
    /// Whether products are in bf16 on this processor.
    pub fn multiplies_bf16(self) -> bool {
        self == Self::FusedBf16 && has_bf16()
    }
}

#[cfg(all(feature = "cpu", target_arch = "x86_64"))]
fn has_bf16() -> bool {
    super::bf16::is_available()
}

#[cfg(not(all(feature = "cpu", target_arch = "x86_64")))]
fn has_bf16() -> bool {
    false
}
