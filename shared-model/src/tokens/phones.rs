//! The phones of American English as tokens: those of the CMU Pronouncing Dictionary.

use super::Tokens;

/// ARPAbet's names, stress left out, each with the one character that stands for it: IPA's, and
/// capitals for diphthongs.
const PHONES: [(&str, char); 39] = [
    ("AA", 'ɑ'),
    ("AE", 'æ'),
    ("AH", 'ʌ'),
    ("AO", 'ɔ'),
    ("AW", 'W'),
    ("AY", 'I'),
    ("B", 'b'),
    ("CH", 'ʧ'),
    ("D", 'd'),
    ("DH", 'ð'),
    ("EH", 'ɛ'),
    ("ER", 'ɝ'),
    ("EY", 'E'),
    ("F", 'f'),
    ("G", 'ɡ'),
    ("HH", 'h'),
    ("IH", 'ɪ'),
    ("IY", 'i'),
    ("JH", 'ʤ'),
    ("K", 'k'),
    ("L", 'l'),
    ("M", 'm'),
    ("N", 'n'),
    ("NG", 'ŋ'),
    ("OW", 'O'),
    ("OY", 'Y'),
    ("P", 'p'),
    ("R", 'ɹ'),
    ("S", 's'),
    ("SH", 'ʃ'),
    ("T", 't'),
    ("TH", 'θ'),
    ("UH", 'ʊ'),
    ("UW", 'u'),
    ("V", 'v'),
    ("W", 'w'),
    ("Y", 'j'),
    ("Z", 'z'),
    ("ZH", 'ʒ'),
];

/// Classes of a phone head: the phones, the space between words and the blank.
pub const NUM_PHONE_TOKENS: usize = PHONES.len() + 2;

/// Blank, `▁` between words, and the phones in ARPAbet's order.
pub fn phone_tokens() -> Tokens {
    let mark = std::iter::once('▁');
    let pieces = mark.chain(PHONES.iter().map(|&(_, character)| character));
    Tokens::from_pieces(pieces.map(String::from).collect())
        .expect("the characters are different and none is a space")
}

/// The character of a phone in ARPAbet, as dictionaries write it: with or without stress.
pub fn phone_character(arpabet: &str) -> Option<char> {
    let name = arpabet.trim_end_matches(['0', '1', '2']);
    let found = PHONES.iter().find(|(phone, _)| *phone == name);
    found.map(|&(_, character)| character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_written_with_one_token_a_phone() {
        let word: Option<String> = ["CH", "IY1", "Z"]
            .map(phone_character)
            .into_iter()
            .collect();
        assert_eq!(word.as_deref(), Some("ʧiz"));
        let tokens = phone_tokens();
        assert_eq!(tokens.len(), NUM_PHONE_TOKENS);
        let ids = tokens.encode("ʧiz ʧiz");
        assert_eq!(ids.map(|ids| ids.len()), Ok(7));
    }

    #[test]
    fn what_is_no_phone_has_no_character() {
        assert_eq!(["", "1", "QQ", "ah", "AH3"].map(phone_character), [None; 5]);
    }
}
