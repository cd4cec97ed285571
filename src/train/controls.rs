//! What steers a run beside its configuration: nothing here changes what a finished run gives,
//! but for the model that it starts from.

use std::str::FromStr;
use std::time::Duration;

use super::{Checkpoint, Team};
use crate::interrupt::Interrupt;
use crate::model::Model;
use crate::output::Claim;

/// What steers a run. The default: no checkpoint, from the seed, to the end.
#[derive(Debug, Default)]
pub struct Controls<'a> {
    /// Looked at after each epoch: once it is raised, a checkpoint is saved and the run ends.
    pub interrupt: Option<Interrupt>,
    /// Where the state is saved, and how often.
    pub checkpoint: Option<Checkpointing>,
    /// The state to go on from, which must be of the same data and settings.
    pub resume: Option<Checkpoint>,
    /// A model whose factors and biases are the first ones, for the users and items that it knows.
    pub initial: Option<&'a Model>,
    /// The processes that train together, where they are several.
    pub team: Option<Team<'a>>,
}

/// Where a run's state is saved, and how often.
#[derive(Debug)]
pub struct Checkpointing {
    /// The file, for as long as the run lasts.
    pub file: Claim,
    /// How often.
    pub every: Every,
}

/// How often a checkpoint is saved; at the end of an epoch always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// After so many epochs.
    Epochs(u32),
    /// After the first epoch that ends so long after the last one.
    Time(Duration),
}

/// A minute.
impl Default for Every {
    fn default() -> Self {
        Every::Time(Duration::from_secs(60))
    }
}

impl FromStr for Every {
    type Err = String;

    /// `5`: epochs; `30s` or `1.5s`: seconds.
    fn from_str(text: &str) -> Result<Self, String> {
        let every = match text.strip_suffix('s') {
            Some(seconds) => {
                let seconds = seconds.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
                seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map(Every::Time)
            }
            None => text.parse().ok().filter(|&epochs| epochs > 0).map(Every::Epochs),
        };
        every.ok_or_else(|| format!("`{text}` is neither a number of epochs from 1 nor seconds such as 30s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_or_seconds() {
        assert_eq!("5".parse(), Ok(Every::Epochs(5)));
        assert_eq!("30s".parse(), Ok(Every::Time(Duration::from_secs(30))));
        assert_eq!("0.25s".parse(), Ok(Every::Time(Duration::from_millis(250))));
        for bad in ["", "0", "0s", "-1", "-1s", "s", "5m", "1.5", "nans", "infs", "1e30s", "99999999999"] {
            assert!(bad.parse::<Every>().is_err(), "{bad}");
        }
    }
}
