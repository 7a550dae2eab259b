//! symphonia's decoders of single packets, apart from its readers of files.

use symphonia::core::codecs::audio::well_known::{CODEC_ID_FLAC, CODEC_ID_MP3, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::{FlacDecoder, MpaDecoder, VorbisDecoder};

use super::error::AudioFileError;

/// No encoder means a sample of this size; a damaged packet may decode to any.
const LARGEST_DECODED: f32 = 8.0;

/// A packet that cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undecodable;

/// A decoder of one stream's packets.
pub(super) struct Codec(Box<dyn AudioDecoder>);

impl Codec {
    pub fn mp3() -> Result<Self, AudioFileError> {
        let mut params = AudioCodecParameters::new();
        params.for_codec(CODEC_ID_MP3);
        made(MpaDecoder::try_new(&params, &untrimmed()))
    }

    /// `stream_info`: the 34 bytes of the metadata block.
    pub fn flac(stream_info: &[u8]) -> Result<Self, AudioFileError> {
        let mut params = AudioCodecParameters::new();
        params
            .for_codec(CODEC_ID_FLAC)
            .with_extra_data(stream_info.into());
        made(FlacDecoder::try_new(&params, &untrimmed()))
    }

    /// `headers`: identification and setup header, one after the other.
    pub fn vorbis(headers: &[u8]) -> Result<Self, AudioFileError> {
        let mut params = AudioCodecParameters::new();
        params
            .for_codec(CODEC_ID_VORBIS)
            .with_extra_data(headers.into());
        made(VorbisDecoder::try_new(&params, &untrimmed()))
    }

    /// Forgets what came before.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// Decodes a packet into interleaved samples; gives the number of channels.
    pub fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<usize, Undecodable> {
        let packet = PacketRef::new(0, Timestamp::new(0), Duration::new(0), packet);
        let buffer = self.0.decode_ref(&packet).map_err(|_| Undecodable)?;
        let channels = buffer.spec().channels().count().max(1);
        buffer.copy_to_vec_interleaved(samples);
        let is_sound = |sample: &f32| sample.abs() <= LARGEST_DECODED;
        if samples.iter().all(is_sound) {
            Ok(channels)
        } else {
            Err(Undecodable)
        }
    }
}

/// Delay and padding are cut off by who knows the whole stream.
fn untrimmed() -> AudioDecoderOptions {
    AudioDecoderOptions::default().gapless(false)
}

fn made<D: AudioDecoder + 'static>(
    decoder: symphonia::core::errors::Result<D>,
) -> Result<Codec, AudioFileError> {
    match decoder {
        Ok(decoder) => Ok(Codec(Box::new(decoder))),
        Err(error) => Err(AudioFileError::Broken(error.to_string())),
    }
}
