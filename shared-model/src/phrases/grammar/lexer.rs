//! Characters to symbols with places.

use super::error::{PhraseError, Place};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Symbol {
    Word(String),
    /// What stands in angle brackets.
    Name(String),
    /// What stands in braces.
    Tag(String),
    Open,
    Close,
    OpenOptional,
    CloseOptional,
    Bar,
    Star,
    Plus,
    Equals,
    Semicolon,
}

impl Symbol {
    /// As people write it.
    pub(super) fn shown(&self) -> String {
        let text = match self {
            Self::Word(word) => return format!("\"{word}\""),
            Self::Name(name) => return format!("<{name}>"),
            Self::Tag(tag) => return format!("{{{tag}}}"),
            Self::Open => "(",
            Self::Close => ")",
            Self::OpenOptional => "[",
            Self::CloseOptional => "]",
            Self::Bar => "|",
            Self::Star => "*",
            Self::Plus => "+",
            Self::Equals => "=",
            Self::Semicolon => ";",
        };
        format!("\"{text}\"")
    }
}

pub(super) type Placed = (Symbol, Place);

/// Characters of a text one by one, with the place of each.
pub(super) struct Characters<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    place: Place,
}

impl<'a> Characters<'a> {
    /// `place`: of the first character.
    pub(super) fn new(text: &'a str, place: Place) -> Self {
        Self {
            rest: text.chars().peekable(),
            place,
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest.next()?;
        if character == '\n' {
            self.place = Place {
                line: self.place.line + 1,
                column: 1,
            };
        } else {
            self.place.column += 1;
        }
        Some(character)
    }

    /// What stands before `end`, which is taken too; `None` if it never comes.
    fn until(&mut self, end: char) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.next()? {
                character if character == end => return Some(text),
                character => text.push(character),
            }
        }
    }
}

/// The symbols of a text that begins at `place`. `has_comments`: `//` and `/* */` are comments, as
/// in JSGF.
pub(super) fn symbols(
    text: &str,
    place: Place,
    has_comments: bool,
) -> Result<Vec<Placed>, PhraseError> {
    let mut characters = Characters::new(text, place);
    let mut found = Vec::new();
    loop {
        let at = characters.place;
        let Some(character) = characters.next() else {
            return Ok(found);
        };
        if character.is_whitespace() {
            continue;
        }
        if has_comments && character == '/' {
            skip_comment(&mut characters, at)?;
            continue;
        }
        if character == '"' {
            quoted(&mut characters, at, &mut found)?;
            continue;
        }
        let symbol = match single(character) {
            Some(symbol) => symbol,
            None => longer(character, &mut characters, at)?,
        };
        found.push((symbol, at));
    }
}

fn single(character: char) -> Option<Symbol> {
    Some(match character {
        '(' => Symbol::Open,
        ')' => Symbol::Close,
        '[' => Symbol::OpenOptional,
        ']' => Symbol::CloseOptional,
        '|' => Symbol::Bar,
        '*' => Symbol::Star,
        '+' => Symbol::Plus,
        '=' => Symbol::Equals,
        ';' => Symbol::Semicolon,
        _ => return None,
    })
}

fn longer(first: char, characters: &mut Characters, at: Place) -> Result<Symbol, PhraseError> {
    let unclosed = |open: char, close: char| {
        PhraseError::syntax(at, format!("\"{open}\" is never closed with \"{close}\""))
    };
    match first {
        '<' => {
            let name = characters.until('>').ok_or_else(|| unclosed('<', '>'))?;
            let name = name.trim().to_owned();
            let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
            if name.is_empty() || !name.chars().all(is_plain) {
                let reason = "a rule's name in <> has letters, digits, \"_\", \"-\" and \".\", and may have a slot's name after \":\", as in <number:minutes>";
                return Err(PhraseError::syntax(at, reason));
            }
            Ok(Symbol::Name(name))
        }
        '{' => {
            let tag = characters.until('}').ok_or_else(|| unclosed('{', '}'))?;
            Ok(Symbol::Tag(tag.trim().to_owned()))
        }
        '>' | '}' => Err(PhraseError::syntax(
            at,
            format!("\"{first}\" closes nothing that was opened"),
        )),
        _ => {
            let mut word = String::from(first);
            while let Some(next) = characters.peek() {
                let ends = next.is_whitespace()
                    || matches!(next, '<' | '>' | '{' | '}' | '"')
                    || single(next).is_some();
                if ends {
                    break;
                }
                word.push(next);
                characters.next();
            }
            Ok(Symbol::Word(word))
        }
    }
}

fn skip_comment(characters: &mut Characters, at: Place) -> Result<(), PhraseError> {
    match characters.next() {
        Some('/') => {
            characters.until('\n');
            Ok(())
        }
        Some('*') => {
            let mut last = ' ';
            while let Some(character) = characters.next() {
                if last == '*' && character == '/' {
                    return Ok(());
                }
                last = character;
            }
            Err(PhraseError::syntax(
                at,
                "this comment is never closed with \"*/\"",
            ))
        }
        _ => Err(PhraseError::syntax(
            at,
            "weights between \"/\" are not understood: all alternatives are equally likely",
        )),
    }
}

/// Several words in quotation marks are as many words.
fn quoted(
    characters: &mut Characters,
    at: Place,
    found: &mut Vec<Placed>,
) -> Result<(), PhraseError> {
    let text = characters
        .until('"')
        .ok_or_else(|| PhraseError::syntax(at, "this quotation mark is never closed"))?;
    let words = text.split_whitespace();
    found.extend(words.map(|word| (Symbol::Word(word.to_owned()), at)));
    Ok(())
}
