//! Audio files that this program writes.

use shared_model::audio::SAMPLE_RATE_HZ;

/// A WAV file: mono, 16 kHz, 16 bits. Samples beyond full scale are cut off.
pub(crate) fn wav_bytes(samples: &[f32]) -> Vec<u8> {
    let data_bytes = (samples.len() * 2) as u32;
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend(b"RIFF");
    file.extend((36 + data_bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    // PCM, one channel.
    file.extend([1, 0, 1, 0]);
    file.extend(SAMPLE_RATE_HZ.to_le_bytes());
    file.extend((2 * SAMPLE_RATE_HZ).to_le_bytes());
    // Bytes of a frame, bits of a sample.
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend(data_bytes.to_le_bytes());
    for sample in samples {
        file.extend(((sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16).to_le_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::data::decode_file;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let samples = [0.0, 0.5, -0.5, 1.0, -1.0, 3.0];
        std::fs::write(&path, wav_bytes(&samples)).unwrap();
        let (read, rate_hz) = decode_file(&path).unwrap();
        assert_eq!(rate_hz, 16_000);
        assert_eq!(read.len(), samples.len());
        for (read, written) in read.iter().zip([0.0, 0.5, -0.5, 1.0, -1.0, 1.0]) {
            assert!((read - written).abs() < 1e-4, "{read} {written}");
        }
    }
}
