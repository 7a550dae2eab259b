//! What a connection gets: the page, its prompts, a recording; or what is sent is kept.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;

use super::takes::{TakeError, Takes};
use crate::fault::error_line;
use crate::serve::{Method, Request, send_status};

/// Longest recording that is taken: 20 s of 48 kHz, twice.
const MAX_BODY_BYTES: u64 = 4 << 20;

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/page.js");
const CAPTURE: &str = include_str!("page/capture.js");

/// # Errors
/// The connection failed.
pub(super) fn answer(stream: &TcpStream, takes: &Takes, port: u16) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut out = stream;
    let request = match Request::read(&mut reader) {
        Ok(request) => request,
        Err(status) => return send_status(&mut out, status, ""),
    };
    if !is_own_page(&request, port) {
        return send_status(&mut out, "403 Forbidden", "");
    }
    if let Some(number) = request.path.strip_prefix("/takes/") {
        return match number.parse() {
            Ok(index) => answer_take(&mut out, &mut reader, takes, &request, index),
            Err(_) => send_status(&mut out, "404 Not Found", ""),
        };
    }
    if !matches!(request.method, Method::Get | Method::Head) {
        return send_status(&mut out, "405 Method Not Allowed", "");
    }
    let is_head = request.method == Method::Head;
    let prompts;
    let (kind, body) = match request.path.as_str() {
        "/" => ("text/html; charset=utf-8", PAGE),
        "/style.css" => ("text/css; charset=utf-8", STYLE),
        "/page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "/capture.js" => ("text/javascript; charset=utf-8", CAPTURE),
        "/prompts" => {
            prompts = serde_json::to_string(&takes.state())?;
            ("application/json", prompts.as_str())
        }
        _ => return send_status(&mut out, "404 Not Found", ""),
    };
    send(&mut out, kind, body.as_bytes(), is_head)
}

/// A page of another site may ask, too, and a name of another site may lead here: both are seen.
fn is_own_page(request: &Request, port: u16) -> bool {
    let names = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let host = request.host.as_deref().unwrap_or_default();
    let is_own = |origin: &str| origin == format!("http://{host}");
    names.iter().any(|name| name == host) && request.origin.as_deref().is_none_or(is_own)
}

fn answer_take(
    out: &mut impl Write,
    reader: &mut impl Read,
    takes: &Takes,
    request: &Request,
    index: usize,
) -> io::Result<()> {
    let kept = match request.method {
        Method::Get | Method::Head => {
            return match takes.read(index) {
                Some(wav) => send(out, "audio/wav", &wav, request.method == Method::Head),
                None => send_status(out, "404 Not Found", ""),
            };
        }
        Method::Delete => takes.delete(index),
        Method::Put => {
            let Some(length) = request.content_length else {
                return send_status(out, "411 Length Required", "");
            };
            if length > MAX_BODY_BYTES {
                return send_status(out, "413 Content Too Large", "");
            }
            let mut sent = vec![0; length as usize];
            reader.read_exact(&mut sent)?;
            takes.keep(index, &sent)
        }
    };
    match kept {
        None => send_status(out, "404 Not Found", ""),
        Some(Ok(())) => send(out, "application/json", b"{}", false),
        Some(Err(error)) => {
            let status = match error {
                TakeError::Unusable(_) => "422 Unprocessable Content",
                TakeError::Write { .. } => "500 Internal Server Error",
            };
            send_reason(out, status, &error_line(&error))
        }
    }
}

fn send(out: &mut impl Write, kind: &str, body: &[u8], is_head: bool) -> io::Result<()> {
    write!(
        out,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Content-Security-Policy: default-src 'self'; media-src 'self' blob:; frame-ancestors 'none'\r\n\
         X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if !is_head {
        out.write_all(body)?;
    }
    out.flush()
}

fn send_reason(out: &mut impl Write, status: &str, reason: &str) -> io::Result<()> {
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{reason}",
        reason.len()
    )?;
    out.flush()
}
