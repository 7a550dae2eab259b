//! The compact binary form.
//!
//! ```text
//! magic "FLEDGELM", version u8, order u8, steps per nat u8
//! number of words, then number of n-grams of each order from 2        varint each
//! words, frequent first                                               length varint, UTF-8
//! unigrams in word order: cost - previous cost, [back-off]            varint, [zigzag varint]
//! order k from 2: for each n-gram of order k - 1, its children:
//!   how many, then per child: word - previous word - 1, cost, [back-off]
//! the first 8 bytes of SHA-256 of everything before
//! ```
//!
//! A cost is -ln p and a back-off is ln b, in steps; the highest order has no back-offs. Varints
//! are LEB128 of at most 32 bits.

use sha2::{Digest, Sha256};

use super::{Levels, MAX_NGRAMS, MAX_ORDER, NgramLm, table::check_word};

pub(super) const MAGIC: &[u8; 8] = b"FLEDGELM";
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
/// Half a step is 1/32 nat: a factor of 1.03 on a probability. Most costs stay below 128 steps,
/// so they take one byte.
pub(super) const STEPS_PER_NAT: u8 = 16;

/// Steps of a value, 0 if it is negative.
pub(super) fn quantize(nats: f32) -> u32 {
    (nats * f32::from(STEPS_PER_NAT)).round() as u32
}

pub(super) fn write(lm: &NgramLm) -> Vec<u8> {
    let counts = lm.num_ngrams();
    let mut bytes = MAGIC.to_vec();
    bytes.extend([VERSION, lm.order as u8, STEPS_PER_NAT]);
    for &count in &counts {
        put(&mut bytes, count as u32);
    }
    for word in &lm.words {
        put(&mut bytes, word.len() as u32);
        bytes.extend_from_slice(word.as_bytes());
    }
    let put_backoff = |bytes: &mut Vec<u8>, node: u32| {
        if let Some(&ln_backoff) = lm.ln_backoffs.get(node as usize) {
            let steps = (ln_backoff * f32::from(STEPS_PER_NAT)).round() as i32;
            put(bytes, (steps << 1 ^ steps >> 31) as u32);
        }
    };
    let cost = |node: u32| quantize(-lm.ln_probs[node as usize]);
    let mut previous_cost = 0;
    for node in 1..=lm.words.len() as u32 {
        put(&mut bytes, cost(node) - previous_cost);
        previous_cost = cost(node);
        put_backoff(&mut bytes, node);
    }
    for parent in 1..lm.ln_backoffs.len() as u32 {
        let children = lm.children(parent);
        put(&mut bytes, children.len() as u32);
        let mut next_word = 0;
        for child in children {
            let word = lm.node_words[child as usize];
            put(&mut bytes, word - next_word);
            next_word = word + 1;
            put(&mut bytes, cost(child));
            put_backoff(&mut bytes, child);
        }
    }
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum[..CHECKSUM_BYTES]);
    bytes
}

