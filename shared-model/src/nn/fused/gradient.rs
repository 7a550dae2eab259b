//! The kernels in autodiff.

use std::sync::Arc;

use burn::backend::{
    Autodiff, Flex, TensorMetadata,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{FusedOps, Inputs, Kept, Kernel, Primitive, slice, tensor};

#[derive(Debug)]
struct KernelStep;

/// What a kernel's gradient is computed from.
#[derive(Debug, Clone)]
struct State {
    inputs: Inputs,
    kept: Arc<Kept>,
    kernel: Arc<dyn Kernel>,
}

impl<const N: usize> Backward<Flex, N> for KernelStep {
    type State = State;

    fn backward(self, ops: Ops<State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let State {
            inputs,
            kept,
            kernel,
        } = ops.state;
        let (x, weights) = inputs.slices();
        let want_input = matches!(ops.parents.first(), Some(Some(_)));
        let (dx, d_weights) = kernel.backward(x, &weights, &kept, slice(&gradient), want_input);
        let found = std::iter::once(dx).chain(d_weights);
        let operands = std::iter::once(&inputs.x).chain(&inputs.weights);
        for ((node, values), operand) in ops.parents.iter().zip(found).zip(operands) {
            if let Some(node) = node {
                let shape = operand.shape();
                grads.register::<Flex>(node.id, tensor(values, shape.as_slice()));
            }
        }
    }
}

/// An activation or weight in autodiff.
type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

fn run<C: CheckpointStrategy, const N: usize>(
    operands: [Tracked<C>; N],
    kernel: Arc<dyn Kernel>,
) -> Tracked<C> {
    let primitives: Vec<Primitive> = operands.iter().map(|o| o.primitive().clone()).collect();
    let (x, weights) = match primitives.split_first() {
        Some((x, weights)) => (x.clone(), weights),
        None => unreachable!("a kernel has an input"),
    };
    let inputs = Inputs::new(x, weights);
    let nodes = operands.map(|operand| operand.node());
    match KernelStep.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (y, kept) = inputs.forward(&*kernel, true);
            let state = State {
                inputs,
                kept: Arc::new(kept),
                kernel,
            };
            prep.finish(state, y)
        }
        OpsKind::UnTracked(prep) => prep.finish(inputs.forward(&*kernel, false).0),
    }
}

impl<C: CheckpointStrategy> FusedOps for Autodiff<Flex, C> {
    fn with_2(x: Tracked<C>, a: Tracked<C>, b: Tracked<C>, kernel: Arc<dyn Kernel>) -> Tracked<C> {
        run::<C, 3>([x, a, b], kernel)
    }

    fn with_6(
        x: Tracked<C>,
        a: Tracked<C>,
        b: Tracked<C>,
        c: Tracked<C>,
        d: Tracked<C>,
        e: Tracked<C>,
        f: Tracked<C>,
        kernel: Arc<dyn Kernel>,
    ) -> Tracked<C> {
        run::<C, 7>([x, a, b, c, d, e, f], kernel)
    }

    fn with_10(
        x: Tracked<C>,
        a: Tracked<C>,
        b: Tracked<C>,
        c: Tracked<C>,
        d: Tracked<C>,
        e: Tracked<C>,
        f: Tracked<C>,
        g: Tracked<C>,
        h: Tracked<C>,
        i: Tracked<C>,
        j: Tracked<C>,
        kernel: Arc<dyn Kernel>,
    ) -> Tracked<C> {
        run::<C, 11>([x, a, b, c, d, e, f, g, h, i, j], kernel)
    }
}
