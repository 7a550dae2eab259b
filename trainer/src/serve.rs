//! A small file server for the built page: `GET` and `HEAD`, ranges, several connections at once.
//! It serves one machine, so it speaks plain HTTP and closes each connection after its answer.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::exit_status::{ExitStatus, HasExitStatus};

/// A request with more than this before its blank line is refused.
const MAX_REQUEST_BYTES: u64 = 16 * 1024;
/// A peer that says nothing for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_CONNECTIONS: usize = 128;

/// Why a folder is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// It is not there or cannot be looked into.
    #[error("{folder} cannot be served")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file where a folder should be.
    #[error("{folder} cannot be served: it is a file, give the folder of a built site")]
    NotAFolder {
        /// The file.
        folder: PathBuf,
    },
    /// Another program listens there.
    #[error("port {port} is in use by another program; stop it or choose another with --port")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The address cannot be used.
    #[error("cannot listen on {host}:{port}")]
    Listen {
        /// Name or address.
        host: String,
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
}

impl HasExitStatus for ServeError {
    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Folder { .. } | Self::NotAFolder { .. } => ExitStatus::Usage,
            Self::PortInUse { .. } | Self::Listen { .. } => ExitStatus::Failed,
        }
    }
}

/// Serves one folder.
pub struct Server {
    listener: TcpListener,
    root: PathBuf,
}

impl Server {
    /// Takes the port (0: any free one) without answering yet.
    ///
    /// # Errors
    /// `root` is no folder, or the address cannot be listened on.
    pub fn bind(root: &Path, host: &str, port: u16) -> Result<Self, ServeError> {
        let resolved = root.canonicalize().map_err(|source| ServeError::Folder {
            folder: root.to_owned(),
            source,
        })?;
        if !resolved.is_dir() {
            return Err(ServeError::NotAFolder {
                folder: root.to_owned(),
            });
        }
        let listener = TcpListener::bind((host, port)).map_err(|source| {
            if source.kind() == io::ErrorKind::AddrInUse {
                ServeError::PortInUse { port }
            } else {
                ServeError::Listen {
                    host: host.to_owned(),
                    port,
                    source,
                }
            }
        })?;
        Ok(Self {
            listener,
            root: resolved,
        })
    }

