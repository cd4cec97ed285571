//! SIGINT, SIGTERM, SIGHUP and SIGUSR1: training ends after its epoch, all else at once.
//!
//! A thread of its own waits for signals, so nothing here runs in a signal
//! handler. Elsewhere than on Unix, Ctrl-C ends the process as the system does.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;

/// Whom the first signal is for, while somebody waits for one.
static LISTENER: Mutex<Option<Interrupt>> = Mutex::new(None);

fn listener() -> MutexGuard<'static, Option<Interrupt>> {
    LISTENER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Somebody waits for signals and ends well, until this is dropped.
#[derive(Debug)]
pub(super) struct Listening(Interrupt);

/// Has the first signal from now on raise a flag rather than end the process.
/// The second one ends it.
pub(super) fn listening() -> Listening {
    let interrupt = Interrupt::new();
    *listener() = Some(interrupt.clone());
    Listening(interrupt)
}

impl Listening {
    /// What the first signal raises.
    pub(super) fn interrupt(&self) -> Interrupt {
        self.0.clone()
    }

    /// The end of training that saves nothing on the way.
    ///
    /// # Errors
    /// That of training, or [`Error::Interrupted`] if a signal came too late for it.
    pub(super) fn done<T>(self, trained: Result<T>) -> Result<T> {
        match (trained, self.0.raised()) {
            // No word of a checkpoint: there is none to ask for.
            (Ok(_) | Err(Error::Interrupted { .. }), Some(signal)) => {
                Err(Error::Interrupted { signal, reached: None, checkpoint: None })
            }
            (trained, _) => trained,
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        *listener() = None;
    }
}

#[cfg(unix)]
pub(super) use self::unix::start;

/// Nothing to start.
#[cfg(not(unix))]
pub(super) fn start(_quiet: bool) {}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use signal_hook::consts::SIGXFSZ;
    use signal_hook::iterator::Signals;

    use super::listener;
    use crate::cli::ending::{
        exit, exit_alone, hold, hold_all, is_among, line, speaks, sweep, take_last_word,
    };
    use crate::interrupt::Signal;

    /// How long somebody may take to read a line. Nobody need: who stopped reading must not stop the end.
    const PATIENCE: Duration = Duration::from_secs(1);
    /// The threads here do little.
    const STACK_BYTES: usize = 128 << 10;

    /// Waits for signals from now on. `quiet`: without a word at the first one.
    ///
    /// Where the system has no thread left for that, a signal ends the process as it always did,
    /// and may leave a temporary file.
    pub(in crate::cli) fn start(quiet: bool) {
        // Beyond `ulimit -f` a write shall fail, not end the process.
        let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
        let (ready, wait) = mpsc::sync_channel(1);
        // The thread takes the signals, not we: taken and waited for by nobody they would be lost.
        let waits = move || {
            let signals = take();
            let _ = ready.send(());
            if let Ok(mut signals) = signals {
                for number in signals.forever() {
                    if let Some(signal) = Signal::ALL.into_iter().find(|s| i32::from(s.number()) == number) {
                        act(signal, quiet);
                    }
                }
            }
        };
        if thread::Builder::new().name("signals".to_owned()).stack_size(STACK_BYTES).spawn(waits).is_ok() {
            let _ = wait.recv();
        }
    }

    fn take() -> io::Result<Signals> {
        let ignored = ignored();
        Signals::new(Signal::ALL.map(|s| i32::from(s.number())).into_iter().filter(|n| !ignored.contains(n)))
    }

    /// Signals that whoever started us wants ignored, as `nohup` does SIGHUP and a script SIGINT
    /// for what it runs with `&`.
    fn ignored() -> Vec<i32> {
        let hangup = i32::from(Signal::Hangup.number());
        match std::fs::read_to_string("/proc/self/status").ok().as_deref().and_then(mask) {
            Some(mask) => (1..=64).filter(|number| mask & (1 << (number - 1)) != 0).collect(),
            // Not known: `nohup` is what counts.
            None => vec![hangup],
        }
    }

    /// The mask of ignored signals, of which bit 0 is signal 1 (proc(5)).
    fn mask(status: &str) -> Option<u64> {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    }

    fn act(signal: Signal, quiet: bool) {
        let listener = listener().clone();
        if let Some(interrupt) = listener.filter(|interrupt| interrupt.raised().is_none()) {
            // Said before it is done: the epoch may end, and the process with it, at once.
            if !quiet && !ends_a_job(signal) {
                say(format!("note: {signal}: finishing the epoch; once more stops at once"));
            }
            interrupt.raise(signal);
            return;
        }
        if take_last_word() {
            if ends_a_job(signal) {
                hold_all();
            } else {
                hold();
            }
            let left = sweep();
            say(format!("error: interrupted by {signal}; {left}"));
        } else if !speaks() {
            exit_alone(signal.exit_code());
        } else {
            // Another thread is at its last word: what it has to say is told first.
            thread::sleep(PATIENCE);
        }
        exit(signal.exit_code());
    }

    /// Whether it may be what a launcher sends to a process because another one has failed, and said why.
    fn ends_a_job(signal: Signal) -> bool {
        signal == Signal::Terminate && is_among()
    }

    /// Says something, and waits only a moment for whoever reads it.
    fn say(text: String) {
        let text = Arc::new(text);
        let (done, wait) = mpsc::channel();
        let speaks = {
            let text = Arc::clone(&text);
            move || {
                line(format_args!("{text}"));
                let _ = done.send(());
            }
        };
        match thread::Builder::new().stack_size(STACK_BYTES).spawn(speaks) {
            Ok(_) => drop(wait.recv_timeout(PATIENCE)),
            Err(_) => line(format_args!("{text}")),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_mask_of_ignored_signals_is_read() {
            let status = "Name:\tdeltav\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
            assert_eq!(mask(status), Some(0x1001));
            assert_eq!(mask("Name:\tdeltav\n"), None);
            assert_eq!(mask("SigIgn:\tx\n"), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_listens_is_forgotten_when_done() {
        let first = listening();
        assert!(listener().is_some());
        assert_eq!(first.interrupt().raised(), None);
        drop(first);
        assert!(listener().is_none());
    }
}
