//! The compact binary form.
//!
//! ```text
//! magic "FLEDGELM", version u8, order u8
//! number of words, then number of n-grams of each order from 2        LEB128 each
//! range-coded:
//!   words in alphabetical order: characters shared with the one before, the others, 0; cost
//!   order k from 2: for each n-gram of order k - 1 its children:
//!     how many, back-off, then per child: word - previous word - 1, cost
//!   in version 3 the pronunciations, see `pronunciations.rs`; version 2 has none
//! the first 8 bytes of SHA-256 of everything before
//! ```
//!
//! A cost is -ln p and a back-off is ln b, rounded to steps; the highest order has no back-offs. Word
//! ids go by cost, then by name, so they are not stored. Each value's probabilities adapt to where
//! it stands: a cost to the cost of the n-gram without its first word, a back-off to the number
//! of children, a distance between siblings to that number as well.

use sha2::{Digest, Sha256};

use super::{
    Levels, MAX_NGRAMS, MAX_ORDER, MAX_WORD_BYTES, NgramLm, ROOT, pronunciations,
    range_coder::{ByteModel, Coder, Decoder, Encoder, NumberModel},
    table::check_word,
};

pub(super) const MAGIC: &[u8; 8] = b"FLEDGELM";
/// Without pronunciations.
pub(super) const VERSION: u8 = 2;
pub(super) const VERSION_WITH_PRONUNCIATIONS: u8 = 3;
const CHECKSUM_BYTES: usize = 8;
/// Half a step is 1/16 nat: a factor of 1.06 on a probability.
pub(super) const STEPS_PER_NAT: u8 = 8;
/// Most n-grams in a byte: the cheapest takes a dozen bits of 0.011 bits each.
const MAX_NGRAMS_PER_BYTE: usize = 128;

/// Steps of a value, 0 if it is negative.
pub(super) fn quantize(nats: f32) -> u32 {
    (nats * f32::from(STEPS_PER_NAT)).round() as u32
}

fn nats(steps: f32) -> f32 {
    steps / f32::from(STEPS_PER_NAT)
}

/// How many adaptive models a value has: one for each class of what it depends on.
const NUM_CLASSES: usize = 16;

/// By powers of two: 0, 1, 2 to 3, 4 to 7 and so on.
fn size_class(number: usize) -> usize {
    let class = number.checked_ilog2().map_or(0, |log| log as usize + 1);
    class.min(NUM_CLASSES - 1)
}

/// By two nats.
fn cost_class(cost: u32) -> usize {
    (cost as usize / (2 * usize::from(STEPS_PER_NAT))).min(NUM_CLASSES - 1)
}

/// What is known about each kind of value of one order.
#[derive(Default)]
struct OrderModels {
    num_children: NumberModel,
    backoff: [NumberModel; NUM_CLASSES],
    first_word: [NumberModel; NUM_CLASSES],
    next_word: [NumberModel; NUM_CLASSES],
    cost: [NumberModel; NUM_CLASSES],
}

/// What is known about words: each character by the one before.
struct WordModels {
    shared: NumberModel,
    characters: Vec<ByteModel>,
    cost: NumberModel,
}

impl WordModels {
    fn new() -> Self {
        Self {
            shared: NumberModel::default(),
            characters: vec![ByteModel::default(); 256],
            cost: NumberModel::default(),
        }
    }

    /// The part of a word after what it shares with the one before, with a 0 at its end.
    fn code_rest(&mut self, coder: &mut impl Coder, word: &mut Vec<u8>, rest: &[u8]) {
        let mut given = rest.iter().copied();
        loop {
            let before = word.last().copied().unwrap_or(0);
            let model = &mut self.characters[usize::from(before)];
            match model.code(coder, given.next().unwrap_or(0)) {
                0 => break,
                byte => word.push(byte),
            }
            if word.len() > MAX_WORD_BYTES {
                break;
            }
        }
    }
}