    /// Where it listens: the port that the system chose, for port 0.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the process ends.
    ///
    /// # Errors
    /// None of a connection: one that fails is dropped.
    pub fn run(&self) -> io::Result<()> {
        let root = Arc::new(self.root.clone());
        let open = Arc::new(AtomicUsize::new(0));
        for stream in self.listener.incoming() {
            // One peer that failed to connect is no reason to stop.
            let Ok(stream) = stream else { continue };
            if open.load(Ordering::SeqCst) >= MAX_CONNECTIONS {
                continue;
            }
            let slot = Slot::take(&open);
            let root = Arc::clone(&root);
            let spawned = std::thread::Builder::new().spawn(move || {
                let _slot = slot;
                let _ = answer(&stream, &root);
            });
            if spawned.is_err() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

/// Counts a connection for as long as it lives.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(open))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Request {
    is_head: bool,
    /// Decoded, without query.
    path: String,
    range: Option<String>,
}

fn answer(stream: &TcpStream, root: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut out = stream;
    match read_request(stream) {
        Ok(request) => match locate(root, &request.path) {
            Located::File(path) => send_file(&mut out, &path, &request),
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

fn read_request(stream: &TcpStream) -> Result<Request, &'static str> {
    const BAD: &str = "400 Bad Request";
    let mut reader = BufReader::new(stream.take(MAX_REQUEST_BYTES));
    let mut line = String::new();
    reader.read_line(&mut line).map_err(|_| BAD)?;
    let mut parts = line.split_whitespace();
    let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next())
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
    let mut range = None;
    loop {
        let mut line = String::new();
        let read = reader.read_line(&mut line).map_err(|_| BAD)?;
        if read == 0 {
            return Err("431 Request Header Fields Too Large");
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("range")
        {
            range = Some(value.trim().to_owned());
        }
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = decode_percent(path).ok_or(BAD)?;
    Ok(Request {
        is_head,
        path,
        range,
    })
}

/// `None` for bytes that are not UTF-8, and NUL.
fn decode_percent(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}

/// What a path holds beside letters and digits, as it stands.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

enum Located {
    File(PathBuf),
    /// A folder named without its final slash: relative links would miss it.
    Folder,
    Nothing,
}

/// The file that a request path means, never one outside `root` (links are followed and checked).
fn locate(root: &Path, path: &str) -> Located {
    let Some(relative) = path.strip_prefix('/') else {
        return Located::Nothing;
    };
    let is_plain = Path::new(relative)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || relative.contains('\\') {
        return Located::Nothing;
    }
    let Ok(found) = root.join(relative).canonicalize() else {
        return Located::Nothing;
    };
    if !found.starts_with(root) {
        return Located::Nothing;
    }
    if found.is_file() {
        return Located::File(found);
    }
    if !path.ends_with('/') {
        return Located::Folder;
    }
    match found.join("index.html").canonicalize() {
        Ok(index) if index.starts_with(root) && index.is_file() => Located::File(index),
        _ => Located::Nothing,
    }
}

fn send_status(out: &mut impl Write, status: &str, headers: &str) -> io::Result<()> {
    let body = format!("{status}\n");
    write!(
        out,
        "HTTP/1.1 {status}\r\n{headers}Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn send_file(out: &mut impl Write, path: &Path, request: &Request) -> io::Result<()> {
    let Ok(mut file) = File::open(path) else {
        return send_status(out, "404 Not Found", "");
    };
    let total = file.metadata()?.len();
    let range = match request.range.as_deref().map(|r| parse_range(r, total)) {
        Some(Range::Unsatisfiable) => {
            let header = format!("Content-Range: bytes */{total}\r\n");
            return send_status(out, "416 Range Not Satisfiable", &header);
        }
        Some(Range::Part(start, end)) => Some((start, end)),
        Some(Range::Whole) | None => None,
    };
    let (status, start, length) = match range {
        Some((start, end)) => ("206 Partial Content", start, end - start + 1),
        None => ("200 OK", 0, total),
    };
    let mut head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {}\r\nContent-Length: {length}\r\n\
         Accept-Ranges: bytes\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n\
         Connection: close\r\n",
        content_type(path)
    );
    if range.is_some() {
        head += &format!(
            "Content-Range: bytes {start}-{}/{total}\r\n",
            start + length - 1
        );
    }
    head += "\r\n";
    out.write_all(head.as_bytes())?;
    if !request.is_head {
        file.seek(SeekFrom::Start(start))?;
        io::copy(&mut file.take(length), out)?;
    }
    out.flush()
}

#[derive(Debug, PartialEq)]
enum Range {
    /// First and last byte.
    Part(u64, u64),
    /// What is not understood is ignored, as RFC 9110 section 14.2 asks.
    Whole,
    Unsatisfiable,
}

fn parse_range(header: &str, total: u64) -> Range {
    let Some(spec) = header.strip_prefix("bytes=") else {
        return Range::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Range::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        return match last.parse::<u64>() {
            Ok(0) => Range::Unsatisfiable,
            Ok(_) if total == 0 => Range::Unsatisfiable,
            Ok(suffix) => Range::Part(total.saturating_sub(suffix), total - 1),
            Err(_) => Range::Whole,
        };
    }
    let Ok(first) = first.parse::<u64>() else {
        return Range::Whole;
    };
    let last = if last.is_empty() {
        u64::MAX
    } else {
        match last.parse::<u64>() {
            Ok(last) if last >= first => last,
            _ => return Range::Whole,
        }
    };
    if first >= total {
        Range::Unsatisfiable
    } else {
        Range::Part(first, last.min(total - 1))
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn site() -> (tempfile::TempDir, SocketAddr) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("site");
        std::fs::create_dir_all(root.join("models")).unwrap();
        std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
        std::fs::write(root.join("index.html"), "<p>page").unwrap();
        std::fs::write(root.join("app.wasm"), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
        std::fs::write(root.join("models/a b.json"), "{}").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path().join("secret.txt"), root.join("link.txt"))
            .unwrap();
        let server = Server::bind(&root, "127.0.0.1", 0).unwrap();
        let address = server.address().unwrap();
        std::thread::spawn(move || server.run());
        (folder, address)
    }

    fn ask(address: SocketAddr, request: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let split = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
        (head, bytes[split + 4..].to_vec())
    }

    fn get(address: SocketAddr, path: &str, headers: &str) -> (String, Vec<u8>) {
        ask(
            address,
            &format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"),
        )
    }

    #[test]
    fn files_come_with_their_type_and_a_folder_gives_its_index() {
        let (_folder, address) = site();
        let (head, body) = get(address, "/", "");
        assert!(
            head.starts_with("HTTP/1.1 200") && head.contains("text/html"),
            "{head}"
        );
        assert_eq!(body, b"<p>page");
        let (head, body) = get(address, "/app.wasm?v=1", "");
        assert!(
            head.contains("application/wasm") && head.contains("no-cache"),
            "{head}"
        );
        assert_eq!(body.len(), 10);
        assert_eq!(get(address, "/models/a%20b.json", "").1, b"{}");
        let (head, _) = get(address, "/models", "");
        assert!(
            head.contains("301") && head.contains("Location: /models/"),
            "{head}"
        );
        assert!(get(address, "/models/", "").0.starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn head_has_the_length_and_no_body() {
        let (_folder, address) = site();
        let (head, body) = ask(address, "HEAD /app.wasm HTTP/1.1\r\n\r\n");
        assert!(
            head.contains("Content-Length: 10") && body.is_empty(),
            "{head}"
        );
        assert!(ask(address, "POST / HTTP/1.1\r\n\r\n").0.contains("405"));
        assert!(ask(address, "nonsense\r\n\r\n").0.contains("400"));
    }

    #[test]
    fn ranges_give_their_bytes() {
        let (_folder, address) = site();
        let (head, body) = get(address, "/app.wasm", "Range: bytes=2-4\r\n");
        assert!(
            head.contains("206") && head.contains("bytes 2-4/10"),
            "{head}"
        );
        assert_eq!(body, [2, 3, 4]);
        assert_eq!(get(address, "/app.wasm", "range: bytes=8-\r\n").1, [8, 9]);
        assert_eq!(
            get(address, "/app.wasm", "Range: bytes=-3\r\n").1,
            [7, 8, 9]
        );
        assert!(
            get(address, "/app.wasm", "Range: bytes=10-\r\n")
                .0
                .contains("416")
        );
        assert_eq!(parse_range("bytes=5-2", 10), Range::Whole);
        assert_eq!(parse_range("bytes=-5", 0), Range::Unsatisfiable);
        assert_eq!(parse_range("bytes=0-99", 10), Range::Part(0, 9));
    }

    #[test]
    fn nothing_outside_the_folder_is_reachable() {
        let (_folder, address) = site();
        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/models/../../secret.txt",
            "/..%2fsecret.txt",
            "/..\\secret.txt",
            "//secret.txt",
            "/link.txt",
            "/%00",
            "/%zz",
            "secret.txt",
        ] {
            let (head, body) = get(address, path, "");
            assert!(
                head.contains("404") || head.contains("400"),
                "{path}: {head}"
            );
            assert!(!body.starts_with(b"secret"), "{path}");
        }
    }

    #[test]
    fn a_silent_peer_does_not_block_others() {
        let (_folder, address) = site();
        let _silent = TcpStream::connect(address).unwrap();
        assert!(get(address, "/", "").0.starts_with("HTTP/1.1 200"));
    }

    #[test]
    fn a_taken_port_is_told_plainly() {
        let (folder, address) = site();
        let error = Server::bind(folder.path(), "127.0.0.1", address.port())
            .err()
            .unwrap();
        assert!(matches!(error, ServeError::PortInUse { .. }), "{error}");
        assert!(Server::bind(&folder.path().join("none"), "127.0.0.1", 0).is_err());
    }
}
