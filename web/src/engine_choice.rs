//! Which engine to start, and the sentence that says why.

use crate::{figures, protocol::EngineKind};

/// What the visitor asked for (`?engine=` or the page's menu).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    #[default]
    Automatic,
    Cpu,
    /// Also takes a software adapter.
    WebGpu,
    /// As automatic, but also times a software adapter.
    Measured,
}

impl Wish {
    /// Reads the value of `engine`; anything unknown is automatic.
    pub fn from_name(name: &str) -> Self {
        match name {
            "cpu" => Self::Cpu,
            "webgpu" => Self::WebGpu,
            "measure" => Self::Measured,
            _ => Self::Automatic,
        }
    }
    pub fn name(self) -> &'static str {
        match self {
            Self::Automatic => "auto",
            Self::Cpu => "cpu",
            Self::WebGpu => "webgpu",
            Self::Measured => "measure",
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
    /// A GPU that is one.
    pub fn is_hardware(&self) -> bool {
        matches!(self, Self::Found { .. }) && !self.is_software()
    }

    /// A GPU played by the processor is some hundred times slower than the processor itself.
    fn is_software(&self) -> bool {
        // Looked for byte by byte: the library's search for text would be a hundredth of the page.
        const SOFTWARE: [&str; 5] = [
            "swiftshader",
            "llvmpipe",
            "lavapipe",
            "software",
            "basic render",
        ];
        match self {
            Self::Found { name, is_fallback } => {
                let has = |word: &&str| {
                    let mut places = name.as_bytes().windows(word.len());
                    places.any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
                };
                *is_fallback || SOFTWARE.iter().any(has)
            }
            Self::NoApi | Self::None => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub engine: EngineKind,
    pub reason: String,
    /// The adapter that is still to be timed beside the CPU.
    pub rival: Option<String>,
}

impl Choice {
    fn new(engine: EngineKind, reason: impl Into<String>) -> Self {
        Self {
            engine,
            reason: reason.into(),
            rival: None,
        }
    }
}

/// `remembered`: what was the faster engine with an adapter of this name.
pub fn choose(
    wish: Wish,
    adapter: &Adapter,
    remembered: impl Fn(&str) -> Option<EngineKind>,
) -> Choice {
    let cpu = |reason: &str| Choice::new(EngineKind::Cpu, reason);
    match (wish, adapter) {
        (Wish::Cpu, _) => cpu("you asked for the CPU"),
        (_, Adapter::NoApi) => cpu("this browser has no WebGPU"),
        (_, Adapter::None) => cpu("the browser offers no GPU to this page"),
        (Wish::WebGpu, Adapter::Found { name, .. }) => Choice::new(
            EngineKind::WebGpu,
            format!("you asked for the GPU ({name})"),
        ),
        (Wish::Automatic, found) if found.is_software() => {
            cpu("the browser's GPU is a software emulation, slower than the CPU itself")
        }
        (Wish::Automatic | Wish::Measured, Adapter::Found { name, .. }) => match remembered(name) {
            Some(engine) => {
                let reason = format!("it was timed beside the other here (GPU: {name})");
                Choice::new(engine, reason)
            }
            None => Choice {
                rival: Some(name.clone()),
                ..cpu("the GPU is timed with the first student")
            },
        },
    }
}

/// The faster of the two, and by how much.
pub fn faster(adapter: &str, cpu_ms: f64, gpu_ms: f64) -> Choice {
    let (cpu, gpu) = (figures::milliseconds(cpu_ms), figures::milliseconds(gpu_ms));
    let reason = format!("5 s of speech take {cpu} on the CPU and {gpu} on the GPU ({adapter})");
    let engine = if gpu_ms < cpu_ms {
        EngineKind::WebGpu
    } else {
        EngineKind::Cpu
    };
    Choice::new(engine, reason)
}

/// The choice after the GPU engine gave up.
pub fn after_failure(reason: &str) -> Choice {
    let reason = format!("the GPU could not be used: {reason}");
    Choice::new(EngineKind::Cpu, reason)
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

    fn unknown(_: &str) -> Option<EngineKind> {
        None
    }

    #[test]
    fn a_real_gpu_is_timed_once_and_the_faster_taken_from_then_on() {
        let found = adapter("nvidia ampere", false);
        let first = choose(Wish::Automatic, &found, unknown);
        assert_eq!(first.engine, EngineKind::Cpu);
        assert_eq!(first.rival.as_deref(), Some("nvidia ampere"));
        for engine in [EngineKind::Cpu, EngineKind::WebGpu] {
            let known = |name: &str| (name == "nvidia ampere").then_some(engine);
            let next = choose(Wish::Automatic, &found, known);
            assert_eq!((next.engine, next.rival), (engine, None));
        }
        assert_eq!(faster("a", 12.0, 30.0).engine, EngineKind::Cpu);
        let choice = faster("a", 30.0, 12.0);
        assert_eq!(choice.engine, EngineKind::WebGpu);
        assert!(choice.reason.contains("12 ms"), "{}", choice.reason);
    }

    #[test]
    fn a_software_adapter_counts_as_none_unless_asked_for() {
        for software in [
            adapter("google swiftshader", false),
            adapter("Microsoft Basic Render Driver", false),
            adapter("mesa llvmpipe (LLVM 15)", false),
            adapter("somebody", true),
        ] {
            let choice = choose(Wish::Automatic, &software, unknown);
            assert_eq!((choice.engine, choice.rival), (EngineKind::Cpu, None));
            let choice = choose(Wish::WebGpu, &software, unknown);
            assert_eq!(choice.engine, EngineKind::WebGpu);
            assert!(choose(Wish::Measured, &software, unknown).rival.is_some());
        }
    }

    #[test]
    fn without_an_adapter_even_a_wish_for_the_gpu_gives_the_cpu() {
        for missing in [Adapter::NoApi, Adapter::None] {
            for wish in [Wish::Automatic, Wish::Cpu, Wish::WebGpu, Wish::Measured] {
                let choice = choose(wish, &missing, unknown);
                assert_eq!((choice.engine, choice.rival), (EngineKind::Cpu, None));
            }
        }
    }

    #[test]
    fn the_cpu_can_be_forced() {
        let choice = choose(Wish::Cpu, &adapter("apple metal-3", false), unknown);
        assert_eq!(choice.engine, EngineKind::Cpu);
    }

    #[test]
    fn wishes_are_read_by_name() {
        for wish in [Wish::Automatic, Wish::Cpu, Wish::WebGpu, Wish::Measured] {
            assert_eq!(Wish::from_name(wish.name()), wish);
        }
        assert_eq!(Wish::from_name("quantum"), Wish::Automatic);
    }
}
