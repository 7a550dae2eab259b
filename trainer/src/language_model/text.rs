//! Text to sentences of word ids.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use shared_model::decode::lm::{MAX_WORD_BYTES, SENTENCE_END, SENTENCE_START, UNKNOWN_WORD};
use shared_model::tokens::normalize_text;

use super::LmError;

/// Longest line: a sentence is some hundred bytes, a file that is not text may be one line.
const MAX_LINE_BYTES: usize = 1 << 20;
/// Most words of a text: their ids and the counts of all orders are held in memory.
const MAX_TOKENS: usize = 1 << 28;

/// Ids of the words that no text holds.
pub(super) const START_ID: u32 = 0;
pub(super) const END_ID: u32 = 1;
pub(super) const UNKNOWN_ID: u32 = 2;

/// Lines of a text file, plain or gzip-compressed, each normalised as references are.
pub struct TextReader<'a> {
    path: &'a Path,
    reader: Box<dyn BufRead>,
    line: usize,
}

impl<'a> TextReader<'a> {
    /// # Errors
    /// A file that cannot be opened or read.
    pub fn open(path: &'a Path) -> Result<Self, LmError> {
        let failed = |source| LmError::Read {
            path: path.to_owned(),
            source,
        };
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        let is_gzip = file.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn BufRead> = if is_gzip {
            Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(file)))
        } else {
            Box::new(file)
        };
        Ok(Self {
            path,
            reader,
            line: 0,
        })
    }

    /// The next line that has words, normalised; `None` at the end.
    ///
    /// # Errors
    /// Damaged compression, a line that is too long or not UTF-8.
    pub fn next_sentence(&mut self) -> Result<Option<String>, LmError> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let mut limited = (&mut self.reader).take(MAX_LINE_BYTES as u64 + 1);
            let length = limited
                .read_until(b'\n', &mut bytes)
                .map_err(|source| LmError::Read {
                    path: self.path.to_owned(),
                    source,
                })?;
            if length == 0 {
                return Ok(None);
            }
            self.line += 1;
            if length > MAX_LINE_BYTES {
                return Err(LmError::LongLine {
                    path: self.path.to_owned(),
                    line: self.line,
                    limit: MAX_LINE_BYTES,
                });
            }
            let text = str::from_utf8(&bytes).map_err(|_| LmError::NotText {
                path: self.path.to_owned(),
                line: self.line,
            })?;
            let sentence = normalize_text(text);
            if !sentence.is_empty() {
                return Ok(Some(sentence));
            }
        }
    }
}

/// Which words of the text a model knows; the others are `<unk>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VocabularyLimits {
    /// Words that occur less often are unknown.
    pub min_count: u32,
    /// The most frequent words; of equally frequent ones the first in the alphabet.
    pub max_words: usize,
}

impl Default for VocabularyLimits {
    fn default() -> Self {
        Self {
            min_count: 1,
            max_words: usize::MAX,
        }
    }
}

/// A text as word ids.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// By id: `<s>`, `</s>`, `<unk>`, then words from frequent to rare.
    pub(super) words: Vec<Box<str>>,
    /// Every sentence's words and its `</s>`.
    pub(super) tokens: Vec<u32>,
    /// Ids of words that the text lacks, and how often each counts: see [`Self::add_words`].
    pub(super) added: Vec<(u32, u32)>,
    /// Lines with words.
    pub num_sentences: usize,
    /// Words outside the vocabulary, each time they occur.
    pub num_unknown: usize,
}

impl Corpus {
    /// Reads text files, one sentence a line.
    ///
    /// # Errors
    /// As [`TextReader`], or a text without words.
    pub fn read(paths: &[impl AsRef<Path>], limits: &VocabularyLimits) -> Result<Self, LmError> {
        let mut builder = Builder::default();
        for path in paths {
            let path = path.as_ref();
            let mut reader = TextReader::open(path)?;
            let before = builder.tokens.len();
            while let Some(sentence) = reader.next_sentence()? {
                builder.push(&sentence)?;
            }
            if builder.tokens.len() == before {
                return Err(LmError::NoWords {
                    path: path.to_owned(),
                });
            }
        }
        Ok(builder.finish(limits))
    }

