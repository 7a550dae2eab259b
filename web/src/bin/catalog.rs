//! Writes what the page reads first, into a site that was built:
//!
//!     catalog SITE
//!
//! `SITE/models/catalog.json` has the manifests of all models in `SITE/models/index.json` in one
//! file. The table of models in `SITE/index.html`, between two marks, has their sizes and error
//! rates, so that it can be read without JavaScript. The modules lose what no browser reads, and
//! `SITE/sw.js` learns the digests of the page's own files. A folder of models without a page gets the
//! catalog only.

use std::{collections::BTreeMap, error::Error, fs, path::Path, process::ExitCode};

use sha2::{Digest, Sha256};
use web::{
    catalog::{Catalog, CatalogEntry, ModelIndex, ModelSummary},
    custom_sections,
    protocol::RemoteFile,
    published,
};

fn main() -> ExitCode {
    let Some(site) = std::env::args_os().nth(1) else {
        eprintln!("error: give the folder of the built site");
        return ExitCode::from(2);
    };
    match write(Path::new(&site)) {
        Ok(count) => {
            eprintln!("{count} models are in the catalog");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn write(site: &Path) -> Result<usize, Box<dyn Error>> {
    let models = site.join("models");
    let index: ModelIndex = serde_json::from_slice(&read(&models.join("index.json"))?)?;
    let mut catalog = Catalog::default();
    for entry in index.models {
        let manifest = String::from_utf8(read(&models.join(&entry.path).join("manifest.json"))?)?;
        let summary: ModelSummary = serde_json::from_str(&manifest)
            .map_err(|error| format!("{}/manifest.json: {error}", entry.path))?;
        let own = summary
            .lm()
            .map(|file| format!("{}/{}", entry.path, file.name));
        let file = |path| remote_file(&models, path);
        let lm = own.or(entry.lm).map(file).transpose()?;
        let large_lm = entry.large_lm.map(file).transpose()?;
        if lm.is_none() && large_lm.is_some() {
            return Err(format!("{}: there is a large_lm, but no lm", entry.path).into());
        }
        catalog.models.push(CatalogEntry {
            path: entry.path,
            group: entry.group,
            role: entry.role,
            lm,
            large_lm,
            manifest,
        });
    }
    fs::write(models.join("catalog.json"), serde_json::to_vec(&catalog)?)?;
    let page = site.join("index.html");
    if !page.exists() {
        return Ok(catalog.models.len());
    }
    let html = String::from_utf8(read(&page)?)?;
    let html = published::fill(&html, &catalog)
        .ok_or("index.html has no marks for the table of models")?;
    fs::write(page, html)?;
    remove_custom_sections(site)?;
    write_files(site)?;
    Ok(catalog.models.len())
}

/// The line of `sw.js` that lists the page's files, as it stands there and as the build writes it.
const FILES: &str = "const FILES = {";
/// Kept from the first visit on. The others come with their first use.
const KEPT: [&str; 13] = [
    "boot.js",
    "engine-cpu.js",
    "engine-cpu_bg.wasm",
    "icon.svg",
    "index.html",
    "models/catalog.json",
    "page.js",
    "page_bg.wasm",
    "recorder.js",
    "samples/index.json",
    "site.webmanifest",
    "styles.css",
    "worker.js",
];
const LATER: [&str; 6] = [
    "audio-file-all.js",
    "audio-file-all_bg.wasm",
    "audio-file.js",
    "audio-file_bg.wasm",
    "engine-webgpu.js",
    "engine-webgpu_bg.wasm",
];

fn remove_custom_sections(site: &Path) -> Result<(), Box<dyn Error>> {
    let files = KEPT.iter().chain(&LATER);
    for path in files.filter(|path| path.ends_with(".wasm")) {
        let path = site.join(path);
        if path.exists() {
            let module = custom_sections::removed(&read(&path)?);
            let module = module.ok_or_else(|| format!("{} is damaged", path.display()))?;
            fs::write(path, module)?;
        }
    }
    Ok(())
}

fn write_files(site: &Path) -> Result<(), Box<dyn Error>> {
    let mut files = BTreeMap::new();
    for path in KEPT {
        files.insert(path, (sha256(&read(&site.join(path))?), true));
    }
    // A site may be without a GPU engine.
    for path in LATER {
        if let Ok(bytes) = read(&site.join(path)) {
            files.insert(path, (sha256(&bytes), false));
        }
    }
    let path = site.join("sw.js");
    let script = String::from_utf8(read(&path)?)?;
    let list = format!("const FILES = {};", serde_json::to_string(&files)?);
    let lines = script.lines().map(|line| {
        let is_list = line.starts_with(FILES);
        if is_list { list.as_str() } else { line }
    });
    let written: String = lines.map(|line| format!("{line}\n")).collect();
    if written == script && !script.contains(&list) {
        return Err("sw.js has no line for the list of files".into());
    }
    fs::write(path, written)?;
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn remote_file(models: &Path, path: String) -> Result<RemoteFile, Box<dyn Error>> {
    let bytes = read(&models.join(&path))?;
    Ok(RemoteFile {
        url: path,
        bytes: Some(bytes.len() as f64),
        sha256: Some(sha256(&bytes)),
    })
}