pub(super) fn write(lm: &NgramLm) -> Vec<u8> {
    let counts = lm.num_ngrams();
    let mut bytes = MAGIC.to_vec();
    let version = match lm.has_pronunciations() {
        true => VERSION_WITH_PRONUNCIATIONS,
        false => VERSION,
    };
    bytes.extend([version, lm.order as u8]);
    for &count in &counts {
        put(&mut bytes, count as u32);
    }
    let mut encoder = Encoder::new();
    let cost = |node: u32| quantize(-lm.ln_probs[node as usize]);
    write_words(lm, &mut encoder);
    let mut parents = 1..1 + lm.words.len() as u32;
    for _ in 1..lm.order {
        let mut models = OrderModels::default();
        for parent in parents.clone() {
            let children = lm.children(parent);
            let class = size_class(children.len());
            models
                .num_children
                .code(&mut encoder, children.len() as u32);
            let steps = lm.ln_backoffs[parent as usize] * f32::from(STEPS_PER_NAT);
            let steps = steps.round() as i32;
            models.backoff[class].code(&mut encoder, (steps << 1 ^ steps >> 31) as u32);
            let mut next_word = 0;
            for child in children {
                let word = lm.node_words[child as usize];
                let distance = match next_word {
                    0 => &mut models.first_word[class],
                    _ => &mut models.next_word[class],
                };
                distance.code(&mut encoder, word - next_word);
                next_word = word + 1;
                let shorter = cost_class(cost(lm.suffixes[child as usize]));
                models.cost[shorter].code(&mut encoder, cost(child));
            }
        }
        let last = lm.children(parents.end - 1).end;
        parents = parents.end..last;
    }
    if lm.has_pronunciations() {
        let ids = lm.by_name.iter().map(|&id| id as usize);
        let words = ids.map(|id| (&*lm.words[id], &*lm.pronunciations[id]));
        pronunciations::write(&words.collect::<Vec<_>>(), &mut encoder);
    }
    bytes.extend(encoder.finish());
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum[..CHECKSUM_BYTES]);
    bytes
}

fn write_words(lm: &NgramLm, encoder: &mut Encoder) {
    let mut models = WordModels::new();
    let mut written: Vec<u8> = Vec::new();
    for &id in &lm.by_name {
        let word = lm.words[id as usize].as_bytes();
        let is_same = |(a, b): &(&u8, &u8)| a == b;
        let shared = written.iter().zip(word).take_while(is_same).count();
        models.shared.code(encoder, shared as u32);
        written.truncate(shared);
        models.code_rest(encoder, &mut written, &word[shared..]);
        models
            .cost
            .code(encoder, quantize(-lm.ln_probs[id as usize + 1]));
    }
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
        return Err(
            "it is not in the compact form: make it with `fledge lm --out lm.bin`".to_string(),
        );
    }
    let version = bytes.get(MAGIC.len()).copied().unwrap_or(VERSION);
    if ![VERSION, VERSION_WITH_PRONUNCIATIONS].contains(&version) {
        return Err(format!(
            "format version {version}, this program reads {VERSION} and \
             {VERSION_WITH_PRONUNCIATIONS}: make it again with `fledge lm`"
        ));
    }
    let body = bytes.len().checked_sub(CHECKSUM_BYTES);
    let body = body.filter(|&end| end >= MAGIC.len() + 3);
    let (body, checksum) = bytes.split_at(body.ok_or("it is cut short")?);
    if Sha256::digest(body)[..CHECKSUM_BYTES] != *checksum {
        return Err("its checksum is wrong: it is damaged or cut short".to_string());
    }
    read_body(&body[MAGIC.len() + 1..], version)
}

/// Everything between version and checksum.
fn read_body(bytes: &[u8], version: u8) -> Result<Levels, String> {
    let mut header = bytes.iter();
    let order = usize::from(header.next().copied().unwrap_or(0));
    if !(1..=MAX_ORDER).contains(&order) {
        return Err(format!("order {order}: 1 to {MAX_ORDER} are supported"));
    }
    let mut counts = [0usize; MAX_ORDER];
    for count in &mut counts[..order] {
        *count = varint(&mut header)? as usize;
    }
    let counts = &counts[..order];
    let coded = header.as_slice();
    let num_ngrams = counts.iter().sum::<usize>();
    let most = MAX_NGRAMS.min(coded.len().saturating_mul(MAX_NGRAMS_PER_BYTE));
    if counts[0] == 0 || num_ngrams > most {
        let num_bytes = coded.len();
        return Err(format!("{counts:?} n-grams cannot be in {num_bytes} bytes"));
    }
    let mut decoder = Decoder::new(coded);
    let mut levels = read_words(&mut decoder, order, counts[0])?;
    for k in 2..=order {
        read_order(&mut decoder, &mut levels, k, counts)?;
    }
    levels.first_child.push(levels.node_words.len() as u32);
    if version == VERSION_WITH_PRONUNCIATIONS {
        let mut by_name: Vec<&str> = levels.words.iter().map(AsRef::as_ref).collect();
        by_name.sort_unstable();
        (levels.pronunciations, levels.phones_of_letters) =
            pronunciations::read(by_name.into_iter(), &mut decoder)?;
    }
    match decoder.unread_bytes() {
        0 => Ok(levels),
        unread => Err(format!("{unread} bytes too many")),
    }
}

