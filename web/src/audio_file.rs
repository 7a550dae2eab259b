//! The worker that decodes audio files, by the same decoders as the trainer: a file gives the same
//! samples, and so the same words, in the browser and natively. It reads the file where it lies and
//! gives it out block by block, so that memory does not grow with the file.

mod blob_source;

use std::cell::RefCell;

use js_sys::ArrayBuffer;

use shared_model::{
    audio::SAMPLE_RATE_HZ,
    audio_file::{AudioBlocks, AudioFileError, Stretch},
};

use crate::{
    protocol::{FailureKind, NO_REQUEST, PROTOCOL_VERSION, Request, Response},
    worker_channel::{Channel, Incoming, buffer_of},
};
use blob_source::BlobSource;

/// All of a file, at the rate of the models.
const WHOLE: Stretch = Stretch {
    offset_secs: 0.0,
    duration_secs: None,
    rate_hz: Some(SAMPLE_RATE_HZ),
    max_secs: 24.0 * 3600.0,
};

/// Samples of a block: most clips are one.
const BLOCK_SAMPLES: usize = 30 * SAMPLE_RATE_HZ as usize;

/// Serves the page's [`Request::OpenFile`] and [`Request::NextBlock`].
pub fn start() {
    console_error_panic_hook::set_once();
    let Some(channel) = Channel::of_worker() else {
        // Opened as a page's script by mistake: there is nobody to answer.
        return;
    };
    channel.report_panics();
    let reader = Reader {
        channel: channel.clone(),
        blocks: RefCell::default(),
        ahead: RefCell::default(),
    };
    channel.on_message(move |incoming| reader.serve(incoming));
    let protocol = PROTOCOL_VERSION;
    channel.post(NO_REQUEST, &Response::ReaderReady { protocol }, None);
}

struct Reader {
    channel: Channel,
    /// The open file.
    blocks: RefCell<Option<AudioBlocks<'static>>>,
    /// What was decoded beyond the last block that was given out.
    ahead: RefCell<Vec<f32>>,
}

impl Reader {
    fn serve(&self, mut incoming: Incoming) {
        let id = incoming.id;
        let served = match (incoming.request, incoming.file) {
            (Request::OpenFile, Some(file)) => self.open(id, BlobSource::new(file)),
            (Request::NextBlock, _) => self.next_block(id, incoming.payload.pop()),
            _ => Err(AudioFileError::Unsupported(
                "the reader of audio files does nothing else".to_owned(),
            )),
        };
        if let Err(error) = served {
            self.blocks.take();
            let kind = match error {
                AudioFileError::Unrecognised
                | AudioFileError::Unsupported(_)
                | AudioFileError::ForeignCodec { .. } => FailureKind::UnknownAudio,
                _ => FailureKind::BadAudio,
            };
            let message = error.to_string();
            let at = None;
            self.channel
                .post(id, &Response::Failed { kind, message, at }, None);
        }
    }

    fn open(&self, id: u32, source: BlobSource) -> Result<(), AudioFileError> {
        let blocks = AudioBlocks::open(source, &WHOLE)?;
        let response = Response::Opened {
            sample_rate_hz: blocks.sample_rate_hz(),
            expected_secs: blocks.expected_secs(),
        };
        self.blocks.replace(Some(blocks));
        self.ahead.take();
        self.channel.post(id, &response, None);
        Ok(())
    }

    fn next_block(&self, id: u32, spare: Option<ArrayBuffer>) -> Result<(), AudioFileError> {
        let mut open = self.blocks.borrow_mut();
        let Some(blocks) = open.as_mut() else {
            return Err(AudioFileError::Unsupported("no file is open".to_owned()));
        };
        let mut samples = self.ahead.take();
        let mut is_last = false;
        while samples.len() < BLOCK_SAMPLES {
            match blocks.next_block()? {
                Some(block) => samples.extend_from_slice(block),
                None => {
                    is_last = true;
                    break;
                }
            }
        }
        let end = samples.len().min(BLOCK_SAMPLES);
        if is_last && end < samples.len() {
            // What is left makes a block of its own.
            is_last = false;
        }
        let notices = if is_last {
            blocks.notices().iter().map(ToString::to_string).collect()
        } else {
            Vec::new()
        };
        let response = Response::Block { is_last, notices };
        let payload = buffer_of(&samples[..end], spare);
        self.channel.post_buffer(id, &response, Some(&payload));
        samples.drain(..end);
        self.ahead.replace(samples);
        Ok(())
    }
}
