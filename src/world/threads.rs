//! Processes as threads of one program, over channels: for tests, and for whoever embeds the crate.

use std::fmt;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Local, PIECE, World, apart};
use crate::error::{Error, Result};

/// One of the processes of [`run`].
pub struct Thread {
    process: usize,
    /// To each process, `[processes]`.
    to: Vec<Sender<Vec<u8>>>,
    /// From each process, `[processes]`.
    from: Vec<Mutex<Receiver<Vec<u8>>>>,
    sent: AtomicU64,
    worth_hiding: usize,
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} of {}", self.process, self.to.len())
    }
}

/// Runs a function on so many threads, each with its place in their world, and returns what each
/// gives, `[processes]`.
///
/// Who ends, well or not, is gone for the others: what they then wait for is an error, not a wait
/// for ever.
///
/// # Panics
/// As the first of the threads that panics, once all have ended.
pub fn run<T: Send>(processes: usize, function: impl Fn(&Thread) -> T + Sync) -> Vec<T> {
    run_hiding(processes, |_| 0, function)
}

/// As [`run`], where each process says what is [worth hiding](World::worth_hiding): it may differ.
///
/// # Panics
/// As [`run`].
pub fn run_hiding<T: Send>(
    processes: usize,
    worth_hiding: impl Fn(usize) -> usize,
    function: impl Fn(&Thread) -> T + Sync,
) -> Vec<T> {
    let mut worlds: Vec<Thread> = (0..processes)
        .map(|process| Thread {
            process,
            to: Vec::new(),
            from: Vec::new(),
            sent: AtomicU64::new(0),
            worth_hiding: worth_hiding(process),
        })
        .collect();
    for from in 0..processes {
        for to in 0..processes {
            let (sender, receiver) = channel();
            worlds[from].to.push(sender);
            worlds[to].from.push(Mutex::new(receiver));
        }
    }
    thread::scope(|scope| {
        // Owned by its thread, so that its ends of the channels close with it.
        let call = |world: Thread| function(&world);
        let threads: Vec<_> = worlds.into_iter().map(|world| scope.spawn(move || call(world))).collect();
        let ended: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        let value = |ended: thread::Result<T>| ended.unwrap_or_else(|payload| panic::resume_unwind(payload));
        ended.into_iter().map(value).collect()
    })
}

impl Thread {
    fn put(&self, to: usize, bytes: Vec<u8>) -> Result<()> {
        let len = bytes.len() as u64;
        self.to.get(to).and_then(|to| to.send(bytes).ok()).ok_or_else(|| apart(to))?;
        if to != self.process {
            self.sent.fetch_add(len, Relaxed);
        }
        Ok(())
    }

    fn take(&self, from: usize) -> Result<Vec<u8>> {
        // Whoever panicked while it held one left nothing half done.
        let receive =
            |from: &Mutex<Receiver<_>>| from.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        self.from.get(from).and_then(receive).ok_or_else(|| apart(from))
    }

    fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let (process, processes) = (self.process, self.to.len());
        (1..processes).map(move |step| (process + step) % processes)
    }
}

impl World for Thread {
    fn process(&self) -> usize {
        self.process
    }

    fn processes(&self) -> usize {
        self.to.len()
    }

    fn local(&self) -> Local {
        Local { process: self.process, processes: self.to.len(), threads: None }
    }

    fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
        bytes.chunks(PIECE).try_for_each(|piece| self.put(to, piece.to_vec()))
    }

    fn receive(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        for piece in bytes.chunks_mut(PIECE) {
            let came = self.take(from)?;
            if came.len() != piece.len() {
                let what = format!("{} bytes of process {from} where {} belong", came.len(), piece.len());
                return Err(Error::Internal(what));
            }
            piece.copy_from_slice(&came);
        }
        Ok(())
    }

    fn broadcast(&self, from: usize, bytes: &mut [u8]) -> Result<()> {
        if from == self.process {
            return self.others().try_for_each(|to| self.send(to, bytes));
        }
        self.receive(from, bytes)
    }

    fn all_gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.exchange(vec![mine.to_vec(); self.to.len()])
    }

    fn exchange(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        if parts.len() != self.to.len() {
            let what = format!("{} parts for {} processes", parts.len(), self.to.len());
            return Err(Error::Internal(what));
        }
        for (to, part) in parts.into_iter().enumerate() {
            self.put(to, part)?;
        }
        (0..self.from.len()).map(|from| self.take(from)).collect()
    }

    fn worth_hiding(&self) -> usize {
        self.worth_hiding
    }

    fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_knows_its_place() {
        let places = run(4, |world| (world.process(), world.processes(), world.local()));
        for (process, place) in places.into_iter().enumerate() {
            assert_eq!(place, (process, 4, Local { process, processes: 4, threads: None }));
        }
        assert!(run(0, World::process).is_empty());
    }

    #[test]
    fn what_is_sent_arrives_in_order_and_in_pieces() {
        let long: Vec<u8> = (0..2 * PIECE + 5).map(|i| (i * 31 % 251) as u8).collect();
        let ends = run(3, |world| {
            let next = (world.process() + 1) % 3;
            let before = (world.process() + 2) % 3;
            world.send(next, &[world.process() as u8]).unwrap();
            world.send(next, &long).unwrap();
            world.send(next, &[]).unwrap();
            let (mut first, mut second) = ([9], vec![0; long.len()]);
            world.receive(before, &mut first).unwrap();
            world.receive(before, &mut second).unwrap();
            assert_eq!(usize::from(first[0]), before);
            assert!(second == long);
            world.sent()
        });
        assert_eq!(ends, vec![long.len() as u64 + 1; 3]);
    }

    #[test]
    fn everyone_hears_of_one_and_one_of_everyone() {
        for processes in 1..=5 {
            let sent = run(processes, |world| {
                let me = world.process() as u8;
                for from in 0..processes {
                    let mut bytes = [me, me + 1];
                    world.broadcast(from, &mut bytes).unwrap();
                    assert_eq!(bytes, [from as u8, from as u8 + 1]);
                }
                // Of other lengths each, the first of none.
                let all = world.all_gather(&vec![me; world.process()]).unwrap();
                let expected: Vec<Vec<u8>> = (0..processes).map(|from| vec![from as u8; from]).collect();
                assert_eq!(all, expected);
                let parts = (0..processes).map(|to| vec![10 * me + to as u8; to]).collect();
                let came = world.exchange(parts).unwrap();
                let expected: Vec<Vec<u8>> =
                    (0..processes).map(|from| vec![10 * from as u8 + me; world.process()]).collect();
                assert_eq!(came, expected);
                world.sent()
            });
            let others = processes as u64 - 1;
            let pairs: u64 = (0..processes as u64).sum();
            for (me, sent) in sent.into_iter().enumerate() {
                let me = me as u64;
                assert_eq!(sent, 2 * others + me * others + (pairs - me), "process {me} of {processes}");
            }
        }
    }

    #[test]
    fn who_ends_early_or_panics_is_no_wait_for_the_others() {
        let ends = run(3, |world| {
            if world.process() == 1 {
                return 0;
            }
            let gone = world.receive(1, &mut [0; 4]).unwrap_err();
            assert!(gone.to_string().starts_with("process 1 is gone; "), "{gone}");
            world.all_gather(&[1]).unwrap_err().exit_code()
        });
        assert_eq!(ends, [76, 0, 76]);

        let panicked = panic::catch_unwind(|| {
            run(2, |world| {
                assert_eq!(world.process(), 1, "the first gives up");
                // Its error is not what is told: the panic is.
                assert_eq!(world.broadcast(0, &mut [0]).unwrap_err().exit_code(), 76);
            })
        });
        let message = panicked.unwrap_err();
        assert!(message.downcast_ref::<String>().unwrap().contains("the first gives up"));
    }

    #[test]
    fn wrong_numbers_of_bytes_and_parts_are_told() {
        run(2, |world| {
            if world.process() == 0 {
                world.send(1, &[1, 2, 3]).unwrap();
                assert!(world.send(2, &[1]).is_err());
                assert!(world.exchange(vec![vec![]]).is_err());
            } else {
                assert!(world.receive(0, &mut [0; 4]).is_err());
            }
        });
    }
}