    /// As [`Self::read`], of sentences that are normalised already.
    ///
    /// # Errors
    /// Too many words.
    pub fn from_sentences<'a>(
        sentences: impl IntoIterator<Item = &'a str>,
        limits: &VocabularyLimits,
    ) -> Result<Self, LmError> {
        let mut builder = Builder::default();
        for sentence in sentences {
            builder.push(sentence)?;
        }
        Ok(builder.finish(limits))
    }

    /// Gives the vocabulary words that it lacks, each as likely, whatever stands before it, as if it were so
    /// many of the text's words. Those that it has stay as they are. Gives the number of the new ones.
    pub fn add_words<'a>(&mut self, words: impl IntoIterator<Item = (&'a str, u32)>) -> usize {
        let mut known: HashSet<Box<str>> = self.words.iter().cloned().collect();
        let before = self.added.len();
        for (word, count) in words {
            if word.len() <= MAX_WORD_BYTES && known.insert(word.into()) {
                self.added.push((self.words.len() as u32, count));
                self.words.push(word.into());
            }
        }
        self.added.len() - before
    }

    /// Words in the vocabulary, `<s>`, `</s>` and `<unk>` not counted.
    pub fn vocabulary_size(&self) -> usize {
        self.words.len() - 3
    }

    /// Words of the text, unknown ones included.
    pub fn num_words(&self) -> usize {
        self.tokens.len() - self.num_sentences
    }

    /// Each sentence's ids, `</s>` last.
    pub(super) fn sentences(&self) -> impl Iterator<Item = &[u32]> {
        self.tokens.split_inclusive(|&id| id == END_ID)
    }
}

/// Ids in the order in which words are seen, from 0; the end of a sentence is `END`.
#[derive(Default)]
struct Builder {
    ids: HashMap<Box<str>, u32>,
    counts: Vec<u32>,
    tokens: Vec<u32>,
    num_sentences: usize,
}

const END: u32 = u32::MAX;

impl Builder {
    fn push(&mut self, sentence: &str) -> Result<(), LmError> {
        let before = self.tokens.len();
        for word in sentence.split_ascii_whitespace() {
            let id = match self.ids.get(word) {
                Some(&id) => id,
                None => {
                    let id = self.counts.len() as u32;
                    self.ids.insert(word.into(), id);
                    self.counts.push(0);
                    id
                }
            };
            self.counts[id as usize] = self.counts[id as usize].saturating_add(1);
            self.tokens.push(id);
        }
        if self.tokens.len() > before {
            self.tokens.push(END);
            self.num_sentences += 1;
        }
        if self.tokens.len() > MAX_TOKENS {
            return Err(LmError::TooManyWords { limit: MAX_TOKENS });
        }
        Ok(())
    }

