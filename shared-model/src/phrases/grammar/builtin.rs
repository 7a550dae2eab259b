//! Lists that every file has: numbers, digits, letters and dates.

use super::{error::PhraseError, list, syntax::Rule, values::ValueKind};

/// Numbers as they are read aloud. What begins with `fledge.` is for use in here.
const NUMBERS: &str = "\
<fledge.unit> = one | two | three | four | five | six | seven | eight | nine
<fledge.teen> = ten | eleven | twelve | thirteen | fourteen | fifteen | sixteen | seventeen | eighteen | nineteen
<fledge.tens> = twenty | thirty | forty | fifty | sixty | seventy | eighty | ninety
<fledge.below-hundred> = <fledge.unit> | <fledge.teen> | <fledge.tens> [<fledge.unit>]
<fledge.below-thousand> = <fledge.below-hundred> | (a | <fledge.unit>) hundred [[and] <fledge.below-hundred>]
<number> = zero | <fledge.below-thousand> | (a | <fledge.below-thousand>) thousand [and <fledge.below-hundred> | <fledge.below-thousand>]
<digit> = zero | oh | <fledge.unit>
<digits> = <digit>+
";

/// Letters, also as their names are written: a model that learned from sentences writes words.
const LETTERS: &str = "\
<letter> = a | ay | b | be | bee | c | see | sea | d | dee | e | f | ef | eff | g | gee | h | aitch | i | eye | j | jay | k | kay | l | el | ell | m | em | n | en | o | oh | owe | p | pea | pee | q | queue | cue | r | are | s | ess | t | tea | tee | u | you | v | vee | w | double (u | you) | x | ex | y | why | z | zed | zee
<letters> = <letter>+
";

const DATES: &str = "\
<fledge.month> = january | february | march | april | may | june | july | august | september | october | november | december
<fledge.ordinal> = first | second | third | fourth | fifth | sixth | seventh | eighth | ninth | tenth | eleventh | twelfth | thirteenth | fourteenth | fifteenth | sixteenth | seventeenth | eighteenth | nineteenth | twentieth | twenty (first | second | third | fourth | fifth | sixth | seventh | eighth | ninth) | thirtieth | thirty first
<fledge.day> = <fledge.unit> | <fledge.teen> | twenty [<fledge.unit>] | thirty [one]
<fledge.year> = (nineteen | twenty) (<fledge.teen> | <fledge.tens> [<fledge.unit>] | oh <fledge.unit>) | two thousand [[and] <fledge.below-hundred>]
<fledge.weekday> = monday | tuesday | wednesday | thursday | friday | saturday | sunday
<date> = today | tomorrow | yesterday | <fledge.weekday> | <fledge.month> ([the] <fledge.ordinal> | <fledge.day>) [<fledge.year>] | [the] <fledge.ordinal> of <fledge.month> [<fledge.year>]
";

/// The names that may be used in <>, and what their slots give.
const BUILTIN: [(&str, ValueKind); 6] = [
    ("number", ValueKind::Number),
    ("digit", ValueKind::Digits),
    ("digits", ValueKind::Digits),
    ("letter", ValueKind::Letters),
    ("letters", ValueKind::Letters),
    ("date", ValueKind::Date),
];

/// What a slot of this rule gives.
pub(in crate::phrases) fn value_kind(name: &str) -> Option<ValueKind> {
    let known = BUILTIN.iter().find(|(known, _)| *known == name);
    known.map(|(_, kind)| *kind)
}

/// The rules behind those names.
pub(in crate::phrases) fn builtin_rules() -> Result<Vec<Rule>, PhraseError> {
    let source = list::read(&[NUMBERS, LETTERS, DATES].concat())?;
    Ok(source.rules)
}
