//! Symbols to expressions, for both forms of a list.

use super::{
    error::{PhraseError, Place},
    lexer::{Placed, Symbol},
    syntax::Expr,
};
use crate::tokens::normalize_text;

/// Brackets inside brackets, at most.
const MAX_DEPTH: usize = 64;
/// Signs behind one part, at most.
const MAX_SIGNS: usize = 8;

/// Reads expressions off symbols.
pub(super) struct Parser {
    symbols: Vec<Placed>,
    next: usize,
    /// Where the text ends.
    end: Place,
    depth: usize,
}

impl Parser {
    pub(super) fn new(symbols: Vec<Placed>, end: Place) -> Self {
        Self {
            symbols,
            next: 0,
            end,
            depth: 0,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.next >= self.symbols.len()
    }

    pub(super) fn peek(&self) -> Option<&Symbol> {
        self.symbols.get(self.next).map(|(symbol, _)| symbol)
    }

    pub(super) fn place(&self) -> Place {
        self.symbols.get(self.next).map_or(self.end, |(_, at)| *at)
    }

    pub(super) fn take(&mut self) -> Option<Placed> {
        let symbol = self.symbols.get(self.next).cloned();
        self.next += usize::from(symbol.is_some());
        symbol
    }

    /// The next symbol if it is this one.
    pub(super) fn accept(&mut self, symbol: &Symbol) -> bool {
        let is_it = self.peek() == Some(symbol);
        self.next += usize::from(is_it);
        is_it
    }

    /// # Errors
    /// Another symbol stands there.
    pub(super) fn expect(&mut self, symbol: &Symbol, why: &str) -> Result<(), PhraseError> {
        if self.accept(symbol) {
            return Ok(());
        }
        let found = self.peek().map_or("the end".into(), Symbol::shown);
        Err(PhraseError::syntax(
            self.place(),
            format!("expected {} {why}, found {found}", symbol.shown()),
        ))
    }

    /// Alternatives between bars.
    ///
    /// # Errors
    /// What is not written as it should be, and digits.
    pub(super) fn choice(&mut self) -> Result<Expr, PhraseError> {
        let mut parts = vec![self.sequence()?];
        while self.accept(&Symbol::Bar) {
            parts.push(self.sequence()?);
        }
        Ok(Expr::choice(parts))
    }

    /// What stands between two bars.
    ///
    /// # Errors
    /// As [`Self::choice`].
    pub(super) fn sequence(&mut self) -> Result<Expr, PhraseError> {
        let mut parts = Vec::new();
        while let Some(part) = self.part()? {
            parts.push(part);
        }
        if parts.is_empty() {
            let found = self.peek().map_or("the end".into(), Symbol::shown);
            return Err(PhraseError::syntax(
                self.place(),
                format!("expected a word, a rule in <>, \"(\" or \"[\", found {found}"),
            ));
        }
        Ok(Expr::sequence(parts))
    }

    /// A part with what stands behind it; `None` where a sequence ends.
    fn part(&mut self) -> Result<Option<Expr>, PhraseError> {
        let at = self.place();
        let mut part = match self.peek() {
            Some(Symbol::Word(_)) => self.word()?,
            Some(Symbol::Name(_)) => self.rule()?,
            Some(Symbol::Open) => self.bracketed(&Symbol::Close)?,
            Some(Symbol::OpenOptional) => {
                let inner = self.bracketed(&Symbol::CloseOptional)?;
                Expr::Optional(Box::new(inner))
            }
            Some(Symbol::Tag(_) | Symbol::Star | Symbol::Plus) => {
                let found = self.peek().map_or_else(String::new, Symbol::shown);
                let reason = format!("{found} stands behind a word, a rule or a bracket");
                return Err(PhraseError::syntax(at, reason));
            }
            _ => return Ok(None),
        };
        for _ in 0..=MAX_SIGNS {
            part = match self.peek() {
                Some(Symbol::Star) => Expr::AnyTimes(Box::new(part)),
                Some(Symbol::Plus) => Expr::Repeated(Box::new(part)),
                Some(Symbol::Tag(tag)) => Expr::Tagged(Box::new(part), tag.clone()),
                _ => return Ok(Some(part)),
            };
            self.next += 1;
        }
        let reason = format!("more than {MAX_SIGNS} of *, + and {{}} behind one part");
        Err(PhraseError::syntax(at, reason))
    }

    fn bracketed(&mut self, close: &Symbol) -> Result<Expr, PhraseError> {
        let at = self.place();
        let open = self.take().map_or_else(String::new, |(s, _)| s.shown());
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let reason = format!("brackets inside brackets are {MAX_DEPTH} deep at most");
            return Err(PhraseError::syntax(at, reason));
        }
        let inner = self.choice()?;
        self.depth -= 1;
        if !self.accept(close) {
            let found = self.peek().map_or("the end".into(), Symbol::shown);
            let reason = format!(
                "{open} is never closed: {} is missing before {found} at {}",
                close.shown(),
                self.place()
            );
            return Err(PhraseError::syntax(at, reason));
        }
        Ok(inner)
    }

    fn word(&mut self) -> Result<Expr, PhraseError> {
        let Some((Symbol::Word(text), at)) = self.take() else {
            return Ok(Expr::Nothing);
        };
        if text.chars().any(char::is_numeric) {
            let spelled = normalize_text(&text);
            let word = text;
            return Err(PhraseError::Digits { at, word, spelled });
        }
        Ok(Expr::Word { text, at })
    }

    fn rule(&mut self) -> Result<Expr, PhraseError> {
        let Some((Symbol::Name(full), at)) = self.take() else {
            return Ok(Expr::Nothing);
        };
        if full == "NULL" {
            return Ok(Expr::Nothing);
        }
        let (name, slot) = match full.split_once(':') {
            None => (full.as_str(), None),
            Some((name, slot)) => (name, Some(slot)),
        };
        let is_wrong = |part: &str| part.is_empty() || part.contains(':');
        if is_wrong(name) || slot.is_some_and(is_wrong) {
            let reason = format!("<{full}>: expected <rule> or <rule:slot>");
            return Err(PhraseError::syntax(at, reason));
        }
        Ok(Expr::Rule {
            name: name.to_owned(),
            slot: slot.map(str::to_owned),
            at,
        })
    }
}
