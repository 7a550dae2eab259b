//! Keys that recipes once had, and what they are called now.

/// The keys of `[PHASE.optim]`.
const OPTIM_KEYS: [&str; 10] = [
    "rule",
    "learning_rate",
    "schedule",
    "warmup_steps",
    "beta1",
    "beta2",
    "epsilon",
    "weight_decay",
    "clip_norm",
    "accumulate",
];

/// Old and new names of what else stood beside them.
const BESIDE_OPTIM: [(&str, &str); 6] = [
    ("epochs", "epochs"),
    ("gentle_epochs", "gentle_epochs"),
    ("average_epochs", "average_epochs"),
    ("intermediate_ctc_weight", "ctc.intermediate_weight"),
    ("intermediate_ctc_layers", "ctc.intermediate_layers"),
    ("consistency_weight", "ctc.consistency_weight"),
];

/// The tables that held both, and the sections that they are in now.
const TRAINING: [(&str, &str); 4] = [
    ("teacher.optim", "teach"),
    ("distill.optim", "distill"),
    ("finetune", "finetune"),
    ("student.*.finetune", "student.*.finetune"),
];

/// Keys that moved alone.
const SINGLE: [(&str, &str); 12] = [
    ("data.cache_mib", "data.cache_mb"),
    ("checkpoint.shards", "compute.shards"),
    ("checkpoint.fused", "compute.fused"),
    ("checkpoint.bf16", "compute.bf16"),
    (
        "checkpoint.validate_every_epochs",
        "validation.every_epochs",
    ),
    ("distill.preset", "distill.loss.preset"),
    ("distill.clip", "distill.loss.clip"),
    ("distill.mse", "distill.loss.mse"),
    ("distill.kl", "distill.loss.kl"),
    ("distill.ctc", "distill.loss.ctc"),
    ("distill.feature", "distill.loss.feature"),
    ("distill.temperature", "distill.loss.temperature"),
];

/// Every moved key with its new name; `*` stands for a student.
pub(super) fn moved_keys() -> Vec<(String, String)> {
    let mut moved: Vec<(String, String)> = SINGLE
        .iter()
        .map(|(old, new)| ((*old).to_owned(), (*new).to_owned()))
        .collect();
    for (old, new) in TRAINING {
        let optim = OPTIM_KEYS.map(|key| (format!("{old}.{key}"), format!("{new}.optim.{key}")));
        let beside =
            BESIDE_OPTIM.map(|(from, to)| (format!("{old}.{from}"), format!("{new}.{to}")));
        moved.extend(
            optim
                .into_iter()
                .chain(beside)
                .filter(|(old, new)| old != new),
        );
    }
    moved.push(("teacher.optim".to_owned(), "teach.optim".to_owned()));
    moved
}

/// What `key` is called now, if it has moved. A student may be named or numbered.
pub(super) fn new_name(key: &str) -> Option<String> {
    let parts: Vec<&str> = key.split('.').collect();
    moved_keys().into_iter().find_map(|(old, new)| {
        let old: Vec<&str> = old.split('.').collect();
        let is_same = old.len() == parts.len()
            && old
                .iter()
                .zip(&parts)
                .all(|(old, part)| *old == "*" || old == part);
        // The only star of a new name is at the place of the old one's.
        let star = old.iter().position(|part| *part == "*");
        let student = star.and_then(|at| parts.get(at)).unwrap_or(&"");
        is_same.then(|| new.replace('*', student))
    })
}
