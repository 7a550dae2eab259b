//! Fetching a model folder: one progress over the bytes of all its files. What the manifest gives a
//! digest for is kept in the browser's cache under it, checked whenever it is read, fetched again
//! where it is damaged, and fetched on where a connection broke.

use js_sys::Reflect;
use shared_model::bundle::{Files, Manifest};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{AbortController, Url};

use super::{
    Failure,
    kept::{self, Kept},
    transfer::Transfer,
};
use crate::{
    protocol::{FailureKind, LoadPhase, RemoteFile, Response},
    worker_channel::Channel,
};

const MANIFEST: &str = "manifest.json";
/// Ten reports a second are enough for a bar.
const REPORT_INTERVAL_MS: f64 = 100.0;
const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// Everything of a folder is held in memory twice for a moment.
const MAX_FOLDER_BYTES: u64 = 1 << 30;

/// Most bytes of a language model; those made for the browser have at most a fifth.
const MAX_LM_BYTES: u64 = 16 << 20;

/// One file that is wanted.
pub(super) struct Wanted<'a> {
    pub(super) url: String,
    /// For messages.
    pub(super) name: &'a str,
    pub(super) max_bytes: u64,
    pub(super) sha256: Option<&'a str>,
}

/// Fetches what of the folder a recognizer needs. `manifest`: its manifest's text, where it is known.
pub async fn fetch_folder(
    channel: &Channel,
    id: u32,
    folder_url: &str,
    manifest: Option<String>,
) -> Result<Files, Failure> {
    let controller = AbortController::new().map_err(|error| failure(MANIFEST, &error))?;
    channel.set_download(Some((id, controller.clone())));
    let files = fetch_all(channel, id, folder_url, manifest, &controller).await;
    channel.set_download(None);
    files
}

/// Fetches a language model.
pub async fn fetch_lm(channel: &Channel, id: u32, file: &RemoteFile) -> Result<Vec<u8>, Failure> {
    let name = file.url.rsplit('/').next().unwrap_or(&file.url);
    let controller = AbortController::new().map_err(|error| failure(name, &error))?;
    channel.set_download(Some((id, controller.clone())));
    let mut report = Reports::new(channel, id, |received| LoadPhase::DownloadingLm {
        received,
        total: file.bytes,
    });
    let wanted = Wanted {
        url: file.url.clone(),
        name,
        max_bytes: MAX_LM_BYTES,
        sha256: file.sha256.as_deref(),
    };
    let bytes = fetch_file(channel, &wanted, &controller, &mut |bytes| {
        report.tell(bytes)
    })
    .await;
    channel.set_download(None);
    bytes
}

async fn fetch_all(
    channel: &Channel,
    id: u32,
    folder_url: &str,
    manifest: Option<String>,
    controller: &AbortController,
) -> Result<Files, Failure> {
    let manifest_bytes = match manifest {
        Some(text) => text.into_bytes(),
        None => {
            let wanted = Wanted {
                url: join(folder_url, MANIFEST)?,
                name: MANIFEST,
                max_bytes: MAX_MANIFEST_BYTES,
                sha256: None,
            };
            fetch_file(channel, &wanted, controller, &mut |_| {}).await?
        }
    };
    let manifest = Manifest::from_json(&manifest_bytes)
        .map_err(|error| Failure::new(FailureKind::Model, error))?;
    let mut files = Files::new();
    files.insert(MANIFEST.to_owned(), manifest_bytes);

    let needed = manifest.needed_files();
    let total: u64 = needed
        .iter()
        .fold(0, |sum, file| file.bytes.saturating_add(sum));
    if total > MAX_FOLDER_BYTES {
        return Err(Failure::new(
            FailureKind::Model,
            format!("the model folder is {total} bytes, more than the limit of {MAX_FOLDER_BYTES}"),
        ));
    }
    let mut received_before = 0u64;
    let total = total as f64;
    let mut report = Reports::new(channel, id, |received| LoadPhase::Downloading {
        received,
        total,
    });
    for file in needed {
        let wanted = Wanted {
            url: join(folder_url, &file.name)?,
            name: &file.name,
            max_bytes: file.bytes,
            sha256: Some(&file.sha256),
        };
        let mut tell = |received: u64| report.tell(received_before + received);
        let bytes = fetch_file(channel, &wanted, controller, &mut tell).await?;
        received_before += bytes.len() as u64;
        files.insert(file.name.clone(), bytes);
    }
    Ok(files)
}

/// One file: from the browser's cache, else from the server. A copy that is not what its digest says
/// is fetched once more, past every cache.
async fn fetch_file(
    channel: &Channel,
    wanted: &Wanted<'_>,
    controller: &AbortController,
    report: &mut dyn FnMut(u64),
) -> Result<Vec<u8>, Failure> {
    let Some(sha256) = wanted.sha256 else {
        let mut transfer = Transfer::new(channel, wanted, controller, "no-cache");
        return transfer.finish(report).await;
    };
    let kept = Kept::open().await;
    if let Some(kept) = &kept
        && let Some(bytes) = kept.get(sha256).await
    {
        report(bytes.len() as u64);
        return Ok(bytes);
    }
    for cache in ["no-cache", "reload"] {
        let mut transfer = Transfer::new(channel, wanted, controller, cache);
        let bytes = transfer.finish(report).await?;
        if kept::digest(&bytes) == sha256 {
            if let Some(kept) = &kept {
                kept.put(sha256, &bytes).await;
            }
            return Ok(bytes);
        }
    }
    Err(Failure::new(
        FailureKind::Download,
        format!(
            "{} arrived damaged, twice: its SHA-256 is not the one in its manifest. Try again later, or tell whoever runs this site",
            wanted.name
        ),
    ))
}

/// Tells the page how far a download is, now and then.
struct Reports<'a, F: Fn(f64) -> LoadPhase> {
    channel: &'a Channel,
    id: u32,
    phase: F,
    last_ms: f64,
}

impl<'a, F: Fn(f64) -> LoadPhase> Reports<'a, F> {
    fn new(channel: &'a Channel, id: u32, phase: F) -> Self {
        Self {
            channel,
            id,
            phase,
            last_ms: f64::NEG_INFINITY,
        }
    }

    fn tell(&mut self, received: u64) {
        let now = self.channel.now();
        if now - self.last_ms > REPORT_INTERVAL_MS {
            self.last_ms = now;
            let phase = (self.phase)(received as f64);
            self.channel.post(self.id, &Response::Loading(phase), None);
        }
    }
}

/// The URL of a file of the folder; the manifest's reader allows plain names only.
fn join(folder_url: &str, name: &str) -> Result<String, Failure> {
    let folder = folder_url.trim_end_matches('/');
    Url::new(&format!("{folder}/{name}"))
        .map(|url| url.href())
        .map_err(|error| failure(name, &error))
}

pub(super) fn failure(name: &str, error: &JsValue) -> Failure {
    let reason = error.dyn_ref::<js_sys::Error>().map_or_else(
        || {
            Reflect::get(error, &"message".into())
                .ok()
                .and_then(|text| text.as_string())
        },
        |error| Some(String::from(error.message())),
    );
    let reason = reason.unwrap_or_else(|| "the browser gives no reason".to_owned());
    Failure::new(
        FailureKind::Download,
        format!("{name} could not be fetched: {reason}"),
    )
}
