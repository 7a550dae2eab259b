#![allow(clippy::unwrap_used)]
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use super::*;
use crate::data::{decode_file, read_manifest, wav_bytes};

fn server(prompts: &[&str]) -> (tempfile::TempDir, SocketAddr) {
    let folder = tempfile::tempdir().unwrap();
    let prompts: Vec<String> = prompts.iter().map(|text| (*text).to_owned()).collect();
    let server = RecordServer::bind(&folder.path().join("takes"), &prompts, 0).unwrap();
    let address = server.address().unwrap();
    std::thread::spawn(move || server.run());
    (folder, address)
}

fn ask(address: SocketAddr, head: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    // The server may answer, and close, before it has read everything.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let split = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    (head, bytes[split + 4..].to_vec())
}

fn request(address: SocketAddr, line: &str, body: &[u8]) -> (String, Vec<u8>) {
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n");
    ask(address, &head, body)
}

fn tone(secs: f32) -> Vec<u8> {
    let samples = (0..(16_000.0 * secs) as usize).map(|i| (i as f32 * 0.1).sin() * 0.3);
    wav_bytes(&samples.collect::<Vec<_>>())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("takes")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_take_is_kept_with_its_text_played_taken_again_and_deleted() {
    let (folder, address) = server(&["stop", "turn on the light"]);
    let (head, _) = request(address, "PUT /takes/1", &tone(1.0));
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let kept = [
        "002-turn-on-the-light.txt",
        "002-turn-on-the-light.wav",
        "recordings.jsonl",
    ];
    assert_eq!(names(folder.path()), kept);
    let text = std::fs::read_to_string(folder.path().join("takes").join(kept[0])).unwrap();
    assert_eq!(text, "turn on the light\n");
    let (_, prompts) = request(address, "GET /prompts", b"");
    let prompts: serde_json::Value = serde_json::from_slice(&prompts).unwrap();
    assert_eq!(prompts[0]["recorded"], false);
    assert_eq!(
        (&prompts[1]["text"], &prompts[1]["recorded"]),
        (&"turn on the light".into(), &true.into())
    );

    // Another take, in its place.
    request(address, "PUT /takes/1", &tone(2.0));
    let (head, wav) = request(address, "GET /takes/1", b"");
    assert!(head.contains("audio/wav"), "{head}");
    let path = folder.path().join("played.wav");
    std::fs::write(&path, wav).unwrap();
    let (samples, rate_hz) = decode_file(&path).unwrap();
    assert_eq!((samples.len(), rate_hz), (32_000, 16_000));
    let manifest = read_manifest(&folder.path().join("takes/recordings.jsonl")).unwrap();
    assert_eq!((manifest.len(), manifest[0].duration_secs), (1, 2.0));

    assert!(
        request(address, "DELETE /takes/1", b"")
            .0
            .starts_with("HTTP/1.1 200")
    );
    assert_eq!(names(folder.path()), ["recordings.jsonl"]);
    assert!(
        request(address, "GET /takes/1", b"")
            .0
            .starts_with("HTTP/1.1 404")
    );
}

#[test]
fn other_rates_come_to_16_khz() {
    let (folder, address) = server(&["stop"]);
    let mut wav = tone(1.0);
    // Twice the rate: half as long.
    wav[24..28].copy_from_slice(&32_000u32.to_le_bytes());
    wav[28..32].copy_from_slice(&64_000u32.to_le_bytes());
    request(address, "PUT /takes/0", &wav);
    let (samples, rate_hz) = decode_file(&folder.path().join("takes/001-stop.wav")).unwrap();
    assert_eq!((samples.len(), rate_hz), (8_000, 16_000));
}

#[test]
fn what_is_no_recording_is_refused_with_a_reason_and_the_old_one_stays() {
    let (folder, address) = server(&["stop"]);
    request(address, "PUT /takes/0", &tone(1.0));
    let before = std::fs::read(folder.path().join("takes/001-stop.wav")).unwrap();
    for (body, reason) in [
        (b"not audio at all".to_vec(), ""),
        (tone(0.1), "0.1 s long"),
        (tone(25.0), "25.0 s long"),
        (wav_bytes(&[0.0; 16_000]), "silent"),
        (vec![], ""),
    ] {
        let (head, told) = request(address, "PUT /takes/0", &body);
        assert!(head.starts_with("HTTP/1.1 422"), "{head}");
        let told = String::from_utf8(told).unwrap();
        assert!(told.contains(reason) && !told.contains("takes"), "{told}");
    }
    assert_eq!(
        std::fs::read(folder.path().join("takes/001-stop.wav")).unwrap(),
        before
    );
}

#[test]
fn sizes_are_bounded_before_anything_is_read() {
    let (folder, address) = server(&["stop"]);
    let head = |length: &str| format!("PUT /takes/0 HTTP/1.1\r\nHost: {address}\r\n{length}\r\n");
    let too_much = ask(address, &head("Content-Length: 99999999999\r\n"), b"").0;
    assert!(too_much.starts_with("HTTP/1.1 413"), "{too_much}");
    let unknown = ask(address, &head("Transfer-Encoding: chunked\r\n"), b"").0;
    assert!(unknown.starts_with("HTTP/1.1 411"), "{unknown}");
    let endless = ask(
        address,
        &head(&format!("X: {}\r\n", "x".repeat(20_000))),
        b"",
    )
    .0;
    assert!(endless.starts_with("HTTP/1.1 431"), "{endless}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn no_request_names_a_file() {
    let (folder, address) = server(&["../../etc/passwd"]);
    std::fs::write(folder.path().join("secret.wav"), "secret").unwrap();
    for path in [
        "/takes/../secret",
        "/takes/%2e%2e%2fsecret",
        "/takes/1",
        "/takes/-1",
        "/takes/99999999999999999999",
        "/secret.wav",
        "/../secret.wav",
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let (head, body) = request(address, &format!("{method} {path}"), &tone(1.0));
            assert!(head.starts_with("HTTP/1.1 40"), "{method} {path}: {head}");
            assert!(!body.starts_with(b"secret"));
        }
    }
    request(address, "PUT /takes/0", &tone(1.0));
    assert_eq!(names(folder.path())[1], "001-etc-passwd.wav");
}

#[test]
fn a_refusal_reaches_who_is_still_sending() {
    let (_folder, address) = server(&["stop"]);
    let body = tone(1.0);
    // A connection that is closed too early loses its answer only now and then.
    for _ in 0..2000 {
        let (head, _) = request(address, "PUT /takes/-1", &body);
        assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    }
}

#[test]
fn other_sites_are_refused_by_their_name_and_their_pages() {
    let (_folder, address) = server(&["stop"]);
    let port = address.port();
    for (headers, is_allowed) in [
        (format!("Host: 127.0.0.1:{port}\r\n"), true),
        (
            format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n"),
            true,
        ),
        (
            format!("Host: 127.0.0.1:{port}\r\nOrigin: http://evil.example\r\n"),
            false,
        ),
        (format!("Host: 127.0.0.1:{port}\r\nOrigin: null\r\n"), false),
        (format!("Host: evil.example:{port}\r\n"), false),
        (String::new(), false),
    ] {
        let (head, _) = ask(address, &format!("GET / HTTP/1.1\r\n{headers}\r\n"), b"");
        assert_eq!(
            head.starts_with("HTTP/1.1 200"),
            is_allowed,
            "{headers}{head}"
        );
        assert_eq!(
            head.starts_with("HTTP/1.1 403"),
            !is_allowed,
            "{headers}{head}"
        );
    }
}

#[test]
fn the_page_and_its_parts_are_there_and_nothing_else() {
    let (_folder, address) = server(&["stop"]);
    for (path, kind) in [
        ("/", "text/html"),
        ("/style.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/capture.js", "text/javascript"),
    ] {
        let (head, body) = request(address, &format!("GET {path}"), b"");
        assert!(
            head.contains(kind) && head.contains("default-src 'self'") && !body.is_empty(),
            "{head}"
        );
        assert!(request(address, &format!("HEAD {path}"), b"").1.is_empty());
    }
    assert!(request(address, "PUT /", b"").0.contains("405"));
    assert!(request(address, "GET /other", b"").0.contains("404"));
}
