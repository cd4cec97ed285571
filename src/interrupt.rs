//! A wish to stop, from a signal to whoever can end well.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A signal that asks a program to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// SIGHUP: the terminal was closed.
    Hangup,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: what `kill` and schedulers send.
    Terminate,
    /// SIGUSR1: what `mpirun` hands on to its processes, and schedulers send ahead of the end.
    User,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Signal; 4] = [Signal::Hangup, Signal::Interrupt, Signal::Terminate, Signal::User];

    /// Its number, as POSIX has it; that of SIGUSR1 is the system's.
    pub fn number(self) -> u8 {
        match self {
            Signal::Hangup => 1,
            Signal::Interrupt => 2,
            Signal::Terminate => 15,
            Signal::User if cfg!(any(target_os = "linux", target_os = "android")) => 10,
            Signal::User => 30,
        }
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Hangup => "SIGHUP",
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::User => "SIGUSR1",
        }
    }

    /// The exit code of a process that it ended, as shells count: 128 and the number, on Linux.
    pub fn exit_code(self) -> u8 {
        match self {
            // The same everywhere: scripts rely on it.
            Signal::User => 138,
            _ => 128 + self.number(),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A flag that one thread raises and another looks at where it can stop:
/// training does after each epoch. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop. The first signal counts.
    pub fn raise(&self, signal: Signal) {
        let _ = self.0.compare_exchange(0, signal.number(), Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The signal, if one was raised.
    pub fn raised(&self) -> Option<Signal> {
        let number = self.0.load(Ordering::SeqCst);
        Signal::ALL.into_iter().find(|signal| signal.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_counts_and_all_clones_see_it() {
        let flag = Interrupt::new();
        let clone = flag.clone();
        assert_eq!(clone.raised(), None);
        flag.raise(Signal::Terminate);
        flag.raise(Signal::Interrupt);
        assert_eq!(clone.raised(), Some(Signal::Terminate));
    }

    #[test]
    fn exit_codes_are_the_shell_s() {
        assert_eq!(Signal::ALL.map(Signal::exit_code), [129, 130, 143, 138]);
    }
}
