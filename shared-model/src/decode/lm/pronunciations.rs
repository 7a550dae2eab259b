//! How a model's words sound, as the compact form holds it.
//!
//! ```text
//! for each word in alphabetical order:
//!   how many pronunciations, 0 to 3, then for each:
//!     for each letter of the word (a byte of UTF-8): its phones, then none; each is told by a 1 if it is
//!     what the pronunciation before has there, else by a 0, a 1 and its number, or by two 0 for none
//! ```
//!
//! Each of these bits is predicted from the letters around, the phones before and what the word or
//! the pronunciation before has there, whose beginning is mostly the same. Which letter writes which
//! phone is the writer's choice: a reader only puts the phones together.

use super::{
    alignment::Aligner,
    mixed_bits::{MixedBits, context},
    range_coder::{Coder, Decoder, Encoder, NumberModel},
};
use crate::tokens::{MAX_PRONUNCIATION_PHONES, NUM_PHONE_TOKENS, phone_tokens};

/// Most pronunciations of a word that are kept.
pub const MAX_WORD_PRONUNCIATIONS: usize = 3;
/// Longest pronunciation, in phones.
pub const MAX_PHONES: usize = MAX_PRONUNCIATION_PHONES;
/// Most phones that are read, so that a forged file cannot fill the memory.
const MAX_PHONES_IN_ALL: usize = 1 << 24;
/// Between the pronunciations of a word.
const SEPARATOR: char = ' ';

/// Phones are their token ids less this: from 0.
const FIRST_PHONE_ID: u32 = 2;
const NUM_PHONES: u8 = NUM_PHONE_TOKENS as u8 - FIRST_PHONE_ID as u8;
const PHONE_BITS: u32 = 6;
/// No phone: outside a word, or nothing is expected.
const NO_PHONE: u8 = NUM_PHONES;
const NUM_CONTEXTS: usize = 4;
/// How many phones of one letter are told apart as a place.
const PLACES: usize = 3;

/// Joins what is kept of a word's pronunciations.
///
/// # Errors
/// What is wrong with the first that cannot be kept.
pub(super) fn join<'a>(
    all: impl Iterator<Item = &'a str>,
    phones: &Phones,
) -> Result<Box<str>, String> {
    let mut kept: Vec<&str> = Vec::new();
    for pronunciation in all {
        let num_phones = pronunciation.chars().count();
        if !(1..=MAX_PHONES).contains(&num_phones) {
            return Err(format!(
                "a pronunciation has {num_phones} phones: 1 to {MAX_PHONES} are allowed"
            ));
        }
        phones.numbers(pronunciation)?;
        if kept.len() < MAX_WORD_PRONUNCIATIONS && !kept.contains(&pronunciation) {
            kept.push(pronunciation);
        }
    }
    Ok(kept.join(&SEPARATOR.to_string()).into())
}

/// The pronunciations of a word that [`join`] put together.
pub(super) fn split(joined: &str) -> impl Iterator<Item = &str> {
    joined.split(SEPARATOR).filter(|text| !text.is_empty())
}

/// Phones by number, and numbers by phone.
pub(super) struct Phones {
    characters: Vec<char>,
}

impl Phones {
    pub(super) fn new() -> Self {
        let tokens = phone_tokens();
        let ids = FIRST_PHONE_ID..NUM_PHONE_TOKENS as u32;
        let piece = |id| tokens.piece(id).and_then(|piece| piece.chars().next());
        Self {
            characters: ids.filter_map(piece).collect(),
        }
    }

    fn numbers(&self, pronunciation: &str) -> Result<Vec<u8>, String> {
        let number = |phone| {
            let at = self.characters.iter().position(|&known| known == phone);
            at.map(|at| at as u8)
                .ok_or_else(|| format!("{phone:?} of \"{pronunciation}\" is no phone"))
        };
        pronunciation.chars().map(number).collect()
    }

