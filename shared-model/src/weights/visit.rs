//! Every parameter of a network with its name.

use burn::{
    module::{Module, ModuleVisitor, Param},
    prelude::*,
};

/// Is shown a network's parameters by [`visit_named`].
pub trait NamedVisitor {
    /// `name`: as in [`super::Weights`], `encoder.blocks.0.ffn1.up.weight`.
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>);
}

/// Shows `visitor` every trainable parameter of `module` in the order of its parts.
pub fn visit_named(module: &impl Module, visitor: &mut impl NamedVisitor) {
    let path = vec![];
    module.visit(&mut PathVisitor { path, visitor });
}

struct PathVisitor<'a, V> {
    path: Vec<String>,
    visitor: &'a mut V,
}

impl<V: NamedVisitor> ModuleVisitor for PathVisitor<'_, V> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.visitor.visit(&self.path.join("."), param);
    }
}
