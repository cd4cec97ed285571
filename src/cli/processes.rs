//! The flags of training in several processes.

use std::time::Duration;

use clap::Args;

use super::ending;
use super::table::bytes;
use crate::error::{Error, Result};
use crate::world::{Watchdog, World, together};

/// Seconds without progress that end a job, where nobody says otherwise.
const TIMEOUT: f64 = 600.0;

/// How processes train together.
#[derive(Debug, Args)]
pub(super) struct Processes {
    /// With deltav-mpi: end the job if one of its processes makes no progress for so long; 0: never [default: 600]
    #[arg(
        long,
        value_name = "SECONDS",
        hide_short_help = true,
        allow_negative_numbers = true,
        value_parser = timeout
    )]
    timeout: Option<f64>,
}

fn timeout(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok();
    let whole = |seconds: &f64| *seconds >= 0.0 && Duration::try_from_secs_f64(*seconds).is_ok();
    seconds.filter(whole).ok_or_else(|| "pass seconds, or 0 for never".to_owned())
}

impl Processes {
    /// For the program that trains alone.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is a flag of several processes.
    pub(super) fn refuse(&self) -> Result<()> {
        match self.timeout {
            None => Ok(()),
            Some(_) => Err(Error::usage(
                "--timeout is for processes that wait for each other, and this one trains alone",
                "leave it out, or start deltav-mpi; --max-seconds ends training early",
            )),
        }
    }

    /// Ends the job if this process stands still among several. An end of its own must come before
    /// this is dropped.
    pub(super) fn watched(&self, world: &dyn World) -> Option<Watchdog> {
        let seconds = self.timeout.unwrap_or(TIMEOUT);
        if world.processes() < 2 || seconds == 0.0 {
            return None;
        }
        let hangs = move || ending::fail(&stuck(seconds));
        Watchdog::start(world.beats(), patience(Duration::from_secs_f64(seconds), world.process()), hangs)
    }
}

/// All stand still at once: the first one shall find it before the others do, and speak for all.
fn patience(timeout: Duration, process: usize) -> Duration {
    if process == 0 { timeout } else { timeout.saturating_add(Watchdog::pause(timeout)) }
}

fn stuck(seconds: f64) -> Error {
    Error::apart(
        format!("no progress for {seconds} s: another process hangs, or can't be reached"),
        "see that all hosts and their network are up, and go on from the checkpoint; if reading, an epoch or \
         saving takes as long, pass a longer --timeout",
    )
}

/// What this process has sent to others, epoch by epoch.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Epochs since the first that was heard of, and the bytes until then and until the last one.
    epochs: u64,
    first: Option<u64>,
    last: u64,
}

impl Sent {
    /// An epoch has ended, by which so many bytes were sent.
    pub(super) fn epoch(&mut self, sent: u64) {
        self.epochs += u64::from(self.first.is_some());
        self.first.get_or_insert(sent);
        self.last = sent;
    }

    /// What all have sent, in all and an epoch, as a line. All call it.
    ///
    /// # Errors
    /// As [`World::all_gather`].
    pub(super) fn told(&self, world: &dyn World) -> Result<String> {
        let own = [world.sent(), self.last - self.first.unwrap_or(self.last)];
        let all = together::gather(world, &own)?;
        let sum = |which: usize| all.iter().filter_map(|own| own.get(which)).sum::<u64>();
        let each = sum(1).checked_div(self.epochs).map(|each| format!(", {} an epoch", bytes(each)));
        let (sent, processes) = (bytes(sum(0)), world.processes());
        Ok(format!("sent {sent} between {processes} processes{}", each.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::threads;

    #[test]
    fn a_timeout_is_seconds_from_none() {
        assert_eq!(timeout("0"), Ok(0.0));
        assert_eq!(timeout("1.5"), Ok(1.5));
        for bad in ["-1", "x", "nan", "inf", "1e30", ""] {
            assert!(timeout(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_finds_it_before_the_others() {
        for timeout in [0.001, 1.0, 10.0, 600.0].map(Duration::from_secs_f64) {
            assert_eq!(patience(timeout, 0), timeout);
            assert!(patience(timeout, 1) >= timeout + Watchdog::pause(timeout));
        }
        assert_eq!(patience(Duration::MAX, 3), Duration::MAX);
    }

    #[test]
    fn what_all_sent_is_told_in_all_and_an_epoch() {
        // To both others, in an epoch 2 KiB each, and before the first one's end half a KiB each.
        let told = threads::run(3, |world| {
            let mut sent = Sent::default();
            world.all_gather(&[0; 512])?;
            for _ in 0..4 {
                sent.epoch(world.sent());
                world.all_gather(&[0; 2 << 10])?;
            }
            sent.told(world)
        });
        for line in told {
            assert_eq!(line.unwrap(), "sent 51.00 KiB between 3 processes, 12.00 KiB an epoch");
        }
        let told = threads::run(2, |world| Sent::default().told(world));
        assert_eq!(told[0].as_ref().unwrap(), "sent 0 B between 2 processes");
    }

    #[test]
    fn who_trains_alone_waits_for_nobody() {
        assert!(Processes { timeout: None }.refuse().is_ok());
        assert_eq!(Processes { timeout: Some(0.0) }.refuse().unwrap_err().exit_code(), 2);
        assert!(Processes { timeout: None }.watched(&crate::world::Alone).is_none());
        assert_eq!(stuck(0.5).exit_code(), 76);
    }
}
