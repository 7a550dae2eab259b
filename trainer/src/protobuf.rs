//! Protobuf's wire format, as far as ONNX files and TensorBoard's events need it.

/// A message's bytes so far.
#[derive(Default, Clone)]
pub(crate) struct Message(Vec<u8>);

/// Wire types.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FOUR_BYTES: u64 = 5;

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    pub fn int(&mut self, field: u64, value: i64) {
        self.key(field, VARINT);
        self.varint(value.cast_unsigned());
    }

    pub fn double(&mut self, field: u64, value: f64) {
        self.key(field, EIGHT_BYTES);
        self.0.extend(value.to_le_bytes());
    }

    pub fn float(&mut self, field: u64, value: f32) {
        self.key(field, FOUR_BYTES);
        self.0.extend(value.to_le_bytes());
    }

    pub fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, LENGTH_DELIMITED);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    pub fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    pub fn message(&mut self, field: u64, value: &Self) {
        self.bytes(field, &value.0);
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_texts_and_messages_are_encoded_as_the_protobuf_guide_shows() {
        // The examples of protobuf's encoding guide: field 1 is 150; field 2 is "testing"; field 3
        // holds the first message.
        let mut first = Message::default();
        first.int(1, 150);
        assert_eq!(first.0, [0x08, 0x96, 0x01]);
        let mut second = Message::default();
        second.text(2, "testing");
        assert_eq!(second.0, [b"\x12\x07".as_slice(), b"testing"].concat());
        let mut third = Message::default();
        third.message(3, &first);
        assert_eq!(third.0, [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn negative_integers_take_ten_bytes_and_floats_four() {
        let mut message = Message::default();
        message.int(1, -2);
        let mut expected = vec![0x08, 0xfe];
        expected.extend([0xff; 8]);
        expected.push(0x01);
        assert_eq!(message.0, expected);
        let mut message = Message::default();
        message.float(2, 1.0);
        assert_eq!(message.0, [0x15, 0x00, 0x00, 0x80, 0x3f]);
    }
}
