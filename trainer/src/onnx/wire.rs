//! The messages of `onnx.proto3` that a model file needs, in protobuf's wire format.
//!
//! Field numbers are those of the ONNX specification (onnx/onnx, `onnx/onnx.proto3`).

/// A message's bytes so far.
#[derive(Default, Clone)]
pub(super) struct Message(Vec<u8>);

/// Wire types of protobuf.
const VARINT: u64 = 0;
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

    pub(super) fn int(&mut self, field: u64, value: i64) {
        self.key(field, VARINT);
        self.varint(value.cast_unsigned());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, FOUR_BYTES);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, LENGTH_DELIMITED);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    pub(super) fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    pub(super) fn message(&mut self, field: u64, value: &Self) {
        self.bytes(field, &value.0);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementType {
    Float = 1,
    Int8 = 3,
    Int64 = 7,
}

/// `AttributeProto` of the kinds that are used.
#[derive(Debug, Clone, Copy)]
pub(super) enum Attribute<'a> {
    Int(&'static str, i64),
    Float(&'static str, f32),
    Ints(&'static str, &'a [i64]),
}

impl Attribute<'_> {
    fn message(self) -> Message {
        const TYPE: u64 = 20;
        let mut message = Message::default();
        match self {
            Self::Int(name, value) => {
                message.text(1, name);
                message.int(3, value);
                message.int(TYPE, 2);
            }
            Self::Float(name, value) => {
                message.text(1, name);
                message.float(2, value);
                message.int(TYPE, 1);
            }
            Self::Ints(name, values) => {
                message.text(1, name);
                values.iter().for_each(|&value| message.int(8, value));
                message.int(TYPE, 7);
            }
        }
        message
    }
}

/// `NodeProto`, without a name of its own.
pub(super) fn node(
    op: &str,
    inputs: &[&str],
    outputs: &[String],
    attributes: &[Attribute<'_>],
) -> Message {
    let mut message = Message::default();
    inputs.iter().for_each(|input| message.text(1, input));
    outputs.iter().for_each(|output| message.text(2, output));
    message.text(4, op);
    for attribute in attributes {
        message.message(5, &attribute.message());
    }
    message
}

/// `TensorProto` of little-endian, row-major values.
pub(super) fn tensor(
    name: &str,
    element_type: ElementType,
    shape: &[usize],
    raw: &[u8],
) -> Message {
    let mut message = Message::default();
    shape.iter().for_each(|&size| message.int(1, size as i64));
    message.int(2, element_type as i64);
    message.text(8, name);
    message.bytes(9, raw);
    message
}

/// One axis of an input or output.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dimension {
    Fixed(usize),
    /// Known when the graph runs; equal names are equal sizes.
    Named(&'static str),
}

/// `ValueInfoProto` of a tensor.
pub(super) fn value_info(name: &str, element_type: ElementType, shape: &[Dimension]) -> Message {
    let mut dimensions = Message::default();
    for dimension in shape {
        let mut message = Message::default();
        match *dimension {
            Dimension::Fixed(size) => message.int(1, size as i64),
            Dimension::Named(name) => message.text(2, name),
        }
        dimensions.message(1, &message);
    }
    let mut tensor_type = Message::default();
    tensor_type.int(1, element_type as i64);
    tensor_type.message(2, &dimensions);
    let mut value_type = Message::default();
    value_type.message(1, &tensor_type);
    let mut message = Message::default();
    message.text(1, name);
    message.message(2, &value_type);
    message
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
