//! The subset of the JSpeech Grammar Format (W3C Note, 2000) that is understood.
//!
//! ```text
//! #JSGF V1.0;
//! grammar home;
//! <colour> = red | green | blue;
//! public <command> = [please] (turn | switch) on | make it <colour:colour>;
//! ```
//!
//! Every alternative of a public rule is a phrase. Imports and weights are refused.

use super::{
    error::{PhraseError, Place},
    lexer::{Symbol, symbols},
    parser::Parser,
    read::Source,
    syntax::{Expr, Phrase, Rule},
};

/// What a grammar begins with.
pub(super) const HEADER: &str = "#JSGF";

/// Reads a whole file whose first line that is not empty begins with [`HEADER`].
pub(super) fn read(text: &str) -> Result<Source, PhraseError> {
    let (body, place) = behind_header(text)?;
    let end = Place {
        line: text.lines().count().max(1),
        column: text.lines().last().unwrap_or_default().chars().count() + 1,
    };
    let mut parser = Parser::new(symbols(body, place, true)?, end);
    let mut source = Source::default();
    grammar_name(&mut parser)?;
    while !parser.is_done() {
        rule(&mut parser, &mut source)?;
    }
    Ok(source)
}

/// What stands behind the `;` of the first line, and where that is.
fn behind_header(text: &str) -> Result<(&str, Place), PhraseError> {
    let start = text.find(HEADER).unwrap_or(0);
    let line = text[..start].matches('\n').count() + 1;
    let rest = &text[start..];
    let head = rest.lines().next().unwrap_or_default();
    let at = Place { line, column: 1 };
    let Some(end) = head.find(';') else {
        let reason = "the first line of a grammar is \"#JSGF V1.0;\", with the semicolon";
        return Err(PhraseError::syntax(at, reason));
    };
    let column = head[..=end].chars().count() + 1;
    Ok((&rest[end + 1..], Place { line, column }))
}

fn is_word(symbol: Option<&Symbol>, wanted: &str) -> bool {
    matches!(symbol, Some(Symbol::Word(word)) if word == wanted)
}

/// `grammar name;`
fn grammar_name(parser: &mut Parser) -> Result<(), PhraseError> {
    let at = parser.place();
    let is_there = is_word(parser.peek(), "grammar");
    if is_there {
        parser.take();
    }
    if !is_there || !matches!(parser.take(), Some((Symbol::Word(_), _))) {
        let reason = "expected \"grammar NAME;\" behind the first line";
        return Err(PhraseError::syntax(at, reason));
    }
    parser.expect(&Symbol::Semicolon, "behind the grammar's name")
}

/// `[public] <name> = alternatives;`
fn rule(parser: &mut Parser, source: &mut Source) -> Result<(), PhraseError> {
    if is_word(parser.peek(), "import") {
        let reason =
            "imports are not understood: write the rules of the other grammar into this file";
        return Err(PhraseError::syntax(parser.place(), reason));
    }
    let is_public = is_word(parser.peek(), "public");
    if is_public {
        parser.take();
    }
    let at = parser.place();
    let name = rule_name(parser)?;
    parser.expect(&Symbol::Equals, "behind the rule's name")?;
    let mut alternatives = Vec::new();
    loop {
        let at = parser.place();
        let body = parser.sequence()?;
        alternatives.push(Phrase { body, at });
        if !parser.accept(&Symbol::Bar) {
            break;
        }
    }
    parser.expect(&Symbol::Semicolon, "at the rule's end")?;
    if is_public {
        source.phrases.extend(alternatives.iter().cloned());
    }
    let bodies = alternatives.into_iter().map(|phrase| phrase.body);
    source.add_rule(Rule {
        name,
        body: Expr::choice(bodies.collect()),
        at,
    })
}

fn rule_name(parser: &mut Parser) -> Result<String, PhraseError> {
    let at = parser.place();
    match parser.take() {
        Some((Symbol::Name(name), _)) if !name.contains(':') => Ok(name),
        other => {
            let found = other.map_or("the end".into(), |(symbol, _)| symbol.shown());
            let reason = format!("expected a rule such as \"<name> = ...;\", found {found}");
            Err(PhraseError::syntax(at, reason))
        }
    }
}