fn put(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

pub(super) fn read(bytes: &[u8]) -> Result<Levels, String> {
    if !bytes.starts_with(MAGIC) {
        return Err("it does not begin as a binary language model".to_string());
    }
    if let Some(&version) = bytes.get(MAGIC.len())
        && version != VERSION
    {
        return Err(format!(
            "format version {version}, this program reads {VERSION}"
        ));
    }
    let body = bytes.len().checked_sub(CHECKSUM_BYTES);
    let body = body.filter(|&end| end >= MAGIC.len() + 3);
    let (body, checksum) = bytes.split_at(body.ok_or("it is cut short")?);
    if Sha256::digest(body)[..CHECKSUM_BYTES] != *checksum {
        return Err("its checksum is wrong: it is damaged or cut short".to_string());
    }
    read_body(&body[MAGIC.len() + 1..])
}

/// Everything between version and checksum.
fn read_body(bytes: &[u8]) -> Result<Levels, String> {
    let mut reader = Reader { rest: bytes };
    let order = usize::from(reader.byte()?);
    if !(1..=MAX_ORDER).contains(&order) {
        return Err(format!("order {order}: 1 to {MAX_ORDER} are supported"));
    }
    let steps_per_nat = f32::from(reader.byte()?);
    if steps_per_nat == 0.0 {
        return Err("0 steps per nat".to_string());
    }
    let mut counts = [0usize; MAX_ORDER];
    for count in &mut counts[..order] {
        *count = reader.varint()? as usize;
    }
    // A word takes 2 bytes and its unigram 1, a longer n-gram 2.
    let least_bytes = counts.iter().sum::<usize>() * 2 + counts[0];
    if counts[0] == 0 || least_bytes > reader.rest.len() || least_bytes > 2 * MAX_NGRAMS {
        let (num_bytes, counts) = (reader.rest.len(), &counts[..order]);
        return Err(format!("{counts:?} n-grams cannot be in {num_bytes} bytes"));
    }
    let num_words = counts[0];
    let num_nodes = 1 + counts.iter().sum::<usize>();
    let num_inner = num_nodes
        - if order == 1 {
            num_words
        } else {
            counts[order - 1]
        };
    let mut levels = Levels {
        order,
        words: Vec::with_capacity(num_words),
        node_words: Vec::with_capacity(num_nodes),
        ln_probs: Vec::with_capacity(num_nodes),
        ln_backoffs: Vec::with_capacity(num_inner),
        first_child: Vec::with_capacity(num_inner + 1),
    };
    for _ in 0..num_words {
        levels.words.push(reader.word()?);
    }
    levels.node_words.push(0);
    levels.ln_probs.push(0.0);
    levels.ln_backoffs.push(0.0);
    levels.first_child.push(1);
    let mut cost = 0u32;
    for word in 0..num_words as u32 {
        let step = reader.varint()?;
        cost = cost
            .checked_add(step)
            .ok_or("a probability is out of range")?;
        levels.node_words.push(word);
        levels.ln_probs.push(-(cost as f32) / steps_per_nat);
        if order > 1 {
            levels.ln_backoffs.push(reader.backoff(steps_per_nat)?);
        }
    }
    let mut parents = 1..1 + num_words;
    for k in 2..=order {
        let end = levels.node_words.len() + counts[k - 1];
        for _ in parents {
            levels.first_child.push(levels.node_words.len() as u32);
            let num_children = reader.varint()? as usize;
            if num_children > end - levels.node_words.len() {
                return Err(format!("more {k}-grams than declared"));
            }
            let mut next_word = 0u32;
            for _ in 0..num_children {
                let skipped = reader.varint()?;
                let word = next_word.checked_add(skipped);
                let word = word.filter(|&word| (word as usize) < num_words);
                let word = word.ok_or_else(|| format!("a {k}-gram has an unknown word"))?;
                next_word = word + 1;
                levels.node_words.push(word);
                levels
                    .ln_probs
                    .push(-(reader.varint()? as f32) / steps_per_nat);
                if k < order {
                    levels.ln_backoffs.push(reader.backoff(steps_per_nat)?);
                }
            }
        }
        if levels.node_words.len() != end {
            return Err(format!("fewer {k}-grams than declared"));
        }
        parents = end - counts[k - 1]..end;
    }
    levels.first_child.push(levels.node_words.len() as u32);
    if !reader.rest.is_empty() {
        return Err(format!("{} bytes too many", reader.rest.len()));
    }
    Ok(levels)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("it is cut short")?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn varint(&mut self) -> Result<u32, String> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| "a number is out of range".to_string());
            }
        }
        Err("a number is out of range".to_string())
    }

    fn backoff(&mut self, steps_per_nat: f32) -> Result<f32, String> {
        let zigzag = self.varint()?;
        let steps = (zigzag >> 1) as i32 ^ -((zigzag & 1) as i32);
        Ok(steps as f32 / steps_per_nat)
    }

    fn word(&mut self) -> Result<Box<str>, String> {
        let length = self.varint()? as usize;
        let word = str::from_utf8(self.take(length)?);
        let word = word.map_err(|_| "a word is not UTF-8".to_string())?;
        check_word(word)?;
        Ok(word.into())
    }
}