    fn finish(self, limits: &VocabularyLimits) -> Corpus {
        let mut seen: Vec<(Box<str>, u32)> = self.ids.into_iter().collect();
        let count = |id: u32| self.counts[id as usize];
        seen.sort_unstable_by(|(a, id_a), (b, id_b)| {
            count(*id_b).cmp(&count(*id_a)).then_with(|| a.cmp(b))
        });
        let mut words: Vec<Box<str>> = [SENTENCE_START, SENTENCE_END, UNKNOWN_WORD]
            .map(Box::from)
            .to_vec();
        let mut new_ids = vec![UNKNOWN_ID; seen.len()];
        for (word, id) in seen {
            // A word that no model can hold is as unknown as a rare one.
            let is_known = count(id) >= limits.min_count
                && words.len() - 3 < limits.max_words
                && word.len() <= MAX_WORD_BYTES;
            if is_known {
                new_ids[id as usize] = words.len() as u32;
                words.push(word);
            }
        }
        let new_id = |id| match id {
            END => END_ID,
            id => new_ids[id as usize],
        };
        let tokens: Vec<u32> = self.tokens.into_iter().map(new_id).collect();
        Corpus {
            words,
            num_unknown: tokens.iter().filter(|&&id| id == UNKNOWN_ID).count(),
            tokens,
            added: Vec::new(),
            num_sentences: self.num_sentences,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use super::*;

    fn words(corpus: &Corpus) -> Vec<&str> {
        corpus.words[3..].iter().map(AsRef::as_ref).collect()
    }

    #[test]
    fn lines_are_normalised_sentences_and_lines_without_words_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, "It's 2 o'clock.\r\n\n ...\nTwo dogs").unwrap();
        let corpus = Corpus::read(&[&path], &VocabularyLimits::default()).unwrap();
        assert_eq!(words(&corpus), ["two", "dogs", "it's", "o'clock"]);
        assert_eq!(corpus.tokens, [5, 3, 6, END_ID, 3, 4, END_ID]);
        assert_eq!((corpus.num_sentences, corpus.num_words()), (2, 5));
    }

    #[test]
    fn rare_words_and_those_above_the_limit_are_unknown() {
        let text = ["b a a c", "c d c"];
        let limits = VocabularyLimits {
            min_count: 2,
            max_words: 1,
        };
        let corpus = Corpus::from_sentences(text, &limits).unwrap();
        assert_eq!(words(&corpus), ["c"]);
        assert_eq!(corpus.tokens, [2, 2, 2, 3, 1, 3, 2, 3, 1]);
        assert_eq!((corpus.num_unknown, corpus.num_words()), (4, 7));
        let limits = VocabularyLimits {
            min_count: 2,
            ..VocabularyLimits::default()
        };
        assert_eq!(
            words(&Corpus::from_sentences(text, &limits).unwrap()),
            ["c", "a"]
        );
    }

    #[test]
    fn words_are_added_once_and_only_if_the_vocabulary_lacks_them() {
        let mut corpus = Corpus::from_sentences(["a b"], &VocabularyLimits::default()).unwrap();
        let tokens = corpus.tokens.clone();
        let added = corpus.add_words([("b", 9), ("web", 5), ("web", 7), ("site", 1)]);
        assert_eq!((added, corpus.vocabulary_size()), (2, 4));
        assert_eq!(words(&corpus), ["a", "b", "web", "site"]);
        assert_eq!(corpus.added, [(5, 5), (6, 1)]);
        assert_eq!(corpus.tokens, tokens);
    }

    #[test]
    fn compressed_text_is_the_same_text() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, packed) = (folder.path().join("a.txt"), folder.path().join("a.gz"));
        std::fs::write(&plain, "one two\nthree").unwrap();
        let file = File::create(&packed).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(b"one two\nthree").unwrap();
        gzip.finish().unwrap();
        let read = |path| Corpus::read(&[path], &VocabularyLimits::default()).unwrap();
        assert_eq!(read(&plain).tokens, read(&packed).tokens);

        let bytes = std::fs::read(&packed).unwrap();
        std::fs::write(&packed, &bytes[..bytes.len() - 6]).unwrap();
        let error = Corpus::read(&[&packed], &VocabularyLimits::default()).unwrap_err();
        assert!(error.to_string().contains("a.gz"), "{error}");
    }

    #[test]
    fn what_is_no_text_is_refused_with_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.txt");
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let error = Corpus::read(&[&path], &VocabularyLimits::default()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("bad.txt"), "{text}");
            text
        };
        assert!(refused(b"").contains("no word"));
        assert!(refused(b" \n...\n").contains("no word"));
        assert!(refused(b"fine\n\xff\xfe\n").contains("line 2: not UTF-8"));
        assert!(refused(&vec![b'a'; MAX_LINE_BYTES + 2]).contains("line 1: longer"));
    }
}
