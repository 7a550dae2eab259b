//! An ONNX graph under construction, whose values are written like numbers: `x * mask + bias`.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::{Add, Div, Mul, Sub};

use super::wire::{Attribute, Dimension, ElementType, node, tensor, value_info};
use crate::protobuf::Message;

/// The version of the operators: the first with LayerNormalization.
const OPSET: i64 = 17;
/// The format of the file that belongs to it.
const IR_VERSION: i64 = 8;

/// Nodes, constants, inputs and outputs so far.
#[derive(Default)]
pub(super) struct Graph(RefCell<Parts>);

#[derive(Default)]
struct Parts {
    names: Vec<String>,
    nodes: Vec<Message>,
    constants: Vec<Message>,
    constant_names: HashSet<String>,
    inputs: Vec<Message>,
    outputs: Vec<Message>,
}

/// A tensor of the graph.
#[derive(Clone, Copy)]
pub(super) struct Value<'g> {
    graph: &'g Graph,
    index: usize,
}

impl Graph {
    fn value(&self, name: String) -> Value<'_> {
        let names = &mut self.0.borrow_mut().names;
        names.push(name);
        Value {
            graph: self,
            index: names.len() - 1,
        }
    }

    fn name(&self, value: Value<'_>) -> String {
        self.0.borrow().names[value.index].clone()
    }

    /// What the graph is given, in the order of the calls.
    pub(super) fn input(
        &self,
        name: &str,
        element_type: ElementType,
        shape: &[Dimension],
    ) -> Value<'_> {
        let info = value_info(name, element_type, shape);
        self.0.borrow_mut().inputs.push(info);
        self.value(name.to_owned())
    }

    /// What the graph gives, in the order of the calls.
    pub(super) fn output(
        &self,
        name: &str,
        value: Value<'_>,
        element_type: ElementType,
        shape: &[Dimension],
    ) {
        let node = node("Identity", &[&self.name(value)], &[name.to_owned()], &[]);
        let parts = &mut self.0.borrow_mut();
        parts.nodes.push(node);
        parts.outputs.push(value_info(name, element_type, shape));
    }

    /// An operator's outputs.
    pub(super) fn operators(
        &self,
        operator: &str,
        inputs: &[Value<'_>],
        num_outputs: usize,
        attributes: &[Attribute<'_>],
    ) -> Vec<Value<'_>> {
        let first = self.0.borrow().names.len();
        // Short: a graph has hundreds of values, and the file counts in kilobytes.
        let outputs: Vec<String> = (first..first + num_outputs)
            .map(|n| format!("v{n}"))
            .collect();
        let inputs: Vec<String> = inputs.iter().map(|&input| self.name(input)).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let node = node(operator, &inputs, &outputs, attributes);
        self.0.borrow_mut().nodes.push(node);
        outputs.into_iter().map(|name| self.value(name)).collect()
    }

    /// The output of an operator that has one.
    pub(super) fn operator(
        &self,
        operator: &str,
        inputs: &[Value<'_>],
        attributes: &[Attribute<'_>],
    ) -> Value<'_> {
        self.operators(operator, inputs, 1, attributes)[0]
    }

    /// A constant tensor; one name is one constant.
    fn constant(
        &self,
        name: String,
        element_type: ElementType,
        shape: &[usize],
        raw: &[u8],
    ) -> Value<'_> {
        let parts = &mut *self.0.borrow_mut();
        if parts.constant_names.insert(name.clone()) {
            parts
                .constants
                .push(tensor(&name, element_type, shape, raw));
        }
        parts.names.push(name);
        Value {
            graph: self,
            index: parts.names.len() - 1,
        }
    }

    pub(super) fn floats(&self, name: &str, shape: &[usize], values: &[f32]) -> Value<'_> {
        let raw: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.constant(name.to_owned(), ElementType::Float, shape, &raw)
    }

    pub(super) fn int8s(&self, name: &str, shape: &[usize], values: &[i8]) -> Value<'_> {
        let raw: Vec<u8> = values.iter().map(|value| value.cast_unsigned()).collect();
        self.constant(name.to_owned(), ElementType::Int8, shape, &raw)
    }

    /// Indices or other integers, `[values.len()]`, under a name of their own.
    pub(super) fn indices(&self, name: &str, values: &[i64]) -> Value<'_> {
        self.integers(name.to_owned(), &[values.len()], values)
    }

    /// A number that every element of another tensor is combined with.
    pub(super) fn float(&self, value: f32) -> Value<'_> {
        let raw = value.to_le_bytes();
        self.constant(format!("{value:e}"), ElementType::Float, &[], &raw)
    }

    /// A whole number without axes.
    pub(super) fn int(&self, value: i64) -> Value<'_> {
        self.integers(format!("{value}"), &[], &[value])
    }

    /// Whole numbers, `[values.len()]`, as shapes and axes are given.
    pub(super) fn ints(&self, values: &[i64]) -> Value<'_> {
        self.integers(format!("{values:?}"), &[values.len()], values)
    }

    fn integers(&self, name: String, shape: &[usize], values: &[i64]) -> Value<'_> {
        let raw: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.constant(name, ElementType::Int64, shape, &raw)
    }

    /// `[count]`: 0, 1, 2, ... `count` has no axes.
    pub(super) fn range(&self, count: Value<'_>) -> Value<'_> {
        self.operator("Range", &[self.int(0), count, self.int(1)], &[])
    }

    pub(super) fn concat(&self, values: &[Value<'_>], axis: i64) -> Value<'_> {
        self.operator("Concat", values, &[Attribute::Int("axis", axis)])
    }

    /// `yes` where `condition` holds, else `no`.
    pub(super) fn select(&self, condition: Value<'_>, yes: Value<'_>, no: Value<'_>) -> Value<'_> {
        self.operator("Where", &[condition, yes, no], &[])
    }

    /// The bytes of the model file. `metadata`: keys and values that readers may show.
    pub(super) fn into_model(self, metadata: &[(&str, String)]) -> Vec<u8> {
        let parts = self.0.into_inner();
        let mut graph = Message::default();
        parts.nodes.iter().for_each(|node| graph.message(1, node));
        graph.text(2, "fledge");
        parts
            .constants
            .iter()
            .for_each(|constant| graph.message(5, constant));
        parts
            .inputs
            .iter()
            .for_each(|input| graph.message(11, input));
        parts
            .outputs
            .iter()
            .for_each(|output| graph.message(12, output));
        let mut opset = Message::default();
        opset.text(1, "");
        opset.int(2, OPSET);
        let mut model = Message::default();
        model.int(1, IR_VERSION);
        model.text(2, "fledge");
        model.text(3, env!("CARGO_PKG_VERSION"));
        model.message(7, &graph);
        model.message(8, &opset);
        for (key, value) in metadata {
            let mut entry = Message::default();
            entry.text(1, key);
            entry.text(2, value);
            model.message(14, &entry);
        }
        model.into_bytes()
    }
}

impl<'g> Value<'g> {
    pub(super) fn graph(self) -> &'g Graph {
        self.graph
    }

    /// An operator of this tensor alone.
    pub(super) fn apply(self, operator: &str) -> Self {
        self.graph.operator(operator, &[self], &[])
    }

    /// An operator of this tensor and another.
    pub(super) fn with(self, operator: &str, other: Self) -> Self {
        self.graph.operator(operator, &[self, other], &[])
    }

    pub(super) fn matmul(self, right: Self) -> Self {
        self.with("MatMul", right)
    }

    pub(super) fn to(self, element_type: ElementType) -> Self {
        let to = [Attribute::Int("to", element_type as i64)];
        self.graph.operator("Cast", &[self], &to)
    }

    pub(super) fn transpose(self, order: &[i64]) -> Self {
        let order = [Attribute::Ints("perm", order)];
        self.graph.operator("Transpose", &[self], &order)
    }

    /// 0 keeps an axis, -1 is what is left.
    pub(super) fn reshape(self, shape: &[i64]) -> Self {
        self.with("Reshape", self.graph.ints(shape))
    }

    /// A new axis of size 1.
    pub(super) fn unsqueeze(self, axis: i64) -> Self {
        self.with("Unsqueeze", self.graph.ints(&[axis]))
    }

    /// `N` parts of these sizes.
    pub(super) fn split<const N: usize>(self, sizes: [usize; N], axis: i64) -> [Self; N] {
        let sizes = self.graph.ints(&sizes.map(|size| size as i64));
        let axis = [Attribute::Int("axis", axis)];
        let parts = self.graph.operators("Split", &[self, sizes], N, &axis);
        std::array::from_fn(|index| parts[index])
    }

    /// Sum over an axis, which stays with size 1.
    pub(super) fn sum(self, axis: i64) -> Self {
        let keep = [Attribute::Int("keepdims", 1)];
        self.graph
            .operator("ReduceSum", &[self, self.graph.ints(&[axis])], &keep)
    }

    /// Mean over an axis, which stays with size 1.
    pub(super) fn mean(self, axis: i64) -> Self {
        let attributes = [
            Attribute::Ints("axes", &[axis]),
            Attribute::Int("keepdims", 1),
        ];
        self.graph.operator("ReduceMean", &[self], &attributes)
    }

    /// The size of an axis, without axes.
    pub(super) fn size(self, axis: i64) -> Self {
        let first = [Attribute::Int("axis", 0)];
        let inputs = [self.apply("Shape"), self.graph.int(axis)];
        self.graph.operator("Gather", &inputs, &first)
    }

    pub(super) fn softmax(self) -> Self {
        self.graph
            .operator("Softmax", &[self], &[Attribute::Int("axis", -1)])
    }

    pub(super) fn log_softmax(self) -> Self {
        self.graph
            .operator("LogSoftmax", &[self], &[Attribute::Int("axis", -1)])
    }
}

macro_rules! operators {
    ($($operation:ident $method:ident $name:literal),*) => { $(
        impl $operation for Value<'_> {
            type Output = Self;
            fn $method(self, other: Self) -> Self {
                self.with($name, other)
            }
        }
    )* };
}
operators!(Add add "Add", Sub sub "Sub", Mul mul "Mul", Div div "Div");
