//! What a graphics card did: the kernels launched, and how long each ran by the card's own clock.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use cubecl::{
    config::{TypeNameFormatLevel, type_name_format},
    logging::{LaunchObservation, LaunchObserver, ProfileDuration, TimingMethod, TimingRequest},
};
use pollster::block_on;

use super::steps::{Kernel, Kernels};

#[derive(Default)]
struct Launches {
    count: AtomicUsize,
    /// Read when the work is over: a reading waits for its kernel.
    measured: Mutex<Vec<(&'static str, ProfileDuration)>>,
}

impl LaunchObserver for Launches {
    fn launched(&self, _kernel: &'static str) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn timing(&self) -> TimingRequest {
        TimingRequest::Deferred
    }

    fn profiled(&self, kernel: &'static str, profile: ProfileDuration) {
        if let Ok(mut measured) = self.measured.lock() {
            measured.push((kernel, profile));
        }
    }
}

/// Runs `work`, which must wait for the device before it returns, and says what was launched.
pub(super) fn observe(work: impl FnOnce()) -> Kernels {
    let launches = Arc::new(Launches::default());
    let observation = LaunchObservation::new(Arc::clone(&launches) as Arc<dyn LaunchObserver>);
    work();
    drop(observation);
    let measured = launches
        .measured
        .lock()
        .map(|mut measured| std::mem::take(&mut *measured))
        .unwrap_or_default();
    let mut by_name: BTreeMap<&str, Kernel> = BTreeMap::new();
    let mut is_timed = !measured.is_empty();
    for (name, profile) in measured {
        // Without timestamps of the device the time would be that of the host around a launch.
        is_timed &= profile.timing_method() == TimingMethod::Device;
        let ticks = block_on(profile.resolve());
        let kernel = by_name.entry(name).or_insert_with(|| Kernel {
            name: type_name_format(name, TypeNameFormatLevel::Balanced),
            launches: 0,
            ms: 0.0,
        });
        kernel.launches += 1;
        kernel.ms += ticks.map_or(0.0, |ticks| ticks.duration().as_secs_f64() * 1e3);
    }
    let mut kernels: Vec<Kernel> = by_name.into_values().collect();
    kernels.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    Kernels {
        launches: launches.count.load(Ordering::Relaxed),
        kernel_ms: is_timed.then(|| kernels.iter().map(|kernel| kernel.ms).sum()),
        kernels,
    }
}
