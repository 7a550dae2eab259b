//! What comes before the network: from samples to features, by the rules of `shared_model::audio` and
//! `shared_model::features`.

use shared_model::audio::LARGEST_SAMPLE;
use shared_model::audio::level::{
    CLICK_SHARE, DIGITAL_SILENCE, FRAME, LARGEST_GAIN, LONGEST_CLICK, LOUD_SHARE, PAUSE,
    QUIET_SHARE, QUIETEST_SPEECH, SMALLEST_GAIN, SPEECH_OVER_NOISE, SURELY_MEANT, WORKING_LEVEL,
};
use shared_model::features::{FeatureConfig, FeatureError, FeatureExtractor, FrontEndParts};

use super::graph::{Graph, Value};
use super::wire::{Attribute, ElementType};

/// Samples f32 `[1, num_samples]` to features f32 `[1, time, n_mels]`. A clip too short for a frame
/// gives one.
///
/// # Errors
/// Mel bands that cannot be had.
pub(super) fn features<'g>(
    config: &FeatureConfig,
    samples: Value<'g>,
) -> Result<Value<'g>, FeatureError> {
    let parts = FeatureExtractor::new(config)?.parts();
    let samples = usable(samples);
    let samples = match config.level_gain {
        true => samples * level_gain(samples),
        false => samples,
    };
    let power = power_spectrum(&parts, mirrored(&parts, samples)).transpose(&[0, 2, 1]);
    let bands = power.matmul(filters(samples.graph(), &parts));
    Ok(match parts.log_floor {
        Some(floor) => bands.with("Max", samples.graph().float(floor)).apply("Log"),
        None => bands,
    })
}

/// Zeros for NaN and infinities, and no sample that is too large.
fn usable(samples: Value<'_>) -> Value<'_> {
    let g = samples.graph();
    let is_finite = samples.apply("Abs").with("Less", g.float(f32::INFINITY));
    let finite = g.select(is_finite, samples, g.float(0.0));
    clipped(finite, -LARGEST_SAMPLE, LARGEST_SAMPLE)
}

fn clipped(x: Value<'_>, least: f32, most: f32) -> Value<'_> {
    let g = x.graph();
    g.operator("Clip", &[x, g.float(least), g.float(most)], &[])
}

/// `shared_model::audio::level_gain` of `[1, num_samples]`: a number in `[1]`.
fn level_gain<'g>(samples: Value<'g>) -> Value<'g> {
    let g = samples.graph();
    let levels = sorted_levels(samples);
    let count = |condition: Value<'g>| condition.to(ElementType::Int64).sum(0);
    let at =
        |index: Value<'g>| g.operator("Gather", &[levels, index], &[Attribute::Int("axis", 0)]);
    let share = |number: Value<'g>, of: usize| number / g.int(of as i64);
    let of_sound = count(levels.with("Greater", g.float(DIGITAL_SILENCE)));
    let of_sound = of_sound.with("Max", g.int(1));
    let loudest = at(share(of_sound, CLICK_SHARE).with("Min", g.int(LONGEST_CLICK as i64)));
    let active = count(levels.with("GreaterOrEqual", loudest * g.float(PAUSE)));
    let level = at(share(active.with("Min", of_sound), LOUD_SHARE));
    let quiet = at(of_sound - g.int(1) - share(of_sound, QUIET_SHARE));
    let is_less = |limit: Value<'g>| level.with("Less", limit);
    let is_steady =
        is_less(g.float(SURELY_MEANT)).with("And", is_less(quiet * g.float(SPEECH_OVER_NOISE)));
    let is_left_alone = is_less(g.float(QUIETEST_SPEECH)).with("Or", is_steady);
    let gain = clipped(g.float(WORKING_LEVEL) / level, SMALLEST_GAIN, LARGEST_GAIN);
    g.select(is_left_alone, g.float(1.0), gain)
}

/// The levels of all frames of [`FRAME`] samples, the loudest first, `[frames]`.
fn sorted_levels<'g>(samples: Value<'g>) -> Value<'g> {
    let g = samples.graph();
    let frame = g.int(FRAME as i64);
    let num_samples = samples.size(1);
    let whole = (num_samples + g.int(FRAME as i64 - 1)) / frame * frame;
    let padding = g.concat(&[g.ints(&[0, 0, 0]), (whole - num_samples).unsqueeze(0)], 0);
    let by_frame = |x: Value<'g>| x.reshape(&[-1, FRAME as i64]);
    let is_real = by_frame(
        g.range(whole)
            .with("Less", num_samples)
            .to(ElementType::Float),
    );
    let samples = by_frame(samples.with("Pad", padding));
    let count = is_real.sum(1);
    let centred = (samples - samples.sum(1) / count) * is_real;
    let levels = ((centred * centred).sum(1) / count)
        .apply("Sqrt")
        .reshape(&[-1]);
    let order = [
        Attribute::Int("axis", 0),
        Attribute::Int("largest", 1),
        Attribute::Int("sorted", 1),
    ];
    g.operators("TopK", &[levels, levels.apply("Shape")], 2, &order)[0]
}

