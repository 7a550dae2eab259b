//! Training on a graphics adapter: forward pass, gradients and an optimiser step of a tiny network
//! against the CPU. Software adapters count; a machine without any adapter fails here, because a
//! test that passes by finding nothing proves nothing. Adapters are tried in a process of their
//! own: a driver that crashes must not take the other tests with it.

use tests::fledge;

/// The order of sums explains 2e-5 of a step; what a wrong formula does is far above.
const TOLERANCE: f64 = 1e-4;

#[test]
fn a_graphics_adapter_trains_as_the_cpu_does() {
    let finished = fledge(["devices", "--json"]);
    finished.assert_done();
    let devices = finished.json_lines();
    let adapters: Vec<_> = devices.iter().filter(|d| d["backend"] != "cpu").collect();
    assert!(
        !adapters.is_empty(),
        "no graphics adapter: install a software one (Debian: mesa-vulkan-drivers)"
    );
    let agrees = |device: &&&serde_json::Value| {
        ["forward", "gradients", "step"].iter().all(|quantity| {
            let difference = device["agreement"][quantity].as_f64();
            difference.is_some_and(|difference| difference <= TOLERANCE)
        })
    };
    assert!(
        adapters.iter().any(|device| agrees(&device)),
        "{adapters:#?}"
    );
}
