//! Fetching a model folder: one progress over the bytes of all its files.

use js_sys::{Reflect, Uint8Array};
use shared_model::bundle::{Files, LM_FILE, Manifest};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, ReadableStreamDefaultReader, Request, RequestInit, Response as HttpResponse,
    Url,
};

use super::Failure;
use crate::{
    protocol::{FailureKind, LoadPhase, Response},
    worker_channel::Channel,
};

const MANIFEST: &str = "manifest.json";
/// Ten reports a second are enough for a bar.
const REPORT_INTERVAL_MS: f64 = 100.0;
const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// Everything of a folder is held in memory twice for a moment.
const MAX_FOLDER_BYTES: u64 = 1 << 30;

/// Most bytes of a language model; those made for the browser have a tenth.
const MAX_LM_BYTES: u64 = 16 << 20;

/// Fetches every file that the folder's manifest lists, and the manifest itself. A language model
/// in it is fetched when it is asked for.
pub async fn fetch_folder(channel: &Channel, id: u32, folder_url: &str) -> Result<Files, Failure> {
    let controller = AbortController::new().map_err(|error| failure(MANIFEST, &error))?;
    channel.set_download(Some((id, controller.clone())));
    let files = fetch_all(channel, id, folder_url, &controller).await;
    channel.set_download(None);
    files
}

/// Fetches a language model.
pub async fn fetch_lm(channel: &Channel, id: u32, url: &str) -> Result<Vec<u8>, Failure> {
    let name = url.rsplit('/').next().unwrap_or(url);
    let controller = AbortController::new().map_err(|error| failure(name, &error))?;
    channel.set_download(Some((id, controller.clone())));
    let mut last_report_ms = f64::NEG_INFINITY;
    let mut report = |received: u64| {
        let now = channel.now();
        if now - last_report_ms > REPORT_INTERVAL_MS {
            last_report_ms = now;
            let received = received as f64;
            let phase = LoadPhase::DownloadingLm { received };
            channel.post(id, &Response::Loading(phase), None);
        }
    };
    let bytes = fetch_file(channel, url, name, MAX_LM_BYTES, &controller, &mut report).await;
    channel.set_download(None);
    bytes
}

async fn fetch_all(
    channel: &Channel,
    id: u32,
    folder_url: &str,
    controller: &AbortController,
) -> Result<Files, Failure> {
    let mut files = Files::new();
    let manifest_bytes = fetch_file(
        channel,
        &join(folder_url, MANIFEST)?,
        MANIFEST,
        MAX_MANIFEST_BYTES,
        controller,
        &mut |_| {},
    )
    .await?;
    let manifest: Manifest = serde_json::from_slice(&manifest_bytes)
        .map_err(|error| Failure::new(FailureKind::Model, format!("{MANIFEST}: {error}")))?;
    files.insert(MANIFEST.to_owned(), manifest_bytes);

    let wanted = || manifest.files.iter().filter(|file| file.name != LM_FILE);
    let total: u64 = wanted().fold(0, |sum, file| file.bytes.saturating_add(sum));
    if total > MAX_FOLDER_BYTES {
        return Err(Failure::new(
            FailureKind::Model,
            format!("the model folder is {total} bytes, more than the limit of {MAX_FOLDER_BYTES}"),
        ));
    }
    let mut received_before = 0u64;
    let mut last_report_ms = f64::NEG_INFINITY;
    for file in wanted() {
        let url = join(folder_url, &file.name)?;
        let mut report = |received: u64| {
            let received = received_before + received;
            let now = channel.now();
            if now - last_report_ms > REPORT_INTERVAL_MS || received == total {
                last_report_ms = now;
                let phase = LoadPhase::Downloading {
                    received: received as f64,
                    total: total as f64,
                };
                channel.post(id, &Response::Loading(phase), None);
            }
        };
        let bytes = fetch_file(
            channel,
            &url,
            &file.name,
            file.bytes,
            controller,
            &mut report,
        )
        .await?;
        received_before += bytes.len() as u64;
        files.insert(file.name.clone(), bytes);
    }
    Ok(files)
}

/// One file, at most `limit` bytes.
async fn fetch_file(
    channel: &Channel,
    url: &str,
    name: &str,
    limit: u64,
    controller: &AbortController,
    report: &mut dyn FnMut(u64),
) -> Result<Vec<u8>, Failure> {
    let options = RequestInit::new();
    options.set_signal(Some(&controller.signal()));
    // File names are fixed: ask the server whether the copy in the browser's cache is still good.
    Reflect::set(&options, &"cache".into(), &"no-cache".into())
        .map_err(|error| failure(name, &error))?;
    let request =
        Request::new_with_str_and_init(url, &options).map_err(|error| failure(name, &error))?;
    let response: HttpResponse = JsFuture::from(channel.scope().fetch_with_request(&request))
        .await
        .and_then(JsCast::dyn_into)
        .map_err(|error| failure(name, &error))?;
    if !response.ok() {
        return Err(Failure::new(
            FailureKind::Download,
            format!("{name}: the server answered {}", response.status()),
        ));
    }
    let Some(body) = response.body() else {
        return Ok(Vec::new());
    };
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    loop {
        let part = JsFuture::from(reader.read())
            .await
            .map_err(|error| failure(name, &error))?;
        let field = |key: &str| Reflect::get(&part, &key.into()).unwrap_or(JsValue::UNDEFINED);
        if field("done").is_truthy() {
            return Ok(bytes);
        }
        let part: Uint8Array = field("value")
            .dyn_into()
            .map_err(|error| failure(name, &error))?;
        if bytes.len() as u64 + u64::from(part.length()) > limit {
            controller.abort();
            return Err(Failure::new(
                FailureKind::Model,
                format!("{name} is more than the {limit} bytes that are allowed"),
            ));
        }
        let start = bytes.len();
        bytes.resize(start + part.length() as usize, 0);
        part.copy_to(&mut bytes[start..]);
        report(bytes.len() as u64);
    }
}

/// The URL of a file of the folder; a name that leads elsewhere is refused.
fn join(folder_url: &str, name: &str) -> Result<String, Failure> {
    let is_plain = !name.is_empty()
        && !name.starts_with('.')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if !is_plain {
        return Err(Failure::new(
            FailureKind::Model,
            format!("the manifest names a file {name:?}: expected a plain file name"),
        ));
    }
    let folder = folder_url.trim_end_matches('/');
    Url::new(&format!("{folder}/{name}"))
        .map(|url| url.href())
        .map_err(|error| failure(name, &error))
}

fn failure(name: &str, error: &JsValue) -> Failure {
    let reason = error.dyn_ref::<js_sys::Error>().map_or_else(
        || format!("{error:?}"),
        |error| String::from(error.message()),
    );
    Failure::new(
        FailureKind::Download,
        format!("{name} could not be fetched: {reason}"),
    )
}
