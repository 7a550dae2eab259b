//! Ogg files as people have them, made of a fixture's pages.

use super::*;

struct Page {
    bytes: Vec<u8>,
    granule: u64,
}

/// The pages of a file; the first three of `speech-16k-pages.ogg` hold headers or none.
fn pages(file: &[u8]) -> Vec<Page> {
    let (mut pages, mut at) = (Vec::new(), 0);
    while at < file.len() {
        let segments = usize::from(file[at + 26]);
        let body: usize = file[at + 27..][..segments]
            .iter()
            .map(|s| usize::from(*s))
            .sum();
        let bytes = file[at..at + 27 + segments + body].to_vec();
        at += bytes.len();
        let granule = u64::from_le_bytes(bytes[6..14].try_into().unwrap());
        pages.push(Page { bytes, granule });
    }
    pages
}

fn joined<'a>(pages: impl IntoIterator<Item = &'a Page>) -> Vec<u8> {
    pages
        .into_iter()
        .flat_map(|page| page.bytes.clone())
        .collect()
}

/// Puts other bytes into a page's header, and its checksum right (RFC 3533: bit by bit).
fn patched(page: &Page, at: usize, with: &[u8]) -> Page {
    let mut bytes = page.bytes.clone();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes[22..26].fill(0);
    let mut crc = 0_u32;
    for byte in &bytes {
        crc ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            crc = (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
        }
    }
    bytes[22..26].copy_from_slice(&crc.to_le_bytes());
    let granule = u64::from_le_bytes(bytes[6..14].try_into().unwrap());
    Page { bytes, granule }
}

fn fixture_pages() -> Vec<Page> {
    let pages = pages(&std::fs::read(fixture("speech-16k-pages.ogg")).unwrap());
    assert!(pages.len() > 9);
    pages
}

/// The first page with sound.
fn first_sound(pages: &[Page]) -> usize {
    pages.iter().position(|page| page.granule > 0).unwrap()
}

#[test]
fn a_chain_is_heard_one_after_another() {
    let pages = fixture_pages();
    let one = heard("x.ogg", &joined(&pages)).samples;
    // As its last granule says.
    assert_eq!(one.len(), 16_384);
    // A second stream of the same number, and one of another.
    let other: Vec<Page> = pages
        .iter()
        .map(|page| patched(page, 14, b"abcd"))
        .collect();
    for second in [&pages, &other] {
        let heard = heard("x.ogg", &joined(pages.iter().chain(second)));
        assert_eq!(heard.samples, [&one[..], &one].concat());
        assert_eq!(heard.notices, [""; 0]);
    }
}

#[test]
fn granules_may_begin_anywhere_or_be_missing() {
    let pages = fixture_pages();
    let plain = heard("x.ogg", &joined(&pages)).samples;
    let first = first_sound(&pages);
    for add in [16_000 * 3600, 77_777] {
        let later: Vec<Page> = pages
            .iter()
            .enumerate()
            .map(|(i, page)| {
                let granule = if i < first {
                    page.granule
                } else {
                    page.granule + add
                };
                patched(page, 6, &granule.to_le_bytes())
            })
            .collect();
        assert_eq!(heard("x.ogg", &joined(&later)).samples, plain, "{add}");
    }
    // Some programs write nonsense into the last.
    let mut wrong = fixture_pages();
    let last = wrong.len() - 1;
    wrong[last] = patched(&wrong[last], 10, &[1]);
    let of_wrong = heard("x.ogg", &joined(&wrong)).samples;
    assert!(of_wrong.len() >= plain.len() && of_wrong.len() < plain.len() + 2048);
    let missing: Vec<Page> = pages
        .iter()
        .map(|page| patched(page, 6, &[0xff; 8]))
        .collect();
    let heard = heard("x.ogg", &joined(&missing)).samples;
    // Only the last granule tells where the encoder's padding begins.
    assert!(heard.len() >= plain.len() && heard.len() < plain.len() + 2048);
    assert_eq!(heard[..plain.len()], plain);
}

#[test]
fn a_damaged_or_missing_page_keeps_its_time() {
    let pages = fixture_pages();
    let plain = heard("x.ogg", &joined(&pages)).samples;
    let first = first_sound(&pages);
    for damaged in first..pages.len() {
        for kind in ["body", "name", "sizes", "missing"] {
            let mut file = fixture_pages();
            match kind {
                "body" => *file[damaged].bytes.last_mut().unwrap() ^= 0x10,
                "name" => file[damaged].bytes[..4].copy_from_slice(b"oops"),
                "sizes" => file[damaged].bytes[27] ^= 0x81,
                _ => file[damaged].bytes.clear(),
            }
            let is_last = damaged == pages.len() - 1;
            // Nothing tells of a last page that is not there; one with wrong sizes looks cut.
            if is_last && ["missing", "sizes"].contains(&kind) {
                continue;
            }
            let what = format!("{kind} of page {damaged}");
            let heard = heard("x.ogg", &joined(&file));
            let tolerance = if is_last { 3200 } else { 0 };
            let off = heard.samples.len().abs_diff(plain.len());
            assert!(
                off <= tolerance,
                "{what}: {} of {}",
                heard.samples.len(),
                plain.len()
            );
            assert_eq!(heard.notices.len(), 1, "{what}: {:?}", heard.notices);
            let start = if damaged == first {
                0
            } else {
                pages[damaged - 1].granule as usize
            };
            let end = pages[damaged].granule as usize;
            for (i, (a, b)) in heard.samples.iter().zip(&plain).enumerate() {
                let is_near = i + 1024 > start && i < end + 2048;
                assert!(
                    is_near || (a - b).abs() < 1e-4,
                    "{what}: {a}, not {b} at {i}"
                );
            }
        }
    }
}

#[test]
fn streams_of_other_things_beside_the_sound_are_passed_over() {
    let pages = fixture_pages();
    let plain = heard("x.ogg", &joined(&pages)).samples;
    let mut skeleton = b"OggS\0\x02".to_vec();
    skeleton.extend([0; 8]);
    skeleton.extend(b"skel\0\0\0\0\0\0\0\0\x01\x08fishead\0");
    let granule = 0;
    let skeleton = patched(
        &Page {
            bytes: skeleton,
            granule,
        },
        4,
        b"\0",
    );
    let more = patched(&skeleton, 5, b"\0");
    let more = patched(&more, 18, &[1]);
    let file = [&skeleton, &pages[0], &more]
        .into_iter()
        .chain(&pages[1..5])
        .chain([&more])
        .chain(&pages[5..]);
    assert_eq!(heard("x.ogg", &joined(file)).samples, plain);
}
