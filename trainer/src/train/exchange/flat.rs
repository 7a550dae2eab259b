//! Tensors of a network as plain numbers, in the order of its parameters, and back.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    optim::GradientsParams,
    prelude::*,
};

use crate::{device::read_back, train::network::TrainableNetwork};

/// The numbers of each parameter, or of its gradient; absent where there is none.
pub(in crate::train) type Flat = Vec<Option<Vec<f32>>>;

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    read_back(tensor).try_into_vec().unwrap_or_default()
}

/// The numbers of a network's gradients.
pub(in crate::train) fn flat(network: &TrainableNetwork, gradients: GradientsParams) -> Flat {
    struct Reader {
        gradients: GradientsParams,
        flat: Flat,
    }
    impl ModuleVisitor for Reader {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.gradients.remove::<D>(param.id);
            self.flat.push(gradient.map(numbers));
        }
    }
    let flat = vec![];
    let mut reader = Reader { gradients, flat };
    network.visit(&mut reader);
    reader.flat
}

/// Gradients of these numbers, on `device` (without autodiff).
pub(super) fn gradients(
    network: &TrainableNetwork,
    flat: Flat,
    device: &Device,
) -> GradientsParams {
    struct Writer<'a> {
        numbers: std::vec::IntoIter<Option<Vec<f32>>>,
        gradients: GradientsParams,
        device: &'a Device,
    }
    impl ModuleVisitor for Writer<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(numbers) = self.numbers.next().flatten() {
                let data = TensorData::new(numbers, param.val().dims());
                let gradient = Tensor::<D>::from_data(data, self.device);
                self.gradients.register(param.id, gradient);
            }
        }
    }
    let mut writer = Writer {
        numbers: flat.into_iter(),
        gradients: GradientsParams::new(),
        device,
    };
    network.visit(&mut writer);
    writer.gradients
}

/// The numbers of all weights of a network.
pub(super) fn values(network: &TrainableNetwork) -> Vec<Vec<f32>> {
    struct Reader(Vec<Vec<f32>>);
    impl ModuleVisitor for Reader {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(numbers(param.val().inner()));
        }
    }
    let mut reader = Reader(vec![]);
    network.visit(&mut reader);
    reader.0
}

/// Puts numbers in the place of the weights that have some.
pub(super) fn replace(network: &mut TrainableNetwork, values: Flat) {
    struct Writer(std::vec::IntoIter<Option<Vec<f32>>>);
    impl ModuleMapper for Writer {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(numbers) = self.0.next().flatten() else {
                return param;
            };
            let (id, old, mapper) = param.consume();
            let device = old.device().inner();
            let value = Tensor::<D>::from_data(TensorData::new(numbers, old.dims()), &device);
            let asks = old.is_require_grad();
            // A fresh tensor would no longer ask for its gradient.
            let value = Tensor::from_inner(value).set_require_grad(asks);
            Param::from_mapped_value(id, value, mapper)
        }
    }
    *network = network.clone().map(&mut Writer(values.into_iter()));
}
