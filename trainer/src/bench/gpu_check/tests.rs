use super::*;

#[test]
fn the_first_two_processors_are_taken_from_any_list() {
    for (list, cores) in [
        ("0-15", Some("0,1")),
        ("3,8-9", Some("3,8")),
        ("2-2,7", Some("2,7")),
        ("5", None),
        ("", None),
        ("x", None),
    ] {
        assert_eq!(first_two(list).as_deref(), cores, "{list}");
    }
}

#[test]
fn a_machine_without_pytorch_does_not_fail_and_a_broken_card_does() {
    let failed = |name, reason: &str| {
        let reason = reason.to_owned();
        let mut part = Ended::absent(name, String::new());
        part.end = End::Failed { reason };
        without_what_is_absent(part).end
    };
    let missing = "ModuleNotFoundError: No module named 'torch'";
    assert!(matches!(failed(PYTORCH, missing), End::Absent { .. }));
    assert!(matches!(failed(PYTORCH, "CUDA error"), End::Failed { .. }));
    assert!(matches!(failed(PARITY, missing), End::Failed { .. }));
}

fn done(name: &'static str, output: &str) -> Ended {
    Ended {
        name,
        end: End::Done,
        secs: 61.0,
        output: output.to_owned(),
    }
}

/// What the parts print on a card that computes rightly.
fn ended() -> Vec<Ended> {
    let gpu_step = r#"{"step": "teacher CTC", "batch_secs": 60.0, "first_ms": 2500.0, "step_ms": 20.0,
        "audio_secs_per_sec": 3000.0, "memory_bytes": 2147483648, "memory_of": "card", "on_card":
        {"read_backs": 4, "read_back_ms": 15.0, "kernels": {"launches": 1234, "kernel_ms": 5.0,
        "kernels": [{"name": "matmul", "launches": 34, "ms": 4.0}]}}}"#;
    let cpu_step = r#"{"step": "teacher CTC", "batch_secs": 60.0, "first_ms": 250.0, "step_ms": 200.0,
        "audio_secs_per_sec": 300.0, "memory_bytes": 1048576, "memory_of": "process", "on_card": null}"#;
    let torch = r#"{"torch": "2.11", "device": "H100", "batch_secs": 60.0, "step_ms": 10.0,
        "audio_secs_per_sec": 6000.0, "peak_memory_bytes": 3000000, "threads": 2}"#;
    let parity = r#"{"teacher": {"forward": 1e-6, "gradients": 2e-6, "step": 3e-6},
        "greatest_loss_difference": 0.001, "losses": [
        {"step": "teacher CTC", "number": 1, "cpu": 4.0, "device": 4.004},
        {"step": "3 students CTC", "number": 1, "cpu": 9.0, "device": 9.0}]}"#;
    let adapter = r#"{"name": "H100", "backend": "vulkan", "device_type": "discrete GPU",
        "driver": "NVIDIA 580", "used_by_auto": true, "reason": "self-test passed", "agreement": null}"#;
    let model = r#"{"name": "tiny", "evaluations": [{"set": "starter", "decoder": "greedy", "lm": null,
        "wer": 0.125, "wer_low": 0.1, "wer_high": 0.15, "cer": 0.1, "words": 437, "utterances": 9,
        "precision": "int8"}]}"#;
    let line = |text: &str| text.replace('\n', " ");
    vec![
        done(DEVICES, &line(adapter)),
        done(PARITY, &line(parity)),
        done(GPU_STEPS, &line(gpu_step)),
        done(CPU_STEPS, &line(cpu_step)),
        done(PYTORCH, &line(torch)),
        done(RECIPE, &line(model)),
    ]
}

#[track_caller]
fn assert_row(report: &CheckReport, cells: &[&str]) {
    let table = report.table();
    let is_row = |line: &&str| cells.iter().all(|cell| line.contains(cell));
    assert!(
        table.lines().any(|line| is_row(&line)),
        "{cells:?}\n{table}"
    );
}

#[test]
fn the_table_sets_the_card_beside_the_cpu_and_pytorch() {
    let report = report(&ended(), Duration::from_secs(125));
    assert!(report.passed);
    for cells in [
        &["adapter, vulkan", "H100", "NVIDIA 580"][..],
        &["gradients", "2.0e-6", "at most 1e-3"],
        &["losses of 1 training steps", "1.0e-3"],
        &[
            "loss of step 1",
            "4.00400 · 9.00000",
            "4.00000 · 9.00000",
            "1e-3",
        ],
        &[
            "teacher CTC, 60 s",
            "3,000",
            "2.1 GB of the card",
            "1.0 MB",
            "| 10.0x |",
        ],
        &[
            "teacher CTC, 60 s",
            "kernels 25 %",
            "1,234 launches",
            "host 25 %",
            "4 read-backs",
            "75 %",
        ],
        &["kernel of teacher CTC", "4.00 ms, 80 %", "34 launches"],
        &["in PyTorch, 60 s", "6,000", "3.0 MB", "| 0.50x |"],
        &["from beginning to end", "1:01"],
        &["WER of tiny, starter", "12.5 %", "437 words"],
        &["the whole check", "2:05", "passed"],
    ] {
        assert_row(&report, cells);
    }
    let columns = |line: &str| line.matches('|').count();
    assert!(report.table().lines().all(|line| columns(line) == 6));
}

#[test]
fn what_fails_or_is_stopped_is_a_row_and_the_rest_stands() {
    let mut parts = ended();
    parts[2].end = End::OutOfTime { budget_secs: 100 };
    parts[5] = Ended {
        end: End::Failed {
            reason: "lost | the device".to_owned(),
        },
        output: String::new(),
        ..done(RECIPE, "")
    };
    let report = report(&parts, Duration::ZERO);
    assert!(!report.passed);
    assert_row(&report, &["teacher CTC, 60 s", "10.0x"]);
    assert_row(&report, &["part gpu-steps", "STOPPED after 100 s"]);
    assert_row(&report, &["part recipe", "FAILED: lost / the device"]);
    assert_row(&report, &["the whole check", "not passed"]);
}

#[test]
fn a_card_that_differs_or_a_part_that_finds_nothing_does_not_pass() {
    let passes = |part: usize, from: &str, to: &str| {
        let mut parts = ended();
        let changed = parts[part].output.replace(from, to);
        assert_ne!(changed, parts[part].output);
        parts[part].output = changed;
        report(&parts, Duration::ZERO).passed
    };
    assert!(passes(1, "2e-6", "9e-4"));
    assert!(!passes(1, "2e-6", "2e-3"));
    assert!(!passes(1, "0.001", "0.02"));
    assert!(!passes(0, "vulkan", "cpu"));
    assert!(!passes(2, "step_ms", "renamed_ms"));
    assert!(!passes(5, "wer_low", "renamed"));
}
