//! The plain form: one phrase a line, `#` comments, `<name> = ...` for a list of its own.

use super::{
    error::{PhraseError, Place},
    lexer::{Placed, Symbol, symbols},
    parser::Parser,
    read::Source,
    syntax::{Phrase, Rule},
};

/// Reads a whole file.
pub(super) fn read(text: &str) -> Result<Source, PhraseError> {
    let mut source = Source::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        if !line.trim().is_empty() {
            read_line(line, index + 1, &mut source)?;
        }
    }
    Ok(source)
}

fn read_line(line: &str, number: usize, source: &mut Source) -> Result<(), PhraseError> {
    let place = |column| Place {
        line: number,
        column,
    };
    let end = place(line.trim_end().chars().count() + 1);
    let symbols = symbols(line, place(1), false)?;
    let at = symbols.first().map_or(end, |(_, at)| *at);
    let name = rule_name(&symbols);
    let skipped = if name.is_some() { 2 } else { 0 };
    let mut parser = Parser::new(symbols[skipped..].to_vec(), end);
    let body = parser.choice()?;
    // In a list of its own a semicolon at the end is what people who know JSGF write.
    if name.is_some() {
        parser.accept(&Symbol::Semicolon);
    }
    if !parser.is_done() {
        let found = parser.peek().map_or_else(String::new, Symbol::shown);
        let reason = match found.as_str() {
            "\")\"" | "\"]\"" => format!("{found} closes nothing that was opened"),
            _ => format!("{found} has no place here"),
        };
        return Err(PhraseError::syntax(parser.place(), reason));
    }
    if let Some(name) = name {
        return source.add_rule(Rule { name, body, at });
    }
    source.phrases.push(Phrase { body, at });
    Ok(())
}

/// The name of a line that begins with `<name> =`.
fn rule_name(symbols: &[Placed]) -> Option<String> {
    match symbols {
        [(Symbol::Name(name), _), (Symbol::Equals, _), ..] if !name.contains(':') => {
            Some(name.clone())
        }
        _ => None,
    }
}
