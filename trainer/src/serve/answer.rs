//! What a connection gets.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::SystemTime;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::locate::{Located, locate};
use super::range::{Range, parse_range};
use super::request::{Method, Request};
use super::{
    Site,
    compression::{self, Coding},
};

/// What a path holds beside letters and digits, as it stands.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// # Errors
/// The connection failed.
pub(super) fn answer(stream: &TcpStream, site: &Site) -> io::Result<()> {
    let mut out = stream;
    match Request::read(BufReader::new(stream)) {
        Ok(request) if !matches!(request.method, Method::Get | Method::Head) => {
            send_status(&mut out, "405 Method Not Allowed", "")
        }
        Ok(request) => match locate(&site.root, &request.path) {
            Located::File(path) => send_file(&mut out, &path, &request, site),
            Located::Folder => {
                let location = format!(
                    "Location: {}/\r\n",
                    utf8_percent_encode(&request.path, PATH)
                );
                send_status(&mut out, "301 Moved Permanently", &location)
            }
            Located::Nothing => send_status(&mut out, "404 Not Found", ""),
        },
        Err(status) => send_status(&mut out, status, ""),
    }
}

pub(crate) fn send_status(out: &mut impl Write, status: &str, headers: &str) -> io::Result<()> {
    let body = format!("{status}\n");
    write!(
        out,
        "HTTP/1.1 {status}\r\n{headers}Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn send_file(out: &mut impl Write, path: &Path, request: &Request, site: &Site) -> io::Result<()> {
    let Ok(mut file) = File::open(path) else {
        return send_status(out, "404 Not Found", "");
    };
    let metadata = file.metadata()?;
    let content_type = content_type(path);
    let tag = state_of(&metadata);
    // A part is of the file as it stands: the page counts in its bytes.
    let may_compress = request.range.is_none() && compression::pays(content_type);
    if may_compress
        && let Some((coding, bytes)) = site.compression.of(path, &tag, request.codings)?
    {
        let name = coding.name();
        let tag = format!("\"{tag}-{name}\"");
        let coding = format!("Content-Encoding: {name}\r\nVary: Accept-Encoding\r\n");
        let mut body = bytes.as_slice();
        let length = bytes.len() as u64;
        return send(
            out,
            request,
            &tag,
            content_type,
            &coding,
            Body::Whole(&mut body, length),
        );
    }
    let tag = format!("\"{tag}\"");
    let total = metadata.len();
    let (start, end) = match request.range.as_deref().map(|r| parse_range(r, total)) {
        Some(Range::Unsatisfiable) => {
            let header = format!("Content-Range: bytes */{total}\r\n");
            return send_status(out, "416 Range Not Satisfiable", &header);
        }
        Some(Range::Part(start, end)) => (start, end),
        Some(Range::Whole) | None => {
            let body = Body::Whole(&mut file, total);
            return send(
                out,
                request,
                &tag,
                content_type,
                "Vary: Accept-Encoding\r\n",
                body,
            );
        }
    };
    file.seek(SeekFrom::Start(start))?;
    let range = format!("Content-Range: bytes {start}-{end}/{total}\r\n");
    let body = Body::Part(&mut file, end - start + 1);
    send(out, request, &tag, content_type, &range, body)
}

/// What follows the head, and how many bytes of it.
enum Body<'a> {
    Whole(&'a mut dyn Read, u64),
    Part(&'a mut dyn Read, u64),
}

fn send(
    out: &mut impl Write,
    request: &Request,
    tag: &str,
    content_type: &str,
    headers: &str,
    body: Body<'_>,
) -> io::Result<()> {
    let has_copy = request
        .if_none_match
        .as_deref()
        .is_some_and(|tags| tags.split(',').any(|known| same_state(known, tag)));
    let (status, bytes, length) = match body {
        Body::Whole(..) if has_copy => {
            let head = format!(
                "HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\n{headers}\
                                Cache-Control: no-cache\r\nConnection: close\r\n\r\n"
            );
            return out.write_all(head.as_bytes());
        }
        Body::Whole(bytes, length) => ("200 OK", bytes, length),
        Body::Part(bytes, length) => ("206 Partial Content", bytes, length),
    };
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         {headers}ETag: {tag}\r\nAccept-Ranges: bytes\r\nCache-Control: no-cache\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )?;
    if request.method != Method::Head {
        io::copy(&mut bytes.take(length), out)?;
    }
    out.flush()
}

/// Whether two tags are of the same state of a file, however it was compressed: a copy in gzip is as good
/// as one in brotli.
fn same_state(known: &str, tag: &str) -> bool {
    fn state(tag: &str) -> &str {
        let tag = tag.trim().trim_start_matches("W/").trim_matches('"');
        let coded = [Coding::Gzip, Coding::Brotli].map(Coding::name);
        let coding = tag.rsplit_once('-');
        coding.map_or(
            tag,
            |(state, coding)| {
                if coded.contains(&coding) { state } else { tag }
            },
        )
    }
    state(known) == state(tag)
}

/// Length and time of change: another state of the file has another text.
fn state_of(metadata: &Metadata) -> String {
    let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let since = changed
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!("{:x}-{:x}", metadata.len(), since.as_nanos())
}

fn content_type(path: &Path) -> &'static str {
    let extension = path
        .extension()
        .map(|e| e.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    match extension.as_str() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "mp3" => "audio/mpeg",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
