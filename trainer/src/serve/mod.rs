//! A small file server for the built page: `GET` and `HEAD`, ranges, compression, several connections
//! at once. It serves one machine, so it speaks plain HTTP and closes each connection after its answer.

mod answer;
mod compression;
mod error;
mod locate;
mod range;
mod request;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use answer::answer;
use compression::Compression;
pub use error::ServeError;

const MAX_CONNECTIONS: usize = 128;

/// Serves one folder.
pub struct Server {
    listener: TcpListener,
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
        let listener = TcpListener::bind((host, port)).map_err(|source| {
            if source.kind() == io::ErrorKind::AddrInUse {
                ServeError::PortInUse { port }
            } else {
                ServeError::Listen {
                    host: host.to_owned(),
                    port,
                    source,
                }
            }
        })?;
        Ok(Self {
            listener,
            site: Arc::new(Site {
                root: resolved,
                compression: Compression::default(),
            }),
        })
    }

    /// Where it listens: the port that the system chose, for port 0.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the process ends.
    ///
    /// # Errors
    /// None of a connection: one that fails is dropped.
    pub fn run(&self) -> io::Result<()> {
        let open = Arc::new(AtomicUsize::new(0));
        for stream in self.listener.incoming() {
            // One peer that failed to connect is no reason to stop.
            let Ok(stream) = stream else { continue };
            if open.load(Ordering::SeqCst) >= MAX_CONNECTIONS {
                continue;
            }
            let slot = Slot::take(&open);
            let site = Arc::clone(&self.site);
            let spawned = std::thread::Builder::new().spawn(move || {
                let _slot = slot;
                let _ = answer(&stream, &site);
            });
            if spawned.is_err() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

/// Counts a connection for as long as it lives.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(open))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
