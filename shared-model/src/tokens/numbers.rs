//! Numbers in words: cardinals, ordinals and decimals.

/// 0 to 19.
pub(crate) const UNITS: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
/// 20 to 90.
pub(crate) const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const SCALES: [(u64, &str); 4] = [
    (1_000_000_000_000, "trillion"),
    (1_000_000_000, "billion"),
    (1_000_000, "million"),
    (1_000, "thousand"),
];

/// More digits than this without separators are a telephone or account number.
const MAX_PLAIN_DIGITS: usize = 9;
/// Digits with separators are meant as a number up to the trillions.
const MAX_GROUPED_DIGITS: usize = 15;

/// A number at the start of `characters`, in words, and how many characters it takes. `None` unless
/// a digit is there, or a point with a digit after it.
pub(super) fn spell(characters: &[char]) -> Option<(String, usize)> {
    let (digits, mut used, grouped) = whole_part(characters);
    let mut words: Vec<&'static str> = Vec::new();
    if !digits.is_empty() {
        let most = if grouped {
            MAX_GROUPED_DIGITS
        } else {
            MAX_PLAIN_DIGITS
        };
        let as_one = digits.len() <= most && (digits.len() == 1 || digits[0] != 0);
        if as_one {
            cardinal(
                digits
                    .iter()
                    .fold(0, |value, &digit| value * 10 + u64::from(digit)),
                &mut words,
            );
        } else {
            words.extend(digits.iter().map(|&digit| UNITS[usize::from(digit)]));
        }
        if let Some(suffix) = ordinal_suffix(&characters[used..])
            && let Some(last) = words.pop()
        {
            let mut text = words.join(" ");
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&ordinal(last));
            return Some((text, used + suffix));
        }
    }
    while characters.get(used) == Some(&'.') && digit_at(characters, used + 1).is_some() {
        words.push("point");
        used += 1;
        while let Some(digit) = digit_at(characters, used) {
            words.push(UNITS[usize::from(digit)]);
            used += 1;
        }
    }
    (used > 0).then(|| (words.join(" "), used))
}

fn digit_at(characters: &[char], at: usize) -> Option<u8> {
    characters
        .get(at)?
        .to_digit(10)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Digits, the characters they take, and whether commas part them in threes.
fn whole_part(characters: &[char]) -> (Vec<u8>, usize, bool) {
    let run = |from: usize| {
        (from..)
            .map_while(|at| digit_at(characters, at))
            .collect::<Vec<u8>>()
    };
    let mut digits = run(0);
    let mut used = digits.len();
    let mut grouped = false;
    if (1..=3).contains(&used) && digits[0] != 0 {
        while characters.get(used) == Some(&',') {
            let group = run(used + 1);
            if group.len() != 3 {
                break;
            }
            digits.extend(group);
            used += 4;
            grouped = true;
        }
    }
    (digits, used, grouped)
}

/// Characters of `st`, `nd`, `rd` or `th` that end the word here.
fn ordinal_suffix(characters: &[char]) -> Option<usize> {
    let [first, second, rest @ ..] = characters else {
        return None;
    };
    let known = matches!(
        (first, second),
        ('s', 't') | ('n', 'd') | ('r', 'd') | ('t', 'h')
    );
    (known && !rest.first().is_some_and(|c| c.is_alphanumeric())).then_some(2)
}

fn cardinal(mut value: u64, words: &mut Vec<&'static str>) {
    if value == 0 {
        words.push(UNITS[0]);
        return;
    }
    for (scale, name) in SCALES {
        if value >= scale {
            below_thousand(value / scale, words);
            words.push(name);
            value %= scale;
        }
    }
    below_thousand(value, words);
}

/// Nothing for zero.
fn below_thousand(value: u64, words: &mut Vec<&'static str>) {
    let mut value = usize::try_from(value).unwrap_or(0) % 1000;
    if value >= 100 {
        words.push(UNITS[value / 100]);
        words.push("hundred");
        value %= 100;
    }
    if value >= 20 {
        words.push(TENS[value / 10 - 2]);
        value %= 10;
    }
    if value > 0 {
        words.push(UNITS[value]);
    }
}

fn ordinal(last: &str) -> String {
    match last {
        "one" => "first".into(),
        "two" => "second".into(),
        "three" => "third".into(),
        "five" => "fifth".into(),
        "eight" => "eighth".into(),
        "nine" => "ninth".into(),
        "twelve" => "twelfth".into(),
        _ => match last.strip_suffix('y') {
            Some(stem) => format!("{stem}ieth"),
            None => format!("{last}th"),
        },
    }
}