/// The words by id, and the unigrams.
fn read_words(decoder: &mut Decoder<'_>, order: usize, num_words: usize) -> Result<Levels, String> {
    let mut models = WordModels::new();
    let mut read: Vec<u8> = Vec::new();
    let mut costs_and_words: Vec<(u32, Box<str>)> = Vec::new();
    for _ in 0..num_words {
        let shared = models.shared.code(decoder, 0) as usize;
        if shared > read.len() {
            return Err("a word shares more than the one before has".to_string());
        }
        read.truncate(shared);
        models.code_rest(decoder, &mut read, &[]);
        let word = str::from_utf8(&read).map_err(|_| "a word is not UTF-8".to_string())?;
        check_word(word)?;
        let cost = models.cost.code(decoder, 0);
        costs_and_words.push((cost, word.into()));
        check_not_exhausted(decoder)?;
    }
    costs_and_words.sort_unstable();
    let costs = costs_and_words.iter().map(|(cost, _)| *cost);
    Ok(Levels {
        order,
        node_words: [0].into_iter().chain(0..num_words as u32).collect(),
        ln_probs: [0.0]
            .into_iter()
            .chain(costs.map(|cost| -nats(cost as f32)))
            .collect(),
        words: costs_and_words.into_iter().map(|(_, word)| word).collect(),
        ln_backoffs: vec![0.0],
        first_child: vec![1],
        suffixes: vec![ROOT; num_words + 1],
        pronunciations: Vec::new(),
        phones_of_letters: Vec::new(),
    })
}

/// The n-grams of order `k`, and the back-offs of their beginnings.
fn read_order(
    decoder: &mut Decoder<'_>,
    levels: &mut Levels,
    k: usize,
    counts: &[usize],
) -> Result<(), String> {
    let num_words = counts[0];
    let first_parent = levels.node_words.len() - counts[k - 2];
    let first = levels.node_words.len();
    let end = first + counts[k - 1];
    let mut models = OrderModels::default();
    for parent in first_parent..first {
        levels.first_child.push(levels.node_words.len() as u32);
        let num_children = models.num_children.code(decoder, 0) as usize;
        if num_children > end - levels.node_words.len() {
            return Err(format!("more {k}-grams than declared"));
        }
        let class = size_class(num_children);
        let zigzag = models.backoff[class].code(decoder, 0);
        let steps = (zigzag >> 1) as i32 ^ -((zigzag & 1) as i32);
        levels.ln_backoffs.push(nats(steps as f32));
        let mut next_word = 0u32;
        for _ in 0..num_children {
            let distance = match next_word {
                0 => &mut models.first_word[class],
                _ => &mut models.next_word[class],
            };
            let word = next_word.checked_add(distance.code(decoder, 0));
            let word = word.filter(|&word| (word as usize) < num_words);
            let word = word.ok_or_else(|| format!("a {k}-gram has an unknown word"))?;
            next_word = word + 1;
            let suffix = longest_suffix(levels, levels.suffixes[parent], word);
            levels.suffixes.push(suffix);
            let shorter = cost_class(quantize(-levels.ln_probs[suffix as usize]));
            let cost = models.cost[shorter].code(decoder, 0);
            levels.node_words.push(word);
            levels.ln_probs.push(-nats(cost as f32));
            check_not_exhausted(decoder)?;
        }
    }
    check_not_exhausted(decoder)?;
    if levels.node_words.len() != end {
        return Err(format!("fewer {k}-grams than declared"));
    }
    Ok(())
}

/// The longest listed n-gram that is `word` after the n-gram at `history` or a suffix of it.
fn longest_suffix(levels: &Levels, mut history: u32, word: u32) -> u32 {
    while history != ROOT {
        let at = history as usize;
        let (first, end) = (levels.first_child[at], levels.first_child[at + 1]);
        let siblings = &levels.node_words[first as usize..end as usize];
        if let Ok(index) = siblings.binary_search(&word) {
            return first + index as u32;
        }
        history = levels.suffixes[at];
    }
    word + 1
}

fn check_not_exhausted(decoder: &Decoder<'_>) -> Result<(), String> {
    match decoder.is_exhausted() {
        true => Err("it is cut short".to_string()),
        false => Ok(()),
    }
}

fn varint(bytes: &mut std::slice::Iter<'_, u8>) -> Result<u32, String> {
    let mut value = 0u64;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.next().ok_or("it is cut short")?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return u32::try_from(value).map_err(|_| "a number is out of range".to_string());
        }
    }
    Err("a number is out of range".to_string())
}
