//! Whether a process gets on, and the end of one that does not.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::data::Meter;

/// Counts what a process gets done: calls of its world, epochs, bytes read. Clones count together.
#[derive(Clone, Default)]
pub struct Beats(Arc<Inner>);

#[derive(Default)]
struct Inner {
    beats: AtomicU64,
    meters: Mutex<Vec<Meter>>,
}

impl fmt::Debug for Beats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Beats").field(&self.count()).finish()
    }
}

impl Beats {
    /// Says that something is done.
    pub fn beat(&self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what a meter counts from now on, too.
    pub fn also(&self, meter: &Meter) {
        self.0.meters.lock().unwrap_or_else(PoisonError::into_inner).push(meter.clone());
    }

    /// What was done so far; it grows whenever the process gets on.
    pub fn count(&self) -> u64 {
        let meters = self.0.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let read: u64 = meters.iter().map(Meter::bytes).sum();
        self.0.beats.load(Ordering::Relaxed).wrapping_add(read)
    }
}

/// Watches over a process until it is dropped.
#[derive(Debug)]
pub struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Looks this often, in parts of the time that a process may stand still.
const LOOKS: u32 = 8;

/// The longest time between two looks.
const LONGEST_LOOK: Duration = Duration::from_secs(5);

impl Watchdog {
    /// How much later than after `timeout` it may be found that nothing was done.
    pub fn pause(timeout: Duration) -> Duration {
        (timeout / LOOKS).clamp(Duration::from_millis(1), LONGEST_LOOK)
    }

    /// Calls `hangs` once nothing was done for so long: on a thread of its own, since whoever waits for
    /// another process that is gone or unreachable waits for ever.
    ///
    /// `None` where the system has no thread left.
    pub fn start(beats: Beats, timeout: Duration, hangs: impl FnOnce() + Send + 'static) -> Option<Self> {
        let (stop, stopped) = channel();
        let pause = Self::pause(timeout);
        let watch = move || {
            let (mut count, mut since) = (beats.count(), Instant::now());
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let now = beats.count();
                if now != count {
                    (count, since) = (now, Instant::now());
                } else if since.elapsed() >= timeout {
                    return hangs();
                }
            }
        };
        let thread = Builder::new().name("watchdog".to_owned()).spawn(watch).ok()?;
        Some(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn who_stands_still_is_found() {
        let (found, wait) = channel();
        let dog = Watchdog::start(Beats::default(), SHORT, move || found.send(()).unwrap()).unwrap();
        wait.recv().unwrap();
        drop(dog);
    }

    #[test]
    fn who_gets_on_or_is_done_is_left_alone() {
        let (found, wait) = channel::<()>();
        let (beats, began) = (Beats::default(), Instant::now());
        let long = Duration::from_secs(600);
        let dog = Watchdog::start(beats.clone(), long, move || found.send(()).unwrap()).unwrap();
        beats.beat();
        drop(dog);
        // Neither called nor waited for: what it would have called is gone with it.
        assert_eq!(wait.recv(), Err(std::sync::mpsc::RecvError));
        assert!(began.elapsed() < long);
    }

    #[test]
    fn beats_and_meters_count_together() {
        let beats = Beats::default();
        let (clone, meter) = (beats.clone(), Meter::default());
        clone.beat();
        beats.also(&meter);
        let text = crate::data::Input::bytes("r.csv", *b"user,item,rating\na,b,3\n").metered(&meter);
        crate::data::read_ratings([text], &crate::data::ReadOptions::default()).unwrap();
        assert_eq!(beats.count(), 1 + 23);
        assert_eq!(format!("{clone:?}"), "Beats(24)");
    }
}
