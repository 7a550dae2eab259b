//! A student's files, fetched while the engine's program is still on its way: at a first visit nearly
//! all of the wait is for bytes, so the line should never be idle. The engine finds them kept, and
//! checks them; what failed here it fetches itself, with all its care.

use std::{cell::Cell, rc::Rc};

use js_sys::{Array, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStreamDefaultReader, Response as HttpResponse};

use super::{
    dom::window,
    lanes::{self, Job},
    stored,
    students::Student,
    worker_client::Progress,
};
use crate::{
    js, kept_files,
    protocol::{LoadPhase, RemoteFile, Response},
};

/// Fetches what of a student and a language model is not kept yet, all at once; `progress` is told as by an engine.
pub async fn fetch_ahead(student: &Student, lm: Option<&RemoteFile>, progress: Progress) {
    let mut files = files_of(student);
    files.extend(lm.cloned());
    fetch_files(files, progress).await;
}

/// Fetches files that are not kept yet, as [`fetch_ahead`] does.
pub async fn fetch_files(files: Vec<RemoteFile>, progress: Progress) {
    let Ok(cache) = kept_files::open().await else {
        return;
    };
    let stored = stored::digests().await;
    let is_missing = |file: &RemoteFile| {
        let digest = file.sha256.as_ref();
        digest.is_some_and(|digest| !digest.is_empty() && !stored.contains(digest))
    };
    let missing: Vec<RemoteFile> = files.into_iter().filter(is_missing).collect();
    let total: f64 = missing.iter().filter_map(|file| file.bytes).sum();
    let received = Rc::new(Cell::new(0.0));
    let jobs = missing.into_iter().map(|file| {
        let (cache, received, progress) = (cache.clone(), received.clone(), progress.clone());
        let report = move |bytes: f64| {
            received.set(received.get() + bytes);
            let received = received.get();
            progress(&Response::Loading(LoadPhase::Downloading {
                received,
                total,
            }));
        };
        Box::pin(async move {
            // The engine says what is wrong with a file, where something is.
            let _ = keep(&cache, &file, report).await;
        }) as Job
    });
    lanes::all(jobs.collect()).await;
}

fn files_of(student: &Student) -> Vec<RemoteFile> {
    let folder = student.url.trim_end_matches('/');
    let files = student.summary.needed().map(|file| RemoteFile {
        url: format!("{folder}/{}", file.name),
        bytes: Some(file.bytes),
        sha256: Some(file.sha256.clone()),
    });
    files.collect()
}

async fn keep(cache: &JsValue, file: &RemoteFile, report: impl Fn(f64)) -> Result<(), JsValue> {
    let response = JsFuture::from(window()?.fetch_with_str(&file.url)).await?;
    let response: HttpResponse = response.dyn_into()?;
    let body = response.body().filter(|_| response.status() == 200);
    let reader: ReadableStreamDefaultReader = body
        .ok_or("the server has no such file")?
        .get_reader()
        .unchecked_into();
    let parts = Array::new();
    let mut left = file.bytes.unwrap_or(0.0);
    loop {
        let part = JsFuture::from(reader.read()).await?;
        if js::get(&part, "done").is_truthy() {
            break;
        }
        let part: Uint8Array = js::get(&part, "value").dyn_into()?;
        let bytes = f64::from(part.length());
        left -= bytes;
        if left < 0.0 {
            let _ = reader.cancel();
            return Err("it is longer than its manifest says".into());
        }
        report(bytes);
        parts.push(&part);
    }
    let digest = file.sha256.as_deref().unwrap_or_default();
    kept_files::put(cache, digest, &parts).await;
    Ok(())
}
