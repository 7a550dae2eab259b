//! The head of a request.

use std::io::{BufRead, BufReader, Read};

use percent_encoding::percent_decode_str;

/// A request with more than this before its blank line is refused.
const MAX_REQUEST_BYTES: u64 = 16 * 1024;
const BAD: &str = "400 Bad Request";

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// The head of the answer alone.
    pub(super) is_head: bool,
    /// Decoded, without query.
    pub(super) path: String,
    /// As it was sent.
    pub(super) range: Option<String>,
    /// The tag of the copy that the browser has.
    pub(super) if_none_match: Option<String>,
    /// Whether the answer may be compressed with gzip.
    pub(super) accepts_gzip: bool,
}

impl Request {
    /// # Errors
    /// The status line that such a request deserves.
    pub(super) fn read(stream: impl Read) -> Result<Self, &'static str> {
        let mut reader = BufReader::new(stream.take(MAX_REQUEST_BYTES));
        let mut line = String::new();
        reader.read_line(&mut line).map_err(|_| BAD)?;
        let mut request = Self::of_first_line(&line)?;
        loop {
            let mut line = String::new();
            let read = reader.read_line(&mut line).map_err(|_| BAD)?;
            if read == 0 {
                return Err("431 Request Header Fields Too Large");
            }
            let line = line.trim_end();
            if line.is_empty() {
                return Ok(request);
            }
            if let Some((name, value)) = line.split_once(':') {
                request.take_header(name, value.trim());
            }
        }
    }

    fn of_first_line(line: &str) -> Result<Self, &'static str> {
        let mut parts = line.split_whitespace();
        let (Some(method), Some(target), Some(version)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(BAD);
        };
        if !version.starts_with("HTTP/1.") {
            return Err(BAD);
        }
        let is_head = match method {
            "GET" => false,
            "HEAD" => true,
            _ => return Err("405 Method Not Allowed"),
        };
        let path = target.split(['?', '#']).next().unwrap_or_default();
        Ok(Self {
            is_head,
            path: decode_percent(path).ok_or(BAD)?,
            ..Self::default()
        })
    }

    fn take_header(&mut self, name: &str, value: &str) {
        if name.eq_ignore_ascii_case("range") {
            self.range = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("if-none-match") {
            self.if_none_match = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("accept-encoding") {
            self.accepts_gzip = accepts_gzip(value);
        }
    }
}

/// Whether gzip is named and not weighted by 0 (RFC 9110, section 12.5.3).
fn accepts_gzip(header: &str) -> bool {
    header.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        is_gzip
            && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
    })
}

/// `None` for bytes that are not UTF-8, and NUL.
fn decode_percent(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}
