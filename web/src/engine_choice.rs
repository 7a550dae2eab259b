//! Which engine to start, and the sentence that says why.

use crate::protocol::EngineKind;

/// What the visitor asked for (`?engine=` or the page's menu).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    #[default]
    Automatic,
    Cpu,
    /// Also takes a software adapter.
    WebGpu,
}

impl Wish {
    /// Reads the value of `engine`; anything unknown is automatic.
    pub fn from_name(name: &str) -> Self {
        match name {
            "cpu" => Self::Cpu,
            "webgpu" => Self::WebGpu,
            _ => Self::Automatic,
        }
    }
    pub fn name(self) -> &'static str {
        match self {
            Self::Automatic => "auto",
            Self::Cpu => "cpu",
            Self::WebGpu => "webgpu",
        }
    }
}

/// What the browser says about its GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adapter {
    /// No `navigator.gpu`.
    NoApi,
    /// `requestAdapter()` gave nothing.
    None,
    Found {
        /// Vendor, architecture and description, as far as the browser tells.
        name: String,
        /// The browser calls it a fallback adapter.
        is_fallback: bool,
    },
}

impl Adapter {
    /// A GPU played by the processor is some hundred times slower than the processor itself.
    fn is_software(&self) -> bool {
        const SOFTWARE: [&str; 5] = [
            "swiftshader",
            "llvmpipe",
            "lavapipe",
            "software",
            "basic render",
        ];
        match self {
            Self::Found { name, is_fallback } => {
                let name = name.to_lowercase();
                *is_fallback || SOFTWARE.iter().any(|word| name.contains(word))
            }
            Self::NoApi | Self::None => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub engine: EngineKind,
    pub reason: String,
}

pub fn choose(wish: Wish, adapter: &Adapter) -> Choice {
    let cpu = |reason: &str| Choice {
        engine: EngineKind::Cpu,
        reason: reason.to_owned(),
    };
    match (wish, adapter) {
        (Wish::Cpu, _) => cpu("you asked for the CPU"),
        (_, Adapter::NoApi) => cpu("this browser has no WebGPU"),
        (_, Adapter::None) => cpu("the browser offers no GPU to this page"),
        (Wish::Automatic, found) if found.is_software() => {
            cpu("the browser's GPU is a software emulation, slower than the CPU itself")
        }
        (wish, Adapter::Found { name, .. }) => Choice {
            engine: EngineKind::WebGpu,
            reason: if wish == Wish::WebGpu {
                format!("you asked for the GPU ({name})")
            } else {
                format!("the browser offers a GPU ({name})")
            },
        },
    }
}

/// The choice after the GPU engine gave up.
pub fn after_failure(reason: &str) -> Choice {
    Choice {
        engine: EngineKind::Cpu,
        reason: format!("the GPU could not be used: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str, is_fallback: bool) -> Adapter {
        Adapter::Found {
            name: name.to_owned(),
            is_fallback,
        }
    }

    #[test]
    fn a_real_gpu_is_taken() {
        let choice = choose(Wish::Automatic, &adapter("nvidia ampere", false));
        assert_eq!(choice.engine, EngineKind::WebGpu);
        assert!(choice.reason.contains("nvidia ampere"));
    }

    #[test]
    fn a_software_adapter_counts_as_none_unless_asked_for() {
        for software in [
            adapter("google swiftshader", false),
            adapter("Microsoft Basic Render Driver", false),
            adapter("mesa llvmpipe (LLVM 15)", false),
            adapter("somebody", true),
        ] {
            assert_eq!(choose(Wish::Automatic, &software).engine, EngineKind::Cpu);
            assert_eq!(choose(Wish::WebGpu, &software).engine, EngineKind::WebGpu);
        }
    }

    #[test]
    fn without_an_adapter_even_a_wish_for_the_gpu_gives_the_cpu() {
        for missing in [Adapter::NoApi, Adapter::None] {
            for wish in [Wish::Automatic, Wish::Cpu, Wish::WebGpu] {
                assert_eq!(choose(wish, &missing).engine, EngineKind::Cpu);
            }
        }
    }

    #[test]
    fn the_cpu_can_be_forced() {
        let choice = choose(Wish::Cpu, &adapter("apple metal-3", false));
        assert_eq!(choice.engine, EngineKind::Cpu);
    }

    #[test]
    fn wishes_are_read_by_name() {
        for wish in [Wish::Automatic, Wish::Cpu, Wish::WebGpu] {
            assert_eq!(Wish::from_name(wish.name()), wish);
        }
        assert_eq!(Wish::from_name("quantum"), Wish::Automatic);
    }
}
