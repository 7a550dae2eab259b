//! A kernel of our own in WGSL: its text, its buffers and its launch.

use burn::{
    backend::{CubeDevice, DispatchDevice},
    prelude::*,
    tensor::DType,
};
use cubecl::{
    CubeCount, CubeKernel, ExecutionMode, PrecompiledSource,
    client::Client,
    ir::{ElemType, Scope, UIntKind, metadata::Info},
    prelude::{KernelDefinition, KernelId, KernelMetadata, KernelSettings},
    server::KernelArguments,
};

use crate::nn::adapter::{Handle, Primitive, primitive};

/// Bytes that the invocations of a workgroup may share (WebGPU's least).
pub(super) const SHARED_BYTES: usize = 16_384;

/// Everything that the text of a kernel depends on. Neither the length of an utterance nor their
/// number is part of it: a program is compiled once for each shape of weights.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Text {
    /// What is put together, in this order after the constants and the buffers.
    parts: Vec<&'static str>,
    constants: Vec<(&'static str, String)>,
    /// Names and types of elements, in the order of their bindings.
    buffers: Vec<(&'static str, &'static str)>,
}

impl Text {
    fn complete(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.constants {
            text += &format!("const {name} = {value};\n");
        }
        for (binding, (name, element)) in self.buffers.iter().enumerate() {
            // All may be written: buffers that share memory must not differ in what they are for.
            text += &format!(
                "@group(0) @binding({binding}) var<storage, read_write> {name}: array<{element}>;\n"
            );
        }
        self.parts.iter().for_each(|part| text += part);
        text
    }
}

struct WgslKernel(Text);

impl KernelMetadata for WgslKernel {
    fn id(&self) -> KernelId {
        // The kernels look after their own bounds.
        let id = KernelId::new::<Self>().mode(ExecutionMode::Unchecked);
        id.info(self.0.clone())
    }

    fn address_type(&self) -> ElemType {
        UIntKind::U32.into()
    }
}

impl CubeKernel for WgslKernel {
    /// Empty: the text stands in for it.
    fn define(&self) -> KernelDefinition {
        let settings = KernelSettings::new(
            cubecl::ir::settings::Dim3::new_single(),
            ExecutionMode::Unchecked,
            cubecl::ir::AddressType::U32,
        );
        KernelDefinition {
            body: Scope::root(settings.clone()),
            settings,
            info: Info::default(),
        }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        Some(PrecompiledSource {
            source: self.0.complete(),
            entrypoint_name: "main".to_owned(),
            lang: "wgsl",
        })
    }
}

/// A kernel that is being put together.
pub(super) struct Launch {
    text: Text,
    handles: Vec<Handle>,
    client: Client,
    device: CubeDevice,
}

impl Launch {
    /// A kernel of the entry point in `main`, on the device of `x`, its first buffer.
    pub(super) fn new(main: &'static str, x: &Primitive) -> Self {
        let launch = Self {
            text: Text::default(),
            handles: Vec::with_capacity(8),
            client: x.client.clone(),
            device: x.device.clone(),
        };
        launch.part(main).floats("x", x)
    }

    /// More of the text: functions that `main` calls.
    pub(super) fn part(mut self, text: &'static str) -> Self {
        self.text.parts.push(text);
        self
    }

    pub(super) fn count(self, name: &'static str, value: usize) -> Self {
        self.constant(name, format!("{value}u"))
    }

    pub(super) fn number(self, name: &'static str, value: f64) -> Self {
        self.constant(name, format!("{value:e}f"))
    }

    fn constant(mut self, name: &'static str, value: String) -> Self {
        self.text.constants.push((name, value));
        self
    }

    pub(super) fn floats(self, name: &'static str, tensor: &Primitive) -> Self {
        self.buffer(name, "f32", &tensor.handle)
    }

    pub(super) fn buffer(
        mut self,
        name: &'static str,
        element: &'static str,
        handle: &Handle,
    ) -> Self {
        self.text.buffers.push((name, element));
        self.handles.push(handle.clone());
        self
    }

    /// Computes a tensor of shape `shape`, the buffer `y`, with `groups` workgroups.
    pub(super) fn run<const D: usize>(self, shape: [usize; D], groups: [usize; 3]) -> Primitive {
        let bytes = shape.iter().product::<usize>() * size_of::<f32>();
        let y = self.client.empty(bytes);
        let Self {
            text,
            handles,
            client,
            device,
        } = self.buffer("y", "f32", &y);
        let mut arguments = KernelArguments::new();
        for handle in handles {
            arguments = arguments.with_buffer(handle.binding());
        }
        let [x, y_groups, z] = groups.map(|count| count as u32);
        let count = CubeCount::Static(x, y_groups, z);
        client.launch(Box::new(WgslKernel(text)), count, arguments);
        Primitive::new_contiguous(client, device, shape.into(), y, DType::F32)
    }
}

/// Whether `x` lies in rows on a graphics adapter, and nothing is differentiated.
pub(super) fn is_plain<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32
        && matches!(
            x.device().as_dispatch(),
            DispatchDevice::Cube(CubeDevice::Wgpu(_))
        )
        && primitive(x).is_contiguous()
}
