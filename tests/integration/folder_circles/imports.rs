//! What a source file imports, read from its tokens: comments, strings and macros are no riddle to
//! the compiler's own lexer.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Segments of a path from the crate's root, without `crate`.
pub(super) type Path = Vec<String>;

/// A file without what only tests have.
#[derive(Debug, Default)]
pub(super) struct SourceFile {
    /// Every path into the crate that the file names. A re-export counts where its file itself
    /// uses the name.
    pub imports: BTreeSet<Path>,
    /// Where the names of its `use` items come from.
    pub names: BTreeMap<String, Path>,
    /// Modules that only tests have.
    pub test_modules: Vec<Path>,
}

/// Reads the file of `module`, which has `children` in files of their own.
pub(super) fn read(
    tokens: TokenStream,
    module: &[String],
    children: &BTreeSet<String>,
) -> SourceFile {
    let mut reader = Reader {
        module,
        children,
        file: SourceFile::default(),
        reexports: vec![],
        idents: BTreeSet::new(),
    };
    reader.items(tokens, module);
    let Reader {
        mut file,
        reexports,
        idents,
        ..
    } = reader;
    for (name, path) in reexports {
        if idents.contains(&name) {
            file.imports.insert(path.clone());
        }
        file.names.insert(name, path);
    }
    file
}

struct Reader<'a> {
    module: &'a [String],
    children: &'a BTreeSet<String>,
    file: SourceFile,
    reexports: Vec<(String, Path)>,
    /// Every identifier outside `use` items.
    idents: BTreeSet<String>,
}

impl Reader<'_> {
    /// `module`: of these tokens, which may stand in a module within the file.
    fn items(&mut self, tokens: TokenStream, module: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        let mut is_public = false;
        while let Some(token) = rest.first() {
            let was_public = std::mem::take(&mut is_public);
            let len = match token.to_string().as_str() {
                "#" => self.attribute(rest, module),
                "use" => self.use_item(rest, module, was_public),
                "pub" => {
                    is_public = true;
                    1 + usize::from(group(rest.get(1), Delimiter::Parenthesis).is_some())
                }
                "mod" => self.module(rest, module),
                _ => self.code(rest, module),
            };
            rest = &rest[len.min(rest.len())..];
        }
    }

    /// These give the number of tokens that they have read.
    fn attribute(&mut self, tokens: &[TokenTree], module: &[String]) -> usize {
        let Some(attribute) = group(tokens.get(1), Delimiter::Bracket) else {
            return 1;
        };
        if is_for_tests(attribute) {
            2 + self.test_item(&tokens[2..], module)
        } else {
            2
        }
    }

    /// An item that only tests have: up to its semicolon or braces.
    fn test_item(&mut self, tokens: &[TokenTree], module: &[String]) -> usize {
        let words: Vec<String> = tokens.iter().take(4).map(ToString::to_string).collect();
        let is_use = words.iter().any(|word| word == "use");
        if let Some(at) = words.iter().position(|word| word == "mod")
            && let Some(name) = tokens.get(at + 1)
        {
            let module = joined(module, &[name.to_string()]);
            self.file.test_modules.push(module);
        }
        let is_last = |token: &TokenTree| {
            is_punct(token, ';') || !is_use && group(Some(token), Delimiter::Brace).is_some()
        };
        tokens.iter().take_while(|token| !is_last(token)).count() + 1
    }

    fn module(&mut self, tokens: &[TokenTree], module: &[String]) -> usize {
        match (tokens.get(1), group(tokens.get(2), Delimiter::Brace)) {
            (Some(name), Some(body)) => {
                self.items(body, &joined(module, &[name.to_string()]));
                3
            }
            _ => 2,
        }
    }

    fn use_item(&mut self, tokens: &[TokenTree], module: &[String], is_public: bool) -> usize {
        let len = tokens
            .iter()
            .take_while(|token| !is_punct(token, ';'))
            .count();
        let mut found = vec![];
        read_use_tree(&tokens[1..len], &[], &mut found);
        for (path, name) in found {
            let Some(path) = self.absolute(&path, module) else {
                continue;
            };
            if is_public {
                self.reexports.push((name, path));
            } else {
                self.file.imports.insert(path.clone());
                self.file.names.insert(name, path);
            }
        }
        len
    }

    /// A path in code, or a group of tokens.
    fn code(&mut self, tokens: &[TokenTree], module: &[String]) -> usize {
        if let TokenTree::Group(group) = &tokens[0] {
            self.items(group.stream(), module);
            return 1;
        }
        let path = path(tokens);
        self.idents.extend(path.iter().cloned());
        if path.len() > 1 {
            self.file.imports.extend(self.absolute(&path, module));
        }
        (3 * path.len()).saturating_sub(2).max(1)
    }

    /// `path` from the crate's root; `None` if it begins at no module of the crate.
    fn absolute(&self, path: &[String], module: &[String]) -> Option<Path> {
        let (base, mut rest) = match path.first()?.as_str() {
            "crate" => (&[][..], &path[1..]),
            "self" => (module, &path[1..]),
            "super" => (module, path),
            child if module == self.module && self.children.contains(child) => (module, path),
            _ => return None,
        };
        let mut base = base.to_vec();
        while rest.first().is_some_and(|segment| segment == "super") {
            base.pop()?;
            rest = &rest[1..];
        }
        Some(joined(&base, rest))
    }
}

fn joined(path: &[String], more: &[String]) -> Path {
    [path, more].concat()
}

fn is_punct(token: &TokenTree, punct: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == punct)
}

fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<TokenStream> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group.stream()),
        _ => None,
    }
}

/// Whether an attribute is `cfg(test)`, or `cfg(all(..))` with `test` in it.
fn is_for_tests(attribute: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = attribute.into_iter().collect();
    let [TokenTree::Ident(name), condition] = tokens.as_slice() else {
        return matches!(tokens.as_slice(), [TokenTree::Ident(name)] if *name == "test");
    };
    let parts: Vec<TokenTree> = match group(Some(condition), Delimiter::Parenthesis) {
        Some(parts) if *name == "cfg" || *name == "all" => parts.into_iter().collect(),
        _ => return false,
    };
    parts
        .split(|token| is_punct(token, ','))
        .any(|part| is_for_tests(part.iter().cloned().collect()))
}

/// The identifiers of the path with which `tokens` begin.
fn path(tokens: &[TokenTree]) -> Path {
    let mut segments = vec![];
    let mut rest = tokens;
    while let Some(TokenTree::Ident(ident)) = rest.first() {
        segments.push(ident.to_string());
        match rest {
            [_, a, b, TokenTree::Ident(_), ..] if is_punct(a, ':') && is_punct(b, ':') => {
                rest = &rest[3..];
            }
            _ => break,
        }
    }
    segments
}

/// Every path of a `use` tree with the name that it gets here.
fn read_use_tree(tokens: &[TokenTree], prefix: &[String], found: &mut Vec<(Path, String)>) {
    let segments = path(tokens);
    let rest = &tokens[(3 * segments.len()).saturating_sub(2)..];
    let mut path = joined(prefix, &segments);
    if let Some(inner) = group(rest.last(), Delimiter::Brace) {
        let inner: Vec<TokenTree> = inner.into_iter().collect();
        for part in inner.split(|token| is_punct(token, ',')) {
            if !part.is_empty() {
                read_use_tree(part, &path, found);
            }
        }
        return;
    }
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    // After `as`, or of `*`, which no name in code equals.
    let name = rest.last().map(ToString::to_string);
    if let Some(name) = name.or_else(|| path.last().cloned()) {
        found.push((path, name));
    }
}
