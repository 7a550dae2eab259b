//! A small file server for the built page: `GET` and `HEAD`, ranges, compression, several connections
//! at once. It serves one machine, so it speaks plain HTTP and closes each connection after its answer.

mod answer;
mod compression;
mod connections;
mod error;
mod locate;
mod range;
mod request;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use answer::answer;
pub(crate) use answer::send_status;
use compression::Compression;
pub(crate) use connections::Connections;
pub use error::ServeError;
pub(crate) use request::{Method, Request};

/// Serves one folder.
pub struct Server {
    connections: Connections,
    site: Arc<Site>,
}

/// What every connection reads from.
struct Site {
    /// Resolved: no link leads out of it unseen.
    root: PathBuf,
    compression: Compression,
}

impl Server {
    /// Takes the port (0: any free one) without answering yet.
    ///
    /// # Errors
    /// `root` is no folder, or the address cannot be listened on.
    pub fn bind(root: &Path, host: &str, port: u16) -> Result<Self, ServeError> {
        let resolved = root.canonicalize().map_err(|source| ServeError::Folder {
            folder: root.to_owned(),
            source,
        })?;
        if !resolved.is_dir() {
            return Err(ServeError::NotAFolder {
                folder: root.to_owned(),
            });
        }
        Ok(Self {
            connections: Connections::bind(host, port)?,
            site: Arc::new(Site {
                root: resolved,
                compression: Compression::new(),
            }),
        })
    }

    /// Where it listens: the port that the system chose, for port 0.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.connections.address()
    }

    /// Answers until the process ends.
    ///
    /// # Errors
    /// None of a connection: one that fails is dropped.
    pub fn run(&self) -> io::Result<()> {
        let site = Arc::clone(&self.site);
        self.connections.run(move |stream| answer(stream, &site))
    }
}
