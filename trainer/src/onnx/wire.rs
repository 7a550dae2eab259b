//! The messages of `onnx.proto3` that a model file needs, written as protobuf messages.
//!
//! Field numbers are those of the ONNX specification (onnx/onnx, `onnx/onnx.proto3`).

use crate::protobuf::Message;

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
