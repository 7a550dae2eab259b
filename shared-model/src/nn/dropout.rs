//! Dropout of tensors.

use burn::prelude::*;
use rand::Rng;

use super::{fusion, host};
use crate::{kernels::drop_mask::DropMask, network::Mode};

/// The next mask of a training pass, which drops with probability `p`; `None` in evaluation and at
/// `p` 0.
#[inline(always)]
pub(crate) fn draw(p: f64, mode: &mut Mode) -> Option<DropMask> {
    let context = mode.training().filter(|_| p > 0.0)?;
    Some(DropMask::new(p, context.rng.next_u64()))
}

/// Zeroes what `mask` drops and scales the rest; the rows of the mask are the last axis. Without a
/// mask, and in a browser, where none is ever drawn, gives `x` back.
pub(crate) fn dropout<const D: usize>(x: Tensor<D>, mask: Option<DropMask>) -> Tensor<D> {
    let Some(mask) = mask.filter(|_| cfg!(not(target_arch = "wasm32"))) else {
        return x;
    };
    let shape = x.dims();
    let (channels, rows) = (shape[D - 1], shape[..D - 1].iter().product());
    if cfg!(feature = "autodiff") && !fusion::is_on_cpu(&x) {
        let factors = factors_on_device(&mask, [rows, channels], &x.device());
        return x * factors.reshape(shape);
    }
    let factors = host::tensor(mask.factors(rows, channels), shape, &x.device());
    x * factors
}

/// [`DropMask::factors`] computed by the device, `[rows, channels]`: making and uploading them takes
/// longer than all else in a step on a graphics card.
fn factors_on_device(mask: &DropMask, shape: [usize; 2], device: &Device) -> Tensor<2> {
    let [rows, channels] = shape;
    let half = channels.div_ceil(2);
    let device = &device.clone().inner();
    let counters =
        Tensor::<1, Int>::arange(0..(rows * half) as i64, (device, burn::tensor::DType::I32));
    let words = words_on_device(mask, counters).reshape([rows, half]);
    let low = words.clone().bitwise_and_scalar(0xFFFF);
    let bits = match channels - half {
        0 => low,
        pairs => Tensor::cat(vec![low, shifted(words, 16).narrow(1, 0, pairs)], 1),
    };
    bits.greater_equal_elem(mask.dropped() as i32).float() * mask.factor()
}

/// [`DropMask::word`] of each counter. Products wrap, as those of 32-bit integers do on devices.
fn words_on_device(mask: &DropMask, counters: Tensor<1, Int>) -> Tensor<1, Int> {
    let mixed = |words: Tensor<1, Int>, shift: u32| {
        let high = shifted(words.clone(), shift);
        words.bitwise_xor(high)
    };
    let [first, second] = mask.seed().map(u32::cast_signed);
    let [times_first, times_second] = DropMask::FACTORS.map(u32::cast_signed);
    let words = mixed(counters.bitwise_xor_scalar(first), 16);
    let words = mixed(words.mul_scalar(times_first).bitwise_xor_scalar(second), 13);
    mixed(words.mul_scalar(times_second), 16)
}

/// Shifts right and fills with zeros: on signed integers a device fills with the sign.
fn shifted<const D: usize>(words: Tensor<D, Int>, bits: u32) -> Tensor<D, Int> {
    let kept = (u32::MAX >> bits) as i32;
    words
        .bitwise_right_shift_scalar(bits as i32)
        .bitwise_and_scalar(kept)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    #[test]
    fn a_mask_made_by_a_device_is_the_one_made_here() {
        for (seed, shape) in [
            (7, [40, 64]),
            (0x9E37_79B9_7F4A_7C15, [13, 31]),
            (u64::MAX, [5, 1]),
        ] {
            let mask = DropMask::new(0.3, seed);
            let made = factors_on_device(&mask, shape, &Device::flex()).into_data();
            let made: Vec<f32> = made.iter().collect();
            assert_eq!(made, mask.factors(shape[0], shape[1]), "{shape:?}");
        }
    }
}
