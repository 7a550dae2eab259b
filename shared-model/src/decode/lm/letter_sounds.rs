//! How words sound that nobody wrote down: each letter writes what it writes in known words with the same
//! letters around it, those with most of them counting most (van den Bosch and Daelemans, "Data-oriented
//! methods for grapheme-to-phoneme conversion", 1993).

use std::sync::OnceLock;

use super::pronunciations::{MAX_PHONES, split};

/// Letters around one that count, by their distance from it, the most telling first.
const AROUND: [isize; 6] = [1, -1, 2, -2, 3, -3];
/// Of so many places with the same letters around them, more letters are known to be the same; what all of
/// them write tells nothing further, and takes time.
const MAX_PLACES: usize = 4000;
/// Bytes of a key, of eight.
const KEY_BYTES: u32 = 1 + AROUND.len() as u32;

/// What tells how other words than a model's sound, if it was read from its compact form. It follows from
/// the pronunciations: models that differ in it alone are the same.
#[derive(Clone)]
pub(super) struct OtherSounds {
    /// How many phones each byte of the words writes, pronunciation after pronunciation.
    phones_of_letters: Vec<u8>,
    /// Once it was needed.
    learned: OnceLock<LetterSounds>,
}

impl PartialEq for OtherSounds {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for OtherSounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtherSounds").finish_non_exhaustive()
    }
}

impl OtherSounds {
    pub(super) fn new(phones_of_letters: Vec<u8>) -> Self {
        Self {
            phones_of_letters,
            learned: OnceLock::new(),
        }
    }

    /// As [`LetterSounds::guess`]; `known`: the model's words with their pronunciations, joined.
    pub(super) fn guess<'a>(
        &self,
        word: &str,
        known: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Option<String> {
        if self.phones_of_letters.is_empty() {
            return None;
        }
        let learn = || LetterSounds::learn(known, &self.phones_of_letters);
        self.learned.get_or_init(learn).guess(word)
    }
}

/// Every letter of known words with what it writes.
#[derive(Clone)]
struct LetterSounds {
    /// The letter and those around it, and where what it writes begins and ends in `phones`; sorted.
    letters: Vec<(u64, u32, u8)>,
    /// All pronunciations, one after the other.
    phones: Vec<char>,
}

impl LetterSounds {
    /// - `words`: with their pronunciations, joined.
    /// - `phones_of_letters`: how many phones each byte of the words writes, pronunciation after pronunciation.
    fn learn<'a>(
        words: impl Iterator<Item = (&'a str, &'a str)>,
        phones_of_letters: &[u8],
    ) -> Self {
        let mut nums = phones_of_letters.iter();
        let (mut letters, mut phones) = (Vec::new(), Vec::new());
        for (word, joined) in words {
            let word = word.as_bytes();
            for sound in split(joined) {
                let mut first = phones.len() as u32;
                phones.extend(sound.chars());
                for (at, &num) in (0..word.len()).zip(nums.by_ref()) {
                    letters.push((key(word, at), first, num));
                    first += u32::from(num);
                }
            }
        }
        letters.sort_unstable();
        Self { letters, phones }
    }

    /// What a word most likely sounds like, each character a phone; `None` of one that has other characters
    /// than a to z and apostrophes, or no sound.
    fn guess(&self, word: &str) -> Option<String> {
        let letters = word.as_bytes();
        let is_letter = |letter: &u8| letter.is_ascii_lowercase() || *letter == b'\'';
        if !letters.iter().all(is_letter) {
            return None;
        }
        let sounds = (0..letters.len()).flat_map(|at| self.likeliest(key(letters, at)));
        let sound: String = sounds.take(MAX_PHONES).collect();
        (!sound.is_empty()).then_some(sound)
    }

    /// What a letter most likely writes. The more letters around it are the same, the more what it writes
    /// there counts, by how often and how variedly (Witten and Bell, 1991).
    fn likeliest(&self, key: u64) -> &[char] {
        let mut same = self.letters.as_slice();
        let mut shares: Vec<(&[char], f64)> = Vec::new();
        for bytes in 1..=KEY_BYTES {
            let shift = 8 * (KEY_BYTES - bytes);
            let start = same.partition_point(|(other, _, _)| other >> shift < key >> shift);
            let end = same.partition_point(|(other, _, _)| other >> shift <= key >> shift);
            same = &same[start..end];
            let is_enough = same.len() <= MAX_PLACES || bytes == KEY_BYTES;
            if !same.is_empty() && is_enough {
                shares = self.shares(same, &shares);
            }
        }
        let best = shares.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        best.map_or(&[], |(phones, _)| phones)
    }

    /// What the letters at some places write, with its share; `broader`: the same of more places.
    fn shares<'a>(
        &'a self,
        places: &[(u64, u32, u8)],
        broader: &[(&'a [char], f64)],
    ) -> Vec<(&'a [char], f64)> {
        let mut counts: Vec<(&[char], f64)> = Vec::new();
        for &(_, first, num) in places {
            let phones = &self.phones[first as usize..][..usize::from(num)];
            match counts.iter_mut().find(|(known, _)| *known == phones) {
                Some((_, count)) => *count += 1.0,
                None => counts.push((phones, 1.0)),
            }
        }
        let (all, kinds) = (places.len() as f64, counts.len() as f64);
        for (phones, count) in &mut counts {
            let before = broader.iter().find(|(known, _)| known == phones);
            let before = before.map_or(0.0, |(_, share)| *share);
            *count = (*count + kinds * before) / (all + kinds);
        }
        counts
    }
}

/// A letter and those around it, 0 outside of the word.
fn key(letters: &[u8], at: usize) -> u64 {
    let letter = |offset: isize| {
        let at = at.checked_add_signed(offset);
        at.and_then(|at| letters.get(at)).copied().unwrap_or(0)
    };
    let all = std::iter::once(0).chain(AROUND).map(letter);
    all.fold(0, |key, letter| key << 8 | u64::from(letter))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::{decode::lm::NgramLm, tokens::phone_character};

    /// ARPAbet without stress, one character a phone.
    fn phones(arpabet: &str) -> String {
        let phones = arpabet.split(' ').map(phone_character);
        phones.collect::<Option<String>>().unwrap()
    }

    #[test]
    fn names_that_a_language_model_lacks_sound_as_they_are_said() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../www/models/lm/english.bin");
        let lm = NgramLm::from_bytes(&std::fs::read(path).unwrap()).unwrap();
        // As the CMU Pronouncing Dictionary has them.
        for (word, sound) in [
            ("darco", "D AA R K OW"),
            ("oberly", "OW B ER L IY"),
            ("pitner", "P IH T N ER"),
            ("schryver", "SH R AY V ER"),
            ("thurm", "TH ER M"),
            ("spiritualists", "S P IH R IH CH UW AH L IH S T S"),
        ] {
            assert!(!lm.knows(word), "{word}");
            assert_eq!(lm.guess_pronunciation(word), Some(phones(sound)), "{word}");
        }
        for other in ["", "'", "5", "na\u{ef}ve", "Fledge"] {
            assert_eq!(lm.guess_pronunciation(other), None, "{other}");
        }
        let long = "ab".repeat(500);
        let guessed = lm.guess_pronunciation(&long).unwrap();
        assert!(guessed.chars().count() <= crate::decode::lm::MAX_PHONES);
    }
}
