//! Seeds of the parts of a run.

/// A seed that depends on nothing but its arguments (FNV-1a).
pub(in crate::train) fn derive_seed(seed: u64, names: &[&str], numbers: &[usize]) -> u64 {
    let names = names.iter().flat_map(|name| name.bytes().chain([0xFF]));
    let numbers = numbers.iter().flat_map(|&n| (n as u64).to_le_bytes());
    let bytes = seed.to_le_bytes().into_iter().chain(names).chain(numbers);
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_in_every_argument() {
        let base = derive_seed(1, &["teach", "a"], &[0, 1, 2]);
        assert_eq!(base, derive_seed(1, &["teach", "a"], &[0, 1, 2]));
        for other in [
            derive_seed(2, &["teach", "a"], &[0, 1, 2]),
            derive_seed(1, &["teac", "ha"], &[0, 1, 2]),
            derive_seed(1, &["teach", "b"], &[0, 1, 2]),
            derive_seed(1, &["teach", "a"], &[0, 2, 1]),
        ] {
            assert_ne!(base, other);
        }
    }
}
