//! TensorBoard event files: TFRecord framing around `Event` messages
//! (tensorflow/core/util/event.proto: 1 wall_time double, 2 step int64, 3 file_version string,
//! 5 summary; summary.proto: Summary 1 value; Value 1 tag string, 2 simple_value float).

use std::fs::{File, create_dir_all};
use std::io::{self, Write};
use std::path::Path;

use crc::{CRC_32_ISCSI, Crc};

use super::{EventSink, position, scalars};
use crate::{event::TrainEvent, protobuf::Message};

/// Appends the numbers of events to a TensorBoard file.
pub struct TensorBoard {
    file: File,
}

impl TensorBoard {
    /// A new event file in `folder`; TensorBoard reads all files of a folder as one run.
    ///
    /// # Errors
    /// A folder or file that cannot be made.
    pub fn create(folder: &Path, unix_secs: f64) -> io::Result<Self> {
        create_dir_all(folder)?;
        let pid = std::process::id();
        let name = format!("events.out.tfevents.{:010}.fledge.{pid}", unix_secs as u64);
        let mut file = File::create(folder.join(name))?;
        let mut event = Message::default();
        event.double(1, unix_secs);
        event.text(3, "brain.Event:2");
        file.write_all(&record(&event.into_bytes()))?;
        Ok(Self { file })
    }
}

impl EventSink for TensorBoard {
    fn event(&mut self, unix_secs: f64, event: &TrainEvent) -> io::Result<()> {
        let Some((_, step, _)) = position(event) else {
            return Ok(());
        };
        let mut summary = Message::default();
        for (tag, value) in scalars(event) {
            let mut entry = Message::default();
            entry.text(1, &tag);
            entry.float(2, value as f32);
            summary.message(1, &entry);
        }
        let mut message = Message::default();
        message.double(1, unix_secs);
        message.int(2, step as i64);
        message.message(5, &summary);
        self.file.write_all(&record(&message.into_bytes()))
    }
}

/// TFRecord: length, checksum of the length, data, checksum of the data; little endian.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked(&length).to_le_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(&masked(data).to_le_bytes());
    out
}

/// CRC-32C in the masked form of TFRecord: a checksum of data that itself holds checksums stays
/// strong.
fn masked(bytes: &[u8]) -> u32 {
    const CRC_32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
    CRC_32C
        .checksum(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::report::samples;

    /// One decoded protobuf field: number and raw payload (varints as 8 bytes).
    fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let byte = bytes[0];
                *bytes = &bytes[1..];
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            value
        }
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let size = match key & 7 {
                0 => {
                    let value = varint(&mut bytes);
                    found.push((key >> 3, value.to_le_bytes().to_vec()));
                    continue;
                }
                1 => 8,
                2 => varint(&mut bytes) as usize,
                5 => 4,
                other => panic!("wire type {other}"),
            };
            found.push((key >> 3, bytes[..size].to_vec()));
            bytes = &bytes[size..];
        }
        found
    }

    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let crc = |range: &[u8]| masked(range).to_le_bytes();
            assert_eq!(bytes[8..12], crc(&bytes[..8]));
            let data = &bytes[12..12 + length];
            assert_eq!(bytes[12 + length..16 + length], crc(data));
            found.push(data.to_vec());
            bytes = &bytes[16 + length..];
        }
        found
    }

    #[test]
    fn checksums_are_those_of_tensorflows_own_files() {
        // Every event file that TensorFlow writes begins with a message of 24 bytes, so its first
        // twelve bytes are always these.
        let begin = [0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22];
        assert_eq!(record(&[0; 24])[..12], begin);
    }

    #[test]
    fn the_file_decodes_to_the_numbers_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = TensorBoard::create(folder.path(), 1000.25).unwrap();
        log.event(1001.5, &samples::step(300)).unwrap();
        let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap();
        let bytes = std::fs::read(path.unwrap().path()).unwrap();
        let records = records(&bytes);
        assert_eq!(records.len(), 2);
        let version = fields(&records[0]);
        assert_eq!(version[0], (1, 1000.25_f64.to_le_bytes().to_vec()));
        assert_eq!(version[1], (3, b"brain.Event:2".to_vec()));
        let event = fields(&records[1]);
        assert_eq!(event[1], (2, 300_u64.to_le_bytes().to_vec()));
        let values = fields(&event[2].1);
        let first = fields(&values[0].1);
        assert_eq!(first[0].1, b"distill/loss/small/kl");
        assert_eq!(first[1], (2, 0.5_f32.to_le_bytes().to_vec()));
        assert_eq!(values.len(), scalars(&samples::step(300)).len());
    }
}
