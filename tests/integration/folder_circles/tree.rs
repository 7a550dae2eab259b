//! The modules of a crate, and the file that each import leads to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
};

use super::imports::{self, Path, SourceFile};

/// Re-exports of re-exports that are followed.
const MAX_REEXPORTS: usize = 16;

/// The files of a crate's library by module.
pub(super) struct SourceTree {
    files: BTreeMap<Path, (String, SourceFile)>,
}

/// A file that names something of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub from: Path,
    /// The module in whose file the named thing is defined.
    pub to: Path,
    /// Name of the importing file.
    pub file: String,
    /// As it is named, from the crate's root.
    pub path: Path,
}

impl SourceTree {
    /// Reads the crate below `src`, but for its binaries.
    pub(super) fn read(src: &std::path::Path) -> io::Result<Self> {
        let mut texts = BTreeMap::new();
        read_folder(src, &[], &mut texts)?;
        Self::from_texts(texts)
    }

    /// From names and texts of files by module.
    pub(super) fn from_texts(texts: BTreeMap<Path, (String, String)>) -> io::Result<Self> {
        let mut children: BTreeMap<Path, BTreeSet<String>> = BTreeMap::new();
        for module in texts.keys() {
            if let Some((name, parent)) = module.split_last() {
                let of_parent = children.entry(parent.to_vec()).or_default();
                of_parent.insert(name.clone());
            }
        }
        let mut files = BTreeMap::new();
        for (module, (name, text)) in texts {
            let tokens = text
                .parse()
                .map_err(|error| io::Error::other(format!("{name}: {error}")))?;
            let children = children.remove(&module).unwrap_or_default();
            let file = imports::read(tokens, &module, &children);
            files.insert(module, (name, file));
        }
        let of_tests: Vec<Path> = files
            .values()
            .flat_map(|(_, file)| file.test_modules.clone())
            .collect();
        files.retain(|module, _| !of_tests.iter().any(|test| module.starts_with(test)));
        Ok(Self { files })
    }

    /// Whether `module` has modules in it that are files.
    pub(super) fn is_folder(&self, module: &[String]) -> bool {
        let mut modules = self.files.keys();
        modules.any(|other| other.len() > module.len() && other.starts_with(module))
    }

    /// What every file names of other files.
    pub(super) fn imports(&self) -> Vec<Import> {
        let mut found = vec![];
        for (module, (file, source)) in &self.files {
            for path in &source.imports {
                let to = self.definition(path);
                if to != *module {
                    found.push(Import {
                        from: module.clone(),
                        to,
                        file: file.clone(),
                        path: path.clone(),
                    });
                }
            }
        }
        found
    }

    /// The module in whose file the end of `path` is defined, through re-exports.
    fn definition(&self, path: &[String]) -> Path {
        let mut path = path.to_vec();
        for _ in 0..MAX_REEXPORTS {
            let module = (0..=path.len())
                .rev()
                .map(|len| &path[..len])
                .find(|module| self.files.contains_key(*module))
                .unwrap_or_default();
            let rest = &path[module.len()..];
            let names = self.files.get(module).map(|(_, source)| &source.names);
            let brought_in = rest.first().and_then(|name| names?.get(name));
            match brought_in {
                Some(origin) => path = [origin, &rest[1..]].concat(),
                None => return module.to_vec(),
            }
        }
        path
    }
}

fn read_folder(
    folder: &std::path::Path,
    module: &[String],
    texts: &mut BTreeMap<Path, (String, String)>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        let child = || [module, &[stem.to_owned()]].concat();
        let is_root = module.is_empty();
        if path.is_dir() {
            if !(is_root && stem == "bin") {
                read_folder(&path, &child(), texts)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !(is_root && stem == "main")
        {
            let is_own = stem == "mod" || is_root && stem == "lib";
            let module = if is_own { module.to_vec() } else { child() };
            let text = fs::read_to_string(&path)?;
            texts.insert(module, (path.display().to_string(), text));
        }
    }
    Ok(())
}