    fn text(&self, numbers: &[u8]) -> String {
        let phones = numbers.iter();
        phones
            .filter_map(|&number| self.characters.get(usize::from(number)))
            .collect()
    }
}

/// A word's letters with the phones of each.
#[derive(Default)]
struct Sounded {
    letters: Vec<u8>,
    phones: Vec<Vec<u8>>,
}

/// Both sides of the coder.
struct SoundCoder {
    bits: MixedBits<NUM_CONTEXTS>,
    num: NumberModel,
    previous: Sounded,
}

impl SoundCoder {
    fn new() -> Self {
        Self {
            bits: MixedBits::new(3 * 2 * PLACES * 4),
            num: NumberModel::default(),
            previous: Sounded::default(),
        }
    }

    /// One pronunciation, written from `given` or read. A read one may have more than
    /// [`MAX_PHONES`], by one.
    fn code(&mut self, coder: &mut impl Coder, letters: &[u8], given: &[Vec<u8>]) -> Vec<u8> {
        let same = |(a, b): &(&u8, &u8)| a == b;
        let shared = self.previous.letters.iter().zip(letters);
        let shared = shared.take_while(same).count();
        let is_again = usize::from(self.previous.letters == letters);
        let mut all = Vec::new();
        let mut phones: Vec<Vec<u8>> = vec![Vec::new(); letters.len()];
        for (at, own) in phones.iter_mut().enumerate() {
            let given = given.get(at).map_or(&[][..], Vec::as_slice);
            loop {
                let place = own.len();
                let expected = match self.previous.phones.get(at) {
                    Some(before) if at < shared && before.starts_with(own) => {
                        before.get(place).copied().unwrap_or(NO_PHONE)
                    }
                    _ => NO_PHONE + 1,
                };
                let phone = given.get(place).copied();
                let place = place.min(PLACES - 1);
                let trust = match shared.saturating_sub(at) {
                    _ if expected > NO_PHONE => 0,
                    far => far.min(3),
                };
                let set = (is_again * PLACES + place) * 4 + trust;
                let known = [is_again, place, trust].map(|part| part as u32);
                let contexts = contexts(letters, at, &all, expected, known);
                match self.phone(coder, &contexts, expected, set, phone) {
                    Some(phone) => {
                        own.push(phone);
                        all.push(phone);
                    }
                    None => break,
                }
                if all.len() > MAX_PHONES {
                    return all;
                }
            }
        }
        self.previous = Sounded {
            letters: letters.to_vec(),
            phones,
        };
        all
    }

    /// The next phone of a letter, or none.
    fn phone(
        &mut self,
        coder: &mut impl Coder,
        contexts: &[u32; NUM_CONTEXTS],
        expected: u8,
        set: usize,
        phone: Option<u8>,
    ) -> Option<u8> {
        let bits = &mut self.bits;
        let guess = (expected <= NO_PHONE).then_some(expected);
        let number = phone.unwrap_or(NO_PHONE);
        if let Some(guess) = guess {
            let is_guessed = bits.code(coder, contexts, 0, 3 * set, number == guess);
            if is_guessed {
                return (guess < NO_PHONE).then_some(guess);
            }
        }
        // What was guessed wrongly is not none if none was guessed.
        let is_phone = guess == Some(NO_PHONE);
        if !is_phone && !bits.code(coder, contexts, 1, 3 * set + 1, phone.is_some()) {
            return None;
        }
        let phone = phone.unwrap_or(0);
        let mut node = 1;
        for shift in (0..PHONE_BITS).rev() {
            let bit = phone >> shift & 1 == 1;
            let bit = bits.code(coder, contexts, node + 1, 3 * set + 2, bit);
            node = node << 1 | u32::from(bit);
        }
        Some((node - (1 << PHONE_BITS)) as u8)
    }
}

