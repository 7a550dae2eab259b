use proptest::prelude::*;

use super::normalize_text;

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(normalize_text(text), *expected, "{text:?}");
    }
}

#[test]
fn only_lower_case_letters_apostrophes_and_single_spaces_are_left() {
    check(&[
        ("", ""),
        ("  Hello,\tWORLD!  ", "hello world"),
        ("well-known (e.g. this)", "well known e g this"),
        ("日本 语", ""),
        ("a_b/c", "a b c"),
    ]);
}

#[test]
fn apostrophes_stay_inside_words_and_fall_away_as_quotes() {
    check(&[
        ("Don’t", "don't"),
        ("o'clock", "o'clock"),
        ("'Hello,' she said", "hello she said"),
        ("‘it’s’", "it's"),
        ("the dogs' bowl", "the dogs bowl"),
        ("''quoted''", "quoted"),
        ("a''b", "a b"),
        ("' ' '", ""),
        ("rock 'n' roll", "rock n roll"),
    ]);
}

#[test]
fn accented_latin_letters_become_plain_ones() {
    check(&[
        ("Café naïve Ångström", "cafe naive angstrom"),
        ("CAFE\u{301}", "cafe"),
        ("Straße Œuvre Łódź þing", "strasse oeuvre lodz thing"),
        ("Việt Nam İstanbul", "viet nam istanbul"),
        ("ﬁne ＡＢＣ４", "fine abc four"),
        ("co\u{ad}operate", "cooperate"),
    ]);
}

#[test]
fn numbers_are_read_aloud() {
    check(&[
        ("0", "zero"),
        ("42", "forty two"),
        ("13 19 20 90", "thirteen nineteen twenty ninety"),
        (
            "100 101 110 999",
            "one hundred one hundred one one hundred ten nine hundred ninety nine",
        ),
        ("1984", "one thousand nine hundred eighty four"),
        ("1000000", "one million"),
        ("1,000,042", "one million forty two"),
        ("12,34", "twelve thirty four"),
        ("3.5", "three point five"),
        ("0.05.", "zero point zero five"),
        (".5 a.5", "point five a five"),
        ("1.2.3", "one point two point three"),
        ("007", "zero zero seven"),
        (
            "5551234567",
            "five five five one two three four five six seven",
        ),
        (
            "1,234,567,890",
            "one billion two hundred thirty four million five hundred sixty seven thousand eight hundred ninety",
        ),
        ("10:30", "ten thirty"),
        ("50% & more", "fifty percent and more"),
        ("mp3 4x4", "mp three four x four"),
        ("it's 5's turn", "it's five's turn"),
        ("-7", "seven"),
    ]);
}

#[test]
fn ordinals_are_read_aloud() {
    check(&[
        ("1st 2nd 3rd 4th 5th", "first second third fourth fifth"),
        ("8th 9th 12th 20th", "eighth ninth twelfth twentieth"),
        ("21ST 30th 31st", "twenty first thirtieth thirty first"),
        ("100th 1,000th", "one hundredth one thousandth"),
        ("5three 3rdly", "five three three rdly"),
    ]);
}

proptest! {
    #[test]
    fn normalising_twice_changes_nothing(text in any::<String>()) {
        let once = normalize_text(&text);
        prop_assert_eq!(normalize_text(&once), once.clone());
        prop_assert!(once.chars().all(|c| matches!(c, 'a'..='z' | '\'' | ' ')));
        prop_assert!(!once.contains("  ") && once.trim() == once);
    }

    #[test]
    fn text_of_the_usual_kind_is_normalised_once_and_for_all(text in "[a-z0-9'’., %&stndrhé-]{0,40}") {
        let once = normalize_text(&text);
        prop_assert_eq!(normalize_text(&once), once);
    }
}
