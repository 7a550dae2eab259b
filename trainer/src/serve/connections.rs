//! A port, and a thread for each connection, of which there are only so many.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::ServeError;

const MAX_CONNECTIONS: usize = 128;
/// A peer that says nothing for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(20);
/// After its answer a peer may send on for so long.
const SENDING_ON: Duration = Duration::from_secs(2);

/// Where connections come in.
pub(crate) struct Connections {
    listener: TcpListener,
}

impl Connections {
    /// Takes the port (0: any free one) without answering yet.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub(crate) fn bind(host: &str, port: u16) -> Result<Self, ServeError> {
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
        Ok(Self { listener })
    }

    /// Where it listens: the port that the system chose, for port 0.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Calls `answer` for each connection, each in a thread of its own, until the process ends.
    ///
    /// # Errors
    /// None of a connection: one that fails is dropped.
    pub(crate) fn run(
        &self,
        answer: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<()> {
        let open = Arc::new(AtomicUsize::new(0));
        let answer = Arc::new(answer);
        for stream in self.listener.incoming() {
            // One peer that failed to connect is no reason to stop.
            let Ok(stream) = stream else { continue };
            if open.load(Ordering::SeqCst) >= MAX_CONNECTIONS {
                continue;
            }
            let slot = Slot::take(&open);
            let answer = Arc::clone(&answer);
            let spawned = std::thread::Builder::new().spawn(move || {
                let _slot = slot;
                let patient = stream
                    .set_read_timeout(Some(PATIENCE))
                    .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
                let _ = patient.and_then(|()| answer(&stream));
                let _ = close(&stream);
            });
            if spawned.is_err() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

/// Reads what a peer still sends. A connection that is closed with bytes unread is reset, and the peer
/// may lose the answer.
fn close(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let end = Instant::now() + SENDING_ON;
    let mut unread = [0; 16 * 1024];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        // No time at all would mean for ever.
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        if stream.read(&mut unread)? == 0 {
            return Ok(());
        }
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
