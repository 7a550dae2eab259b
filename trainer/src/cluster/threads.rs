//! Threads that talk as processes do, for tests.

use std::{
    sync::{Arc, Barrier, Mutex},
    time::Duration,
};

use super::{ClusterError, Link, Seat, Team};

/// What every thread has put down for the others.
type Table = Arc<Mutex<Vec<Vec<Vec<u8>>>>>;

struct Threads {
    seat: Seat,
    table: Table,
    barrier: Arc<Barrier>,
}

impl Threads {
    /// Puts down what each of the others is to get; takes what they put down for this one.
    fn swap(&self, parts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let Ok(mut table) = self.table.lock() else {
            return vec![];
        };
        table[self.seat.rank] = parts;
        drop(table);
        self.barrier.wait();
        let Ok(table) = self.table.lock() else {
            return vec![];
        };
        let taken = table.iter().map(|row| row[self.seat.rank].clone());
        let taken = taken.collect();
        drop(table);
        self.barrier.wait();
        taken
    }
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.chunks_exact(4);
    words
        .map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect()
}

impl Link for Threads {
    fn seat(&self) -> &Seat {
        &self.seat
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, ClusterError> {
        Ok(self.swap(vec![own.to_vec(); self.seat.size]))
    }

    fn gather_numbers(&self, own: &[f32], counts: &[usize]) -> Result<Vec<f32>, ClusterError> {
        assert_eq!(counts[self.seat.rank], own.len());
        Ok(numbers(&self.gather(&bytes(own))?.concat()))
    }

    fn exchange(
        &self,
        send: &[f32],
        send_counts: &[usize],
        receive_counts: &[usize],
    ) -> Result<Vec<f32>, ClusterError> {
        let mut rest = send;
        let parts = send_counts.iter().map(|&count| {
            let (part, after) = rest.split_at(count);
            rest = after;
            bytes(part)
        });
        let parts: Vec<Vec<u8>> = parts.collect();
        assert!(rest.is_empty());
        let taken = self.swap(parts);
        for (part, &count) in taken.iter().zip(receive_counts) {
            assert_eq!(part.len(), 4 * count);
        }
        Ok(numbers(&taken.concat()))
    }

    fn blocked(&self) -> Duration {
        Duration::ZERO
    }
}

/// Runs `work` on `size` threads that are the processes of a team; results in the order of ranks.
pub(crate) fn team_of<T: Send>(size: usize, work: impl Fn(Team<'_>) -> T + Sync) -> Vec<T> {
    let table: Table = Arc::new(Mutex::new(vec![vec![]; size]));
    let barrier = Arc::new(Barrier::new(size));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..size)
            .map(|rank| {
                let (table, barrier, work) = (Arc::clone(&table), Arc::clone(&barrier), &work);
                scope.spawn(move || {
                    let link = Threads {
                        seat: Seat {
                            rank,
                            size,
                            node: 0,
                            local_rank: rank,
                        },
                        table,
                        barrier,
                    };
                    work(Team::of(&link))
                })
            })
            .collect();
        let results = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect()
    })
}

#[test]
fn threads_talk_as_processes_do() {
    let told = team_of(3, |team| {
        let rank = team.rank();
        let all = team.gather(rank * 10).expect("threads do not fail");
        let first = team.from_first(vec![rank as u8 + 7]).expect("likewise");
        let any = team.any(rank == 2).expect("likewise");
        let link = team.link().expect("it is one");
        // To process r go r + 1 numbers.
        let send: Vec<f32> = (0..6).map(|n| (100 * rank + n) as f32).collect();
        let got = link.exchange(&send, &[1, 2, 3], &[rank + 1; 3]);
        (all, first, any, got.expect("likewise"))
    });
    for (all, first, any, _) in &told {
        assert_eq!((all, first, any), (&vec![0, 10, 20], &vec![7], &true));
    }
    assert_eq!(told[0].3, [0.0, 100.0, 200.0]);
    assert_eq!(told[1].3, [1.0, 2.0, 101.0, 102.0, 201.0, 202.0]);
}
