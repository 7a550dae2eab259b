//! Custom sections of WebAssembly modules: names of functions, and which tools made the module. No
//! browser needs them, and wasm-bindgen adds some to a module that was linked without.

/// Of a module's head: `\0asm` and the version.
const HEAD_BYTES: usize = 8;
/// What kind of section this is.
const CUSTOM: u8 = 0;

/// A module without its custom sections; `None` for what is no whole module.
pub fn removed(module: &[u8]) -> Option<Vec<u8>> {
    if !module.starts_with(b"\0asm") {
        return None;
    }
    let mut kept = module.get(..HEAD_BYTES)?.to_vec();
    let mut rest = module.get(HEAD_BYTES..)?;
    while let Some((&kind, after)) = rest.split_first() {
        let (length, content) = leb128(after)?;
        let head = rest.len() - content.len();
        let (section, later) = rest.split_at_checked(head.checked_add(length)?)?;
        if kind != CUSTOM {
            kept.extend_from_slice(section);
        }
        rest = later;
    }
    Some(kept)
}

/// A number of up to 32 bits, seven of them a byte, and what comes behind it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (place, &byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn section(kind: u8, content: &[u8]) -> Vec<u8> {
        // Lengths of two bytes, as linkers pad them.
        let length = [
            content.len() as u8 & 0x7f | 0x80,
            (content.len() >> 7) as u8,
        ];
        [&[kind][..], &length, content].concat()
    }

    fn module(sections: &[Vec<u8>]) -> Vec<u8> {
        [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat()
    }

    #[test]
    fn custom_sections_go_and_all_others_stay_in_order() {
        let (types, code) = (section(1, &[7; 200]), section(10, &[0; 3]));
        let names = section(0, b"\x04name and more");
        let whole = module(&[
            names.clone(),
            types.clone(),
            names.clone(),
            code.clone(),
            names,
        ]);
        assert_eq!(removed(&whole).unwrap(), module(&[types, code]));
    }

    #[test]
    fn what_is_no_whole_module_is_refused() {
        let whole = module(&[section(1, &[7; 200])]);
        assert!(removed(&whole[..whole.len() - 1]).is_none());
        assert!(removed(&whole[..9]).is_none());
        assert!(removed(b"\0asm").is_none());
        assert!(removed(b"<!doctype html>").is_none());
        let endless = module(&[vec![1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]]);
        assert!(removed(&endless).is_none());
    }
}