/// The samples of all frames, one after the other where they do not overlap: `[1, num_samples]` to
/// `[1, shift * (frames - 1) + window]`. Beyond its ends the clip is mirrored.
fn mirrored<'g>(parts: &FrontEndParts, samples: Value<'g>) -> Value<'g> {
    let g = samples.graph();
    let int = |value: usize| g.int(value as i64);
    let num_samples = samples.size(1);
    let frames = (num_samples + int(parts.count_offset)) / int(parts.shift);
    let frames = frames.with("Max", int(1));
    let needed = (frames - int(1)) * int(parts.shift) + int(parts.window.len());
    let both_ways = num_samples * int(2);
    let (period, last) = if parts.repeats_edges {
        (both_ways, both_ways - int(1))
    } else {
        let turn = both_ways - int(2);
        (turn.with("Max", int(1)), turn)
    };
    let place = (g.range(needed) - int(parts.lead)).with("Mod", period);
    let place = place.with("Min", last - place);
    g.operator("Gather", &[samples, place], &[Attribute::Int("axis", 1)])
}

/// Bins of the power spectrum that some band hears.
fn heard_bins(parts: &FrontEndParts) -> std::ops::Range<usize> {
    let first = parts.bands.iter().map(|(first, _)| *first).min();
    let end = parts
        .bands
        .iter()
        .map(|(first, weights)| first + weights.len())
        .max();
    first.unwrap_or(0)..end.unwrap_or(0)
}

/// Samples of [`mirrored`] to the power of the heard bins, `[1, bins, frames]`: preparation, window
/// and Fourier transform as one convolution.
fn power_spectrum<'g>(parts: &FrontEndParts, samples: Value<'g>) -> Value<'g> {
    let g = samples.graph();
    let bins = heard_bins(parts);
    let kernel = transform(g, parts, &bins).unsqueeze(1);
    // Each frame's mean is taken away by the kernel, but of an offset rounding would leave too much.
    let samples = match parts.pre_emphasis {
        Some(_) => samples - samples.mean(1),
        None => samples,
    };
    let attributes = [
        Attribute::Ints("kernel_shape", &[parts.window.len() as i64]),
        Attribute::Ints("strides", &[parts.shift as i64]),
    ];
    let spectrum = g.operator("Conv", &[samples.unsqueeze(1), kernel], &attributes);
    let [real, imaginary] = spectrum.split([bins.len(); 2], 1);
    real * real + imaginary * imaginary
}

/// What a frame's samples are multiplied by and summed up to the real and the imaginary part of each
/// bin, `[2 * bins, window]`. Computed from the window once, when the file is loaded: written out it
/// would be as large as a network.
fn transform<'g>(g: &'g Graph, parts: &FrontEndParts, bins: &std::ops::Range<usize>) -> Value<'g> {
    let width = parts.window.len();
    let bin = g.range(g.int(bins.len() as i64)) + g.int(bins.start as i64);
    let sample = g.range(g.int(width as i64)).unsqueeze(0);
    // Whole turns are taken away while they are integers.
    let turns = (bin.unsqueeze(1) * sample).with("Mod", g.int(parts.fft_size as i64));
    let angle = std::f64::consts::TAU / parts.fft_size as f64;
    let angle = turns.to(ElementType::Float) * g.float(angle as f32);
    let waves = g.concat(&[angle.apply("Cos"), angle.apply("Sin")], 0);
    let waves = waves * g.floats("window", &[1, width], &parts.window);
    let Some(pre_emphasis) = parts.pre_emphasis else {
        return waves;
    };
    // A sample is also taken away from the one after it, and the first one from itself.
    let [first, later] = waves.split([1, width - 1], 1);
    let [second, last] = later.split([1, width - 2], 1);
    let none_after = first * g.float(0.0);
    let taken = g.concat(&[first + second, last, none_after], 1);
    let emphasised = waves - taken * g.float(pre_emphasis);
    // Weights of mean 0 do not see the samples' mean.
    emphasised - emphasised.mean(1)
}

/// Weights of the mel bands, `[bins, n_mels]`, of which only those above 0 are in the file.
fn filters<'g>(g: &'g Graph, parts: &FrontEndParts) -> Value<'g> {
    let (bins, n_mels) = (heard_bins(parts), parts.bands.len());
    let place = |bin: usize, band: usize| ((bin - bins.start) * n_mels + band) as i64;
    let (mut places, mut weights) = (Vec::new(), Vec::new());
    for (band, (first, triangle)) in parts.bands.iter().enumerate() {
        places.extend((*first..).zip(triangle).map(|(bin, _)| place(bin, band)));
        weights.extend(triangle);
    }
    let none = g
        .ints(&[(bins.len() * n_mels) as i64])
        .apply("ConstantOfShape");
    let inputs = [
        none,
        g.indices("filters.places", &places),
        g.floats("filters.weights", &[weights.len()], &weights),
    ];
    let all = g.operator("ScatterElements", &inputs, &[Attribute::Int("axis", 0)]);
    all.reshape(&[bins.len() as i64, n_mels as i64])
}
