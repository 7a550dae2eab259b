//! The head of a request.

use std::io::BufRead;

use percent_encoding::percent_decode_str;

use super::compression::{Coding, Codings};

/// A request with more than this before its blank line is refused.
const MAX_REQUEST_BYTES: u64 = 16 * 1024;
const BAD: &str = "400 Bad Request";

/// What is to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Method {
    #[default]
    Get,
    /// The head of the answer alone.
    Head,
    Put,
    Delete,
}

/// What is asked for.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Decoded, without query.
    pub(crate) path: String,
    /// Whom the browser believes it speaks to.
    pub(crate) host: Option<String>,
    /// Whose page asks, where the browser says.
    pub(crate) origin: Option<String>,
    /// Bytes that follow the head.
    pub(crate) content_length: Option<u64>,
    /// As it was sent.
    pub(super) range: Option<String>,
    /// The tag of the copy that the browser has.
    pub(super) if_none_match: Option<String>,
    /// How the answer may be compressed.
    pub(super) codings: Codings,
}

impl Request {
    /// Reads the head; what follows it is left in `reader`.
    ///
    /// # Errors
    /// The status line that such a request deserves.
    pub(crate) fn read(reader: impl BufRead) -> Result<Self, &'static str> {
        let mut reader = reader.take(MAX_REQUEST_BYTES);
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
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            _ => return Err("405 Method Not Allowed"),
        };
        let path = target.split(['?', '#']).next().unwrap_or_default();
        Ok(Self {
            method,
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
            self.codings = Codings {
                gzip: accepts(value, Coding::Gzip),
                brotli: accepts(value, Coding::Brotli),
            };
        } else if name.eq_ignore_ascii_case("host") {
            self.host = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("origin") {
            self.origin = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("content-length") {
            self.content_length = value.parse().ok();
        }
    }
}

/// Whether a coding is named and not weighted by 0 (RFC 9110, section 12.5.3).
fn accepts(header: &str, wanted: Coding) -> bool {
    header.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_wanted = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(wanted.name()));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        is_wanted
            && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
    })
}

/// `None` for bytes that are not UTF-8, and NUL.
fn decode_percent(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}
