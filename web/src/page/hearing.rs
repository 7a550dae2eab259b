//! Lets all lanes hear one recording.

use std::{cell::RefCell, rc::Rc};

use super::{
    audio_reader::{AudioReader, OpenFile},
    decoding::Decoding,
    lane::Lane,
    lanes::{self, Job},
    recording::{MicrophoneSound, Recording, Sound},
    tape::{Block, Tape},
    turn::Turn,
    worker_client::Failure,
};

/// Owns the reader of audio files.
#[derive(Default)]
pub struct Hearing {
    reader: AudioReader,
}

impl Hearing {
    /// Until the last lane is done. What should be known of the file, as ends of sentences.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn hear(
        &self,
        recording: &Recording,
        racing: Vec<Rc<Lane>>,
        decoding: &Rc<Decoding>,
        turn: &Turn,
    ) -> Result<Vec<String>, Failure> {
        let takers: Vec<usize> = racing.iter().map(|lane| lane.number).collect();
        let notices = Rc::new(RefCell::new(Vec::new()));
        let (tape, winding): (Rc<Tape>, Job) = match &recording.sound {
            Sound::Microphone(sound) => {
                let tape = Rc::new(Tape::new(
                    sound.sample_rate_hz,
                    Some(sound.kept_secs()),
                    &takers,
                ));
                (tape.clone(), Box::pin(wind(tape, sound.clone())))
            }
            Sound::File(file) => {
                let open = self.reader.open(file, turn).await?;
                // Another file may be open by now, whose first block is not for these lanes.
                if !turn.is_current() {
                    return Ok(Vec::new());
                }
                // The first block tells a file that cannot be read before any lane begins.
                let first = open.next_block(None).await?;
                let tape = Tape::new(open.sample_rate_hz, open.expected_secs, &takers);
                let tape = Rc::new(tape);
                let (to, turn, notices) = (tape.clone(), turn.clone(), notices.clone());
                let reading = async move {
                    *notices.borrow_mut() = read(&open, first, &to, &turn).await;
                };
                (tape, Box::pin(reading))
            }
        };
        if !turn.is_current() {
            return Ok(Vec::new());
        }
        let mut jobs = vec![winding];
        for lane in racing {
            let (tape, turn) = (tape.clone(), turn.clone());
            let (truth, decoding) = (recording.truth.clone(), decoding.clone());
            jobs.push(Box::pin(async move {
                lane.hear(&tape, truth.as_deref(), &decoding, &turn).await;
            }));
        }
        lanes::all(jobs).await;
        Ok(notices.take())
    }
}

/// Reads a file onto a tape; what was noticed of it.
async fn read(
    open: &OpenFile,
    first: (Block, Vec<String>),
    tape: &Tape,
    turn: &Turn,
) -> Vec<String> {
    let (mut block, mut notices) = first;
    loop {
        let is_last = block.is_last;
        if !tape.push(block).await || is_last || !turn.is_current() {
            return notices;
        }
        match open.next_block(tape.take_spare()).await {
            Ok(next) => (block, notices) = next,
            Err(failure) => {
                let message = failure.message.clone();
                tape.fail(failure);
                return vec![message];
            }
        }
    }
}

/// Puts what the microphone heard onto a tape.
async fn wind(tape: Rc<Tape>, sound: Rc<MicrophoneSound>) {
    let samples = sound.samples_from(0);
    let is_last = true;
    tape.push(Block { samples, is_last }).await;
}
