//! What the exchange of a step costs a process's processor: packing, copying through the system,
//! adding up, unpacking.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use crate::cluster::{ClusterError, Link, Seat};

/// A process that is joined with itself by a TCP connection: it sends what it would send to another
/// process, and receives as much, once each.
pub(super) struct Mirror {
    seat: Seat,
    /// The two ends.
    ends: (TcpStream, TcpStream),
}

impl Mirror {
    /// Of two processes the first.
    ///
    /// # Errors
    /// What the system says.
    pub fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let sending = TcpStream::connect(listener.local_addr()?)?;
        let (receiving, _) = listener.accept()?;
        Ok(Self {
            seat: Seat {
                rank: 0,
                size: 2,
                node: 0,
                local_rank: 0,
            },
            ends: (sending, receiving),
        })
    }

    /// Sends numbers from one end to the other.
    fn through(&self, numbers: &[f32]) -> Result<Vec<f32>, ClusterError> {
        let (mut sending, mut receiving) = (&self.ends.0, &self.ends.1);
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let mut received = vec![0; bytes.len()];
        let moved = thread::scope(|scope| {
            let sent = scope.spawn(move || sending.write_all(&bytes));
            let read = receiving.read_exact(&mut received);
            let sent = sent.join().unwrap_or(Ok(()));
            read.and(sent)
        });
        moved.map_err(|error| ClusterError::Call {
            rank: 0,
            what: "measuring the exchange",
            reason: error.to_string(),
        })?;
        let words = received.as_chunks().0.iter();
        Ok(words.map(|&word| f32::from_le_bytes(word)).collect())
    }
}

impl Link for Mirror {
    fn seat(&self) -> &Seat {
        &self.seat
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, ClusterError> {
        Ok(vec![own.to_vec(); self.seat.size])
    }

    fn gather_numbers(&self, own: &[f32], counts: &[usize]) -> Result<Vec<f32>, ClusterError> {
        let mut all = own.to_vec();
        all.extend(self.through(own)?);
        all.resize(counts.iter().sum(), 0.0);
        Ok(all)
    }

    fn exchange(
        &self,
        send: &[f32],
        send_counts: &[usize],
        receive_counts: &[usize],
    ) -> Result<Vec<f32>, ClusterError> {
        let own = send_counts.first().copied().unwrap_or(0);
        let mut all = send[..own].to_vec();
        all.extend(self.through(&send[own..])?);
        all.resize(receive_counts.iter().sum(), 0.0);
        Ok(all)
    }

    fn blocked(&self) -> Duration {
        Duration::ZERO
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_to_the_other_comes_back_and_what_is_missing_is_filled_up() {
        let mirror = Mirror::open().unwrap();
        let many: Vec<f32> = (0..300_000).map(|i| i as f32).collect();
        let got = mirror.exchange(&many, &[100_000, 200_000], &[100_000, 200_000]);
        assert!(got.unwrap() == many);
        let got = mirror.gather_numbers(&[1.0, 2.0], &[2, 3]).unwrap();
        assert_eq!(got, [1.0, 2.0, 1.0, 2.0, 0.0]);
        assert_eq!(mirror.gather(&[7]).unwrap(), [[7], [7]]);
    }
}
