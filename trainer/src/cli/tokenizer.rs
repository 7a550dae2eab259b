//! `fledge tokenizer`.

use std::path::PathBuf;

use super::CliResult;
use super::output::OutputFile;
use crate::config::{TokenConfig, TokenKind};
use crate::data::{build_tokens, read_all};

/// Make a token set from transcripts
///
/// Learns word pieces (byte-pair encoding) from the texts of manifests and writes them as
/// tokens.txt, or writes the plain characters. A recipe uses the file with `tokens.file`; without
/// one it makes its own.
///
/// Example:
///   fledge tokenizer data/train.jsonl --size 128 --out tokens.txt
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct TokenizerArgs {
    /// Manifests (JSONL) whose texts are learned from
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
    /// Pieces, blank included
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(64..=256))]
    size: u16,
    /// Characters instead of word pieces
    #[arg(long, conflicts_with = "size")]
    characters: bool,
    /// Where to write
    #[arg(long, value_name = "TOKENS_TXT")]
    out: PathBuf,
}

pub fn run(args: &TokenizerArgs) -> CliResult<()> {
    let out = OutputFile::try_new("--out", &args.out)?;
    let utterances = read_all(&args.manifests)?;
    let config = TokenConfig {
        kind: if args.characters {
            TokenKind::Characters
        } else {
            TokenKind::Bpe
        },
        size: usize::from(args.size),
        file: None,
    };
    let tokens = build_tokens(&config, utterances.iter().map(|u| u.text.as_str()))?;
    let (mut pieces, mut words) = (0, 0);
    for utterance in &utterances {
        pieces += tokens.encode(&utterance.text)?.len();
        words += utterance.text.split_whitespace().count();
    }
    out.write(tokens.to_txt().as_ref())?;
    super::print_line(&format!(
        "{}: {} tokens, {:.2} a word over {} words",
        args.out.display(),
        tokens.len(),
        pieces as f64 / words.max(1) as f64,
        words
    ))?;
    Ok(())
}
