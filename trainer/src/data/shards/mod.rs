//! Corpora in tar files (*shards*), as WebDataset has them: audio with a `.json` or `.txt` of the same
//! name beside it.
//!
//! Millions of small files are slow to open and to list; a tar file is read from its front to its back.
//! Here they are looked through and written; in which order an epoch reads them is `shard_order`'s.

mod error;
mod scan;
mod write;

pub use error::ShardError;
pub(crate) use scan::{Sample, is_shards, scan, tar_files};
pub(crate) use write::ShardWriter;
