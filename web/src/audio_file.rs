//! The worker that decodes audio files, by the same decoders as the trainer: a file gives the same
//! samples, and so the same words, in the browser and natively. It reads the file where it lies and
//! gives it out block by block, so that memory does not grow with the file.

mod blob_source;

use std::cell::RefCell;

use shared_model::{
    audio::SAMPLE_RATE_HZ,
    audio_file::{AudioBlocks, AudioFileError, Stretch},
};

use crate::{
    protocol::{FailureKind, NO_REQUEST, PROTOCOL_VERSION, Request, Response},
    worker_channel::{Channel, Incoming},
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
    };
    channel.on_message(move |incoming| reader.serve(incoming));
    let protocol = PROTOCOL_VERSION;
    channel.post(NO_REQUEST, &Response::ReaderReady { protocol }, None);
}

struct Reader {
    channel: Channel,
    /// The open file.
    blocks: RefCell<Option<AudioBlocks<'static>>>,
}

impl Reader {
    fn serve(&self, incoming: Incoming) {
        let id = incoming.id;
        let served = match (incoming.request, incoming.file) {
            (Request::OpenFile, Some(file)) => self.open(id, BlobSource::new(file)),
            (Request::NextBlock, _) => self.next_block(id),
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
        self.channel.post(id, &response, None);
        Ok(())
    }

    fn next_block(&self, id: u32) -> Result<(), AudioFileError> {
        let mut open = self.blocks.borrow_mut();
        let Some(blocks) = open.as_mut() else {
            return Err(AudioFileError::Unsupported("no file is open".to_owned()));
        };
        let mut samples = Vec::with_capacity(BLOCK_SAMPLES);
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
        let notices = if is_last {
            blocks.notices().iter().map(ToString::to_string).collect()
        } else {
            Vec::new()
        };
        let response = Response::Block { is_last, notices };
        self.channel.post(id, &response, Some(&samples));
        Ok(())
    }
}
