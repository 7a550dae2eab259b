#![allow(clippy::unwrap_used)]
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::range::{Range, parse_range};
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
    std::os::unix::fs::symlink(folder.path().join("secret.txt"), root.join("link.txt")).unwrap();
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

#[test]
fn text_and_modules_come_compressed_to_those_who_can_read_it() {
    let (folder, address) = site();
    let text = "words ".repeat(1000);
    std::fs::write(folder.path().join("site/page.js"), &text).unwrap();
    let gzip = "Accept-Encoding: gzip;q=0.8\r\n";
    for _ in 0..2 {
        let (head, body) = get(address, "/page.js", gzip);
        assert!(head.contains("Content-Encoding: gzip"), "{head}");
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
        assert!(body.len() < 200, "{}", body.len());
        let mut read = String::new();
        flate2::read::GzDecoder::new(&body[..])
            .read_to_string(&mut read)
            .unwrap();
        assert_eq!(read, text);
    }
    for plain in [
        "",
        "Accept-Encoding: gzip;q=0\r\n",
        "Accept-Encoding: zstd\r\n",
    ] {
        assert_eq!(
            get(address, "/page.js", plain).1,
            text.as_bytes(),
            "{plain}"
        );
    }
    // A part counts in the bytes of the file.
    let range = format!("{gzip}Range: bytes=6-10\r\n");
    assert_eq!(get(address, "/page.js", &range).1, b"words");
}

#[test]
fn who_comes_later_gets_brotli_until_the_file_changes() {
    let (folder, address) = site();
    let path = folder.path().join("site/page.js");
    let both = "Accept-Encoding: gzip, br\r\n";
    for word in ["words ", "other "] {
        let text = word.repeat(1000);
        std::fs::write(&path, &text).unwrap();
        let (head, _) = get(address, "/page.js", both);
        assert!(head.contains("Content-Encoding: gzip"), "{head}");
        let tag = head
            .lines()
            .find_map(|line| line.strip_prefix("ETag: "))
            .unwrap()
            .to_owned();
        let body = (0..200).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let (head, body) = get(address, "/page.js", both);
            head.contains("Content-Encoding: br").then_some(body)
        });
        let mut read = Vec::new();
        brotli::BrotliDecompress(&mut &body.unwrap()[..], &mut read).unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), text);
        // A copy in gzip is still a copy of the file.
        let asked = format!("{both}If-None-Match: {tag}\r\n");
        let (head, _) = get(address, "/page.js", &asked);
        assert!(head.starts_with("HTTP/1.1 304"), "{head}");
    }
    let alone = get(address, "/page.js", "Accept-Encoding: br\r\n").0;
    assert!(alone.contains("Content-Encoding: br"), "{alone}");
}

#[test]
fn a_file_that_the_browser_has_is_not_sent_again_until_it_changes() {
    let (folder, address) = site();
    let tag_of = |head: &str| {
        let line = head
            .lines()
            .find(|line| line.starts_with("ETag: "))
            .unwrap();
        line.trim_start_matches("ETag: ").to_owned()
    };
    for accept in ["", "Accept-Encoding: gzip\r\n"] {
        let tag = tag_of(&get(address, "/", accept).0);
        let asked = format!("{accept}If-None-Match: \"other\", {tag}\r\n");
        let (head, body) = get(address, "/", &asked);
        assert!(
            head.starts_with("HTTP/1.1 304") && body.is_empty(),
            "{head}"
        );
        std::fs::write(
            folder.path().join("site/index.html"),
            format!("<p>new{accept}"),
        )
        .unwrap();
        assert!(get(address, "/", &asked).0.starts_with("HTTP/1.1 200"));
    }
}