/// What a decision depends on. `known`: whether it is another pronunciation of the word before, the
/// number of phones of the letter so far, and how far the letters stay those of the word before.
fn contexts(
    letters: &[u8],
    at: usize,
    phones: &[u8],
    expected: u8,
    [is_again, place, trust]: [u32; 3],
) -> [u32; NUM_CONTEXTS] {
    let letter = |offset: isize| {
        let at = at.checked_add_signed(offset);
        at.and_then(|at| letters.get(at))
            .copied()
            .map_or(0, u32::from)
    };
    let phone = |back: usize| {
        let phone = phones.len().checked_sub(back).map(|at| phones[at]);
        u32::from(phone.unwrap_or(NO_PHONE))
    };
    let here = letter(0);
    let expected = u32::from(expected);
    [
        context(&[0, place, here, letter(1), phone(1)]),
        context(&[1, place, here, letter(-2), letter(-1), letter(1), letter(2)]),
        context(&[2, place, here, letter(1), letter(2), letter(3), phone(1)]),
        context(&[3, place, here, letter(1), expected, trust, is_again]),
    ]
}

/// Writes what [`join`] gave of each word.
pub(super) fn write(words: &[(&str, &str)], encoder: &mut Encoder) {
    let phones = Phones::new();
    // What cannot be read was refused before it came into a model.
    let numbers = |text: &str| phones.numbers(text).unwrap_or_default();
    let pairs = words
        .iter()
        .flat_map(|(word, joined)| split(joined).map(|text| (word.as_bytes(), numbers(text))));
    let pairs: Vec<(&[u8], Vec<u8>)> = pairs.collect();
    let aligner = Aligner::learn(&pairs);
    let mut coder = SoundCoder::new();
    let mut pairs = pairs.into_iter();
    for (_, joined) in words {
        let num = split(joined).count();
        coder.num.code(encoder, num as u32);
        for (letters, phones) in pairs.by_ref().take(num) {
            let mut rest = phones.as_slice();
            let nums = aligner.align(letters, &phones);
            let parts = nums.into_iter().map(|num| {
                let (part, after) = rest.split_at(num);
                rest = after;
                part.to_vec()
            });
            let parts: Vec<Vec<u8>> = parts.collect();
            coder.code(encoder, letters, &parts);
        }
    }
}

/// Reads what [`write`] wrote of words in the same order: what [`join`] gave of each, and how many phones
/// each of its letters (bytes) writes, pronunciation after pronunciation.
///
/// # Errors
/// What no writer writes.
pub(super) fn read<'a>(
    words: impl Iterator<Item = &'a str>,
    decoder: &mut Decoder<'_>,
) -> Result<(Vec<Box<str>>, Vec<u8>), String> {
    let phones = Phones::new();
    let mut coder = SoundCoder::new();
    let (mut all, mut nums) = (Vec::new(), Vec::new());
    let mut num_phones = 0;
    for word in words {
        let num = coder.num.code(decoder, 0) as usize;
        if num > MAX_WORD_PRONUNCIATIONS {
            return Err(format!("a word has {num} pronunciations"));
        }
        let mut texts: Vec<String> = Vec::new();
        for _ in 0..num {
            let numbers = coder.code(decoder, word.as_bytes(), &[]);
            if numbers.iter().any(|&number| number >= NUM_PHONES) {
                return Err("a pronunciation has an unknown phone".to_string());
            }
            texts.push(phones.text(&numbers));
            let of_letters = coder.previous.phones.iter();
            nums.extend(of_letters.map(|phones| phones.len() as u8));
            num_phones += numbers.len();
            if num_phones > MAX_PHONES_IN_ALL {
                return Err(format!("more than {MAX_PHONES_IN_ALL} phones"));
            }
        }
        if decoder.is_exhausted() {
            return Err("it is cut short".to_string());
        }
        let joined = join(texts.iter().map(String::as_str), &phones)?;
        if split(&joined).count() != num {
            return Err("a word has a pronunciation twice".to_string());
        }
        all.push(joined);
    }
    Ok((all, nums))
}
