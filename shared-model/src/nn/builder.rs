//! The one way in which layers get their weights.

use std::sync::Arc;

use burn::{
    module::{Param, ParamId},
    prelude::*,
};

use super::host;
use crate::{
    kernels::int8::Int8Matrix,
    weights::{Init, WeightError, WeightSource, name_hash},
};

/// Hands a layer its weights by name.
pub(crate) struct Builder<'a> {
    source: &'a mut dyn WeightSource,
    device: &'a Device,
    path: String,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(source: &'a mut dyn WeightSource, device: &'a Device) -> Self {
        Self {
            source,
            device,
            path: String::new(),
        }
    }

    /// A builder whose names start with `name` and a dot.
    pub(crate) fn scope(&mut self, name: impl std::fmt::Display) -> Builder<'_> {
        Builder {
            path: self.name(name),
            source: &mut *self.source,
            device: self.device,
        }
    }

    /// The full name of `name` in this scope.
    pub(crate) fn name(&self, name: impl std::fmt::Display) -> String {
        if self.path.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// The name of this scope.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// A trainable weight. Its identity derives from its name, so that the state of an optimizer
    /// that was saved by one process fits the model of the next.
    pub(crate) fn weight<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        init: Init,
    ) -> Result<Param<Tensor<D>>, WeightError> {
        let name = self.name(name);
        let values = self.source.take(&name, &shape, init)?;
        let tensor = host::tensor(values, shape, self.device);
        let mut param = Param::from_tensor(tensor);
        param.id = ParamId::from(name_hash(&name));
        Ok(param)
    }

    /// The integers that a weight came as, if it did.
    pub(crate) fn int8(&self, name: &str) -> Option<Arc<Int8Matrix>> {
        self.source.int8(&self.name(name))
    }

    /// Values that are saved with the weights but never trained.
    pub(crate) fn buffer(
        &mut self,
        name: &str,
        len: usize,
        init: Init,
    ) -> Result<Vec<f32>, WeightError> {
        let name = self.name(name);
        self.source.take(&name, &[len], init)
    }

    /// As [`Self::buffer`], for variances and deviations.
    pub(crate) fn non_negative_buffer(
        &mut self,
        name: &str,
        len: usize,
        init: Init,
    ) -> Result<Vec<f32>, WeightError> {
        let values = self.buffer(name, len, init)?;
        match values.iter().find(|value| **value < 0.0) {
            Some(&value) => Err(WeightError::Negative {
                name: self.name(name),
                value,
            }),
            None => Ok(values),
        }
    }
}
