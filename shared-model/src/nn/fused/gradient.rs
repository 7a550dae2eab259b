//! The fused operations in autodiff.

use burn::backend::{
    Autodiff, Flex,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use super::{FusedOps, Primitive, contiguous, gradient_kernels, kernels, slice, tensor};

#[derive(Debug)]
struct Silu;

impl Backward<Flex, 1> for Silu {
    type State = NodeId;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [node] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x, shape) = contiguous(&checkpointer.retrieve_node_output::<Primitive>(ops.state));
        if let Some(node) = node {
            let dx = gradient_kernels::silu_backward(slice(&x), slice(&grad));
            grads.register::<Flex>(node.id, tensor(dx, &shape));
        }
    }
}

#[derive(Debug)]
struct Glu;

impl Backward<Flex, 1> for Glu {
    type State = NodeId;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [node] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x, shape) = contiguous(&checkpointer.retrieve_node_output::<Primitive>(ops.state));
        if let Some(node) = node {
            let channels = shape[shape.len() - 1] / 2;
            let dx = gradient_kernels::glu_backward(slice(&x), slice(&grad), channels);
            grads.register::<Flex>(node.id, tensor(dx, &shape));
        }
    }
}

#[derive(Debug)]
struct Depthwise;

impl Backward<Flex, 3> for Depthwise {
    /// Input and weight.
    type State = (NodeId, NodeId);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [node_x, node_weight, node_bias] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x, shape) = contiguous(&checkpointer.retrieve_node_output::<Primitive>(ops.state.0));
        let (weight, weight_shape) =
            contiguous(&checkpointer.retrieve_node_output::<Primitive>(ops.state.1));
        let (kernel, channels) = (weight_shape[0], weight_shape[1]);
        let size = kernels::Size {
            time: shape[1],
            channels,
        };
        if let Some(node) = node_x {
            let reversed = gradient_kernels::reversed_taps(slice(&weight), channels);
            let dx = kernels::depthwise(slice(&grad), &reversed, &vec![0.0; channels], size);
            grads.register::<Flex>(node.id, tensor(dx, &shape));
        }
        if node_weight.is_some() || node_bias.is_some() {
            let (d_weight, d_bias) =
                gradient_kernels::depthwise_weight_backward(slice(&x), slice(&grad), kernel, size);
            if let Some(node) = node_weight {
                grads.register::<Flex>(node.id, tensor(d_weight, &weight_shape));
            }
            if let Some(node) = node_bias {
                grads.register::<Flex>(node.id, tensor(d_bias, &[channels]));
            }
        }
    }
}

#[derive(Debug)]
struct Norm;

impl Backward<Flex, 3> for Norm {
    /// Input, scale and epsilon.
    type State = (NodeId, NodeId, f64);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let [node_x, node_gamma, node_beta] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x_id, gamma_id, epsilon) = ops.state;
        let (x, shape) = contiguous(&checkpointer.retrieve_node_output::<Primitive>(x_id));
        let (gamma, gamma_shape) =
            contiguous(&checkpointer.retrieve_node_output::<Primitive>(gamma_id));
        let found =
            gradient_kernels::norm_backward(slice(&x), slice(&gamma), slice(&grad), epsilon as f32);
        for (node, values, shape) in [
            (node_x, found.x, &shape),
            (node_gamma, found.gamma, &gamma_shape),
            (node_beta, found.beta, &gamma_shape),
        ] {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(values, shape));
            }
        }
    }
}

impl<C: CheckpointStrategy> FusedOps for Autodiff<Flex, C> {
    fn silu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match Silu.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = prep.checkpoint(&x);
                prep.finish(state, Flex::silu(x.primitive().clone()))
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::silu(x.primitive().clone())),
        }
    }

    fn glu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match Glu.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = prep.checkpoint(&x);
                prep.finish(state, Flex::glu(x.primitive().clone()))
            }
            OpsKind::UnTracked(prep) => prep.finish(Flex::glu(x.primitive().clone())),
        }
    }

    fn depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let y = Flex::depthwise(
            x.primitive().clone(),
            weight.primitive().clone(),
            bias.primitive().clone(),
        );
        match Depthwise
            .prepare::<C>([x.node(), weight.node(), bias.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), prep.checkpoint(&weight));
                prep.finish(state, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let y = Flex::norm(
            x.primitive().clone(),
            gamma.primitive().clone(),
            beta.primitive().clone(),
            epsilon,
        );
        match Norm
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), prep.checkpoint(&gamma), epsilon);
                prep.finish(state, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}
