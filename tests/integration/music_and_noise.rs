//! Sounds without a voice, made here: no shipped English student writes a word of them.

use std::f32::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};

use tests::{fledge, repository, text, wav_bytes};

const RATE_HZ: usize = 16_000;
const NUM_SAMPLES: usize = 20 * RATE_HZ;

struct Random(u32);

impl Random {
    /// In `[-1, 1)`.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A string plucked every `every_secs` (Karplus and Strong, Computer Music Journal 7, 1983).
fn plucked(notes_hz: &[f32], every_secs: f32, decay: f32, seed: u32) -> Vec<f32> {
    let mut random = Random(seed);
    let mut out = vec![0.0; NUM_SAMPLES];
    let every = (every_secs * RATE_HZ as f32) as usize;
    for (note, start) in (0..NUM_SAMPLES).step_by(every).enumerate() {
        let hz = notes_hz[note % notes_hz.len()];
        let mut string: Vec<f32> = (0..(RATE_HZ as f32 / hz) as usize)
            .map(|_| 0.3 * random.next())
            .collect();
        for (index, sample) in out[start..].iter_mut().take(3 * RATE_HZ / 2).enumerate() {
            let at = index % string.len();
            let next = string[(at + 1) % string.len()];
            *sample += string[at];
            string[at] = decay * 0.5 * (string[at] + next);
        }
    }
    out
}

fn mixed(parts: &[Vec<f32>]) -> Vec<f32> {
    let sum = |i: usize| parts.iter().map(|part| part[i]).sum();
    (0..NUM_SAMPLES).map(sum).collect()
}

/// Harmonics of several pitches at once, each `secs` long with the given decay a second.
fn chords(chords_hz: &[[f32; 3]], secs: f32, decay: f32) -> Vec<f32> {
    (0..NUM_SAMPLES)
        .map(|i| {
            let t = i as f32 / RATE_HZ as f32;
            let (chord, since) = ((t / secs) as usize, t % secs);
            let tones = chords_hz[chord % chords_hz.len()].iter();
            let tone = |hz: &f32| {
                (1..8)
                    .map(|k| (TAU * hz * k as f32 * since).sin() / k as f32)
                    .sum::<f32>()
            };
            let envelope = (since / 0.02).min(1.0) * (-decay * since).exp();
            0.06 * envelope * tones.map(tone).sum::<f32>()
        })
        .collect()
}

fn white(amplitude: f32) -> Vec<f32> {
    let mut random = Random(11);
    (0..NUM_SAMPLES)
        .map(|_| amplitude * random.next())
        .collect()
}

/// White noise through Kellet's filter, which is within 0.1 dB of 3 dB an octave.
fn pink(amplitude: f32) -> Vec<f32> {
    const POLES: [(f32, f32); 6] = [
        (0.99886, 0.055_517_9),
        (0.99332, 0.075_075_9),
        (0.969, 0.153_852),
        (0.8665, 0.310_485_6),
        (0.55, 0.532_952_2),
        (-0.7616, -0.016_898),
    ];
    let mut state = [0.0f32; 6];
    white(1.0)
        .into_iter()
        .map(|noise| {
            for (value, (pole, gain)) in state.iter_mut().zip(POLES) {
                *value = pole * *value + gain * noise;
            }
            0.2 * amplitude * (state.iter().sum::<f32>() + 0.536_2 * noise)
        })
        .collect()
}

/// Noise in bursts, as of a drum.
fn drums() -> Vec<f32> {
    let burst = |i: usize| (-((i % 4000) as f32) / 400.0).exp();
    let noise = white(0.6).into_iter().enumerate();
    noise.map(|(i, value)| value * burst(i)).collect()
}

fn hum() -> Vec<f32> {
    let harmonic = |t: f32, k: usize| (TAU * 50.0 * k as f32 * t).sin() / k as f32;
    (0..NUM_SAMPLES)
        .map(|i| {
            (1..10)
                .map(|k| 0.1 * harmonic(i as f32 / RATE_HZ as f32, k))
                .sum()
        })
        .collect()
}

fn clicks() -> Vec<f32> {
    let mut out = vec![0.0; NUM_SAMPLES];
    for start in (0..NUM_SAMPLES).step_by(RATE_HZ / 2) {
        out[start..start + 20].fill(0.8);
        out[start + 20..start + 40].fill(-0.8);
    }
    out
}

fn beeps() -> Vec<f32> {
    let is_on = |i: usize| i % RATE_HZ < RATE_HZ / 3;
    (0..NUM_SAMPLES)
        .map(|i| f32::from(is_on(i)) * 0.3 * (TAU * 1000.0 * i as f32 / RATE_HZ as f32).sin())
        .collect()
}

fn sounds() -> Vec<(&'static str, Vec<f32>)> {
    let scale = [220.0, 247.0, 262.0, 294.0, 330.0, 349.0, 392.0, 440.0];
    let low = [82.0, 110.0, 98.0, 123.0, 147.0];
    let strummed = [110.0, 165.0, 220.0, 277.0, 330.0]
        .map(|hz| plucked(&[hz], 1.25, 0.996, hz as u32))
        .map(|string| string.iter().map(|s| s * 0.5).collect());
    let progression = [
        [220.0, 277.0, 330.0],
        [196.0, 247.0, 294.0],
        [175.0, 220.0, 262.0],
    ];
    vec![
        ("plucked slowly", plucked(&scale, 1.0, 0.996, 1)),
        ("plucked", plucked(&scale, 0.5, 0.996, 2)),
        ("plucked fast", plucked(&scale, 0.25, 0.999, 3)),
        ("plucked low", plucked(&low, 0.6, 0.996, 4)),
        (
            "plucked now and then",
            plucked(&[196.0, 294.0], 2.5, 0.996, 5),
        ),
        ("strummed", mixed(&strummed)),
        ("chords that fade", chords(&progression, 1.0, 1.5)),
        ("an organ", chords(&progression, 0.5, 0.0)),
        ("a held chord", chords(&progression[..1], 30.0, 0.0)),
        ("white noise", white(0.3)),
        ("faint white noise", white(0.02)),
        ("pink noise", pink(0.5)),
        ("drums", drums()),
        ("hum", hum()),
        ("clicks", clicks()),
        ("beeps", beeps()),
    ]
}

/// The texts of several files at once, in their order.
fn heard(files: &[PathBuf], model: &Path, lm: Option<&Path>) -> Vec<String> {
    let mut arguments = vec!["transcribe", "--json", "--quiet", "--device", "cpu"];
    arguments.extend(["--model", text(model)]);
    arguments.extend(lm.into_iter().flat_map(|lm| ["--lm", text(lm)]));
    arguments.extend(files.iter().map(|path| text(path)));
    let finished = fledge(arguments);
    finished.assert_done();
    let lines = finished.json_lines();
    let texts = lines.iter().map(|line| line["text"].as_str().unwrap());
    texts.map(str::to_owned).collect()
}

#[test]
fn twenty_seconds_of_music_or_noise_give_no_words() {
    let folder = tempfile::tempdir().unwrap();
    let sounds = sounds();
    let mut files = Vec::new();
    for (name, samples) in &sounds {
        let path = folder.path().join(format!("{name}.wav"));
        fs::write(&path, wav_bytes(samples, RATE_HZ as u32, 1, 16)).unwrap();
        files.push(path);
    }
    // Speech among them shows that there is something to hear.
    files.push(repository().join("www/samples/seven-two-nine-four.wav"));
    let models = repository().join("www/models");
    let lm = models.join("lm/english.bin");
    for student in ["english-medium", "english-small", "english-tiny"] {
        for lm in [None, Some(lm.as_path())] {
            let mut texts = heard(&files, &models.join(student), lm);
            let speech = texts.pop().unwrap();
            assert_ne!(speech, "", "{student} hears nothing at all");
            for ((name, _), text) in sounds.iter().zip(texts) {
                assert_eq!(
                    text,
                    "",
                    "{student} of {name}, language model {}",
                    lm.is_some()
                );
            }
        }
    }
}
