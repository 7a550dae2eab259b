//! Which engine is faster here: both are timed once with a real student.

use std::rc::Rc;

use js_sys::Float32Array;
use wasm_bindgen::JsValue;

use super::{
    dom::local_storage,
    students::Student,
    worker_client::{Failure, WorkerClient},
};
use crate::{
    engine_choice::{self, Choice, Wish},
    protocol::{Boosts, EngineKind, Request, Response},
};

/// Where the browser keeps the result: the engine's name and the adapter's.
const KEY: &str = "fledge-faster-engine";

/// Runs of each engine; the first may compile.
const RUNS: usize = 3;

/// What was the faster engine beside this adapter, if that was ever measured.
pub fn remembered(adapter: &str) -> Option<EngineKind> {
    let stored = local_storage()?.get_item(KEY).ok()??;
    let (engine, measured_with) = stored.split_once(' ')?;
    if measured_with != adapter {
        return None;
    }
    match Wish::from_name(engine) {
        Wish::Cpu => Some(EngineKind::Cpu),
        Wish::WebGpu => Some(EngineKind::WebGpu),
        _ => None,
    }
}

fn remember(adapter: &str, engine: EngineKind) {
    let name = match engine {
        EngineKind::Cpu => Wish::Cpu.name(),
        EngineKind::WebGpu => Wish::WebGpu.name(),
    };
    // Without storage it is measured again at the next visit.
    if let Some(storage) = local_storage() {
        let _ = storage.set_item(KEY, &format!("{name} {adapter}"));
    }
}

/// Times the CPU engine, which holds the student, and one on the GPU; gives the GPU's worker if
/// that is faster.
pub async fn beside_cpu(
    adapter: &str,
    cpu: &WorkerClient,
    gpu_module: JsValue,
    student: &Student,
) -> (Choice, Option<Rc<WorkerClient>>) {
    match time_both(adapter, cpu, gpu_module, student).await {
        Ok((choice, gpu)) => {
            remember(adapter, choice.engine);
            (choice, gpu)
        }
        Err(reason) => (engine_choice::after_failure(&reason), None),
    }
}

async fn time_both(
    adapter: &str,
    cpu: &WorkerClient,
    gpu_module: JsValue,
    student: &Student,
) -> Result<(Choice, Option<Rc<WorkerClient>>), String> {
    let cpu_ms = time(cpu).await.map_err(|failure| failure.message)?;
    let (gpu, _) = WorkerClient::start_engine(EngineKind::WebGpu, gpu_module).await?;
    let gpu_ms = match load_and_time(&gpu, student).await {
        Ok(gpu_ms) => gpu_ms,
        Err(failure) => {
            gpu.stop("it failed its trial");
            return Err(failure.message);
        }
    };
    let choice = engine_choice::faster(adapter, cpu_ms, gpu_ms);
    if choice.engine == EngineKind::Cpu {
        gpu.stop("the CPU is faster");
        return Ok((choice, None));
    }
    Ok((choice, Some(gpu)))
}

async fn load_and_time(gpu: &WorkerClient, student: &Student) -> Result<f64, Failure> {
    let request = Request::Load {
        model_url: student.url.clone(),
        manifest: Some(student.manifest.clone()),
        lm: None,
    };
    gpu.request(&request, None, None).await?;
    time(gpu).await
}

/// Least milliseconds of a few runs over five seconds of noise.
async fn time(client: &WorkerClient) -> Result<f64, Failure> {
    const RATE_HZ: u32 = 16_000;
    let mut state = 1u32;
    let noise: Vec<f32> = (0..5 * RATE_HZ)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) as f32 / 32_768.0 - 1.0) * 0.2
        })
        .collect();
    let request = Request::Transcribe {
        sample_rate_hz: RATE_HZ,
        reference: None,
        more: false,
        phrases: None,
        boosts: Boosts::None,
    };
    let mut least_ms = f64::INFINITY;
    for _ in 0..RUNS {
        let samples = Float32Array::from(noise.as_slice()).buffer();
        let answer = client.request(&request, Some(samples), None).await?;
        let Response::Transcribed { recognize_ms, .. } = answer.response else {
            return Err(Failure::state("the engine answered out of order"));
        };
        least_ms = least_ms.min(recognize_ms);
    }
    Ok(least_ms)
}
