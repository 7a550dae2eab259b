//! `fledge tokenizer`.

use std::path::PathBuf;

use super::CliResult;
use super::output::OutputFile;
use crate::config::{TokenConfig, TokenKind};
use crate::data::{build_tokens, read_all};

/// Make a token set from transcripts
///
/// Learns word pieces (byte-pair encoding) from the texts of manifests, or takes single characters,
/// and writes them as tokens.txt. A recipe uses such a file if `tokens.file` names it; otherwise it
/// makes its own token set.
///
/// Example:
///   fledge tokenizer data/train.jsonl --size 128 --out tokens.txt
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct TokenizerArgs {
    /// Manifests (JSONL) to learn from
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
    /// Number of pieces, including the blank
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(64..=256))]
    size: u16,
    /// Use characters instead of word pieces
    #[arg(long, conflicts_with = "size")]
    characters: bool,
    /// File to write
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
        pronunciations: None,
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
