//! Every way a run can fail, with the exit code that goes with it.
//!
//! A message reads `file:line: what; what to do`. The command line prints it
//! behind `error: ` on one line of stderr and exits with [`Error::exit_code`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::event::Reached;
use crate::interrupt::Signal;
use crate::model::Model;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where in a file something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file as the user named it; `-` is standard input.
    pub path: PathBuf,
    /// The record; `None` where the whole file is meant.
    pub place: Option<Place>,
}

/// A record of a file, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// What the file's format counts.
    pub unit: Unit,
    /// Its number, as the format counts it.
    pub number: u64,
}

/// What a format counts its records by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Lines of a text, from 1.
    Line,
    /// Rows of a table or of a dense matrix, from 1.
    Row,
    /// Stored entries of a sparse matrix, from 1.
    Entry,
}

impl Unit {
    /// Its word in messages.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Line => "line",
            Unit::Row => "row",
            Unit::Entry => "entry",
        }
    }
}

impl Place {
    /// A line of a text, counted from 1.
    pub fn line(number: u64) -> Self {
        Self { unit: Unit::Line, number }
    }

    /// A row of a table or of a dense matrix, counted from 1.
    pub fn row(number: u64) -> Self {
        Self { unit: Unit::Row, number }
    }

    /// A stored entry of a sparse matrix, counted from 1.
    pub fn entry(number: u64) -> Self {
        Self { unit: Unit::Entry, number }
    }
}

/// Such as `line 17`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.unit.name(), self.number)
    }
}

impl Location {
    /// The whole file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), place: None }
    }

    /// One line of the file, counted from 1.
    pub fn line(path: impl Into<PathBuf>, line: u64) -> Self {
        Self::at(path, Place::line(line))
    }

    /// One record of the file.
    pub fn at(path: impl Into<PathBuf>, place: Place) -> Self {
        Self { path: path.into(), place: Some(place) }
    }
}

/// Such as `file:17` for a line, which editors understand, and `file: row 17` for what is none.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(Place { unit: Unit::Line, number }) => write!(f, "{}:{number}", self.path.display()),
            Some(place) => write!(f, "{}: {place}", self.path.display()),
            None => write!(f, "{}", self.path.display()),
        }
    }
}

/// What went wrong, in one line that ends with the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A flag or a setting that can't be meant. Correct the call.
    #[error("{what}; {remedy}")]
    Usage {
        /// The setting and why it is refused.
        what: String,
        /// What to pass instead.
        remedy: String,
    },

    /// Ratings or a model that can't be read as such. Correct the file.
    #[error("{at}: {what}; {remedy}")]
    Data {
        /// The file and, where known, the record.
        at: Location,
        /// What stands there and what was expected.
        what: String,
        /// What to do about it.
        remedy: String,
    },

    /// An input file that does not exist or can't be opened.
    #[error("{}: {source}; {}", path.display(), remedy(source, "check the path"))]
    NoInput {
        /// The file as the user named it.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// An output that can't be created.
    #[error("{}: {what}; {remedy}", path.display())]
    CantCreate {
        /// The file as the user named it.
        path: PathBuf,
        /// Why not.
        what: String,
        /// What to do about it.
        remedy: String,
    },

    /// An output that another process is writing.
    #[error("{}: another deltav is writing it; wait until it is done, or pass another path", path.display())]
    InUse {
        /// The file as the user named it.
        path: PathBuf,
    },

    /// Reading or writing broke off half-way.
    #[error("{}: {source}; {}", path.display(), remedy(source, "see that the disk is well, then run again"))]
    Io {
        /// The file as the user named it.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// The loss or the factors stopped being finite, or the loss exploded.
    #[error("epoch {epoch}: {optimizer} diverged ({settings}); {remedy}{}", kept_epoch(kept.as_deref()))]
    Diverged {
        /// The epoch whose update diverged, from 1.
        epoch: u32,
        /// The optimiser's name.
        optimizer: &'static str,
        /// Its settings, as `key=value` pairs.
        settings: String,
        /// What to change.
        remedy: String,
        /// The model of the best epoch before, if there was one. NaN is in none.
        kept: Option<Box<Model>>,
    },

    /// No adapter fits the request, or the device was lost.
    #[error("{what}; {remedy}")]
    Device {
        /// What is missing.
        what: String,
        /// What to install or pass.
        remedy: String,
    },

    /// A buffer that the device can't hold.
    #[error("{what}: {needed} bytes needed, {available}; {remedy}")]
    OutOfMemory {
        /// The purpose of the buffer.
        what: String,
        /// Bytes asked for.
        needed: u64,
        /// What there is, in words.
        available: String,
        /// What to do about it.
        remedy: String,
    },

    /// A signal asked for the end.
    #[error("interrupted by {signal}{}; {}", after(*reached), go_on(*reached, checkpoint.as_deref()))]
    Interrupted {
        /// Which.
        signal: Signal,
        /// The last epoch that ran, where a model was being trained.
        reached: Option<Reached>,
        /// The checkpoint that was saved then.
        checkpoint: Option<PathBuf>,
    },

    /// Training broke off after a checkpoint was saved.
    #[error("{source}; {reached} is in {}: the same call with --resume goes on from there", checkpoint.display())]
    Resumable {
        /// Why.
        source: Box<Error>,
        /// The checkpoint.
        checkpoint: PathBuf,
        /// Its epoch.
        reached: Reached,
    },

    /// Processes that train together have lost each other.
    #[error("{what}; {remedy}")]
    Apart {
        /// What happened, and to which process.
        what: String,
        /// What to do about it.
        remedy: String,
    },

    /// A bug in this crate; please report it.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

fn kept_epoch(kept: Option<&Model>) -> String {
    kept.and_then(|model| model.metadata.best_epoch)
        .map_or(String::new(), |epoch| format!("; kept epoch {epoch}"))
}

/// What to do about an error of the system, where it says so itself.
fn remedy(source: &io::Error, else_do: &'static str) -> &'static str {
    /// EMFILE and ENFILE, which have no kind.
    const OPEN_FILES: [i32; 2] = [24, 23];
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the disk, then run again",
        io::ErrorKind::FileTooLarge => "raise the limit on the size of files (ulimit -f), then run again",
        _ if cfg!(unix) && source.raw_os_error().is_some_and(|code| OPEN_FILES.contains(&code)) => {
            "raise the limit on open files (ulimit -n), then run again"
        }
        _ => else_do,
    }
}

fn after(reached: Option<Reached>) -> String {
    reached.map_or(String::new(), |reached| format!(" after {reached}"))
}

fn go_on(reached: Option<Reached>, checkpoint: Option<&Path>) -> String {
    match (reached, checkpoint) {
        (_, Some(path)) => {
            format!("saved {}: the same call with --resume goes on from there", path.display())
        }
        (Some(_), None) => "nothing was written: with --checkpoint FILE it could go on".to_owned(),
        (None, None) => "nothing was written".to_owned(),
    }
}

/// Every exit code of the program with its meaning. Scripts rely on them: a
/// change is a breaking change.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done; also where the reader of a pipe has left"),
    (1, "a bug in deltav: please report it"),
    (2, "a flag or a setting that can't be meant"),
    (3, "training diverged; the best epoch before is saved, if there was a validation part"),
    (65, "ratings or a model that can't be read as such"),
    (66, "an input that does not exist or can't be opened"),
    (69, "no such device, or the device was lost"),
    (71, "out of memory, the computer's or the device's"),
    (73, "an output that can't be created, or exists (`--force` replaces it)"),
    (74, "reading or writing broke off"),
    (75, "an output that another process is writing"),
    (76, "processes that train together have lost each other"),
    (129, "the terminal was closed (SIGHUP): as 130"),
    (130, "interrupted (SIGINT, Ctrl-C): outputs are as they were, a checkpoint is saved"),
    (138, "asked to stop (SIGUSR1): as 130"),
    (143, "terminated (SIGTERM): as 130"),
];

impl Error {
    /// The process exit code that scripts may rely on: one of [`EXIT_CODES`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Internal(_) => 1,
            Error::Usage { .. } => 2,
            Error::Diverged { .. } => 3,
            Error::Data { .. } => 65,
            Error::NoInput { .. } => 66,
            Error::Device { .. } => 69,
            Error::OutOfMemory { .. } => 71,
            Error::CantCreate { .. } => 73,
            Error::Io { .. } => 74,
            Error::InUse { .. } => 75,
            Error::Apart { .. } => 76,
            Error::Interrupted { signal, .. } => signal.exit_code(),
            Error::Resumable { source, .. } => source.exit_code(),
        }
    }

    /// This error with the checkpoint that its run saved last, if it saved one.
    pub(crate) fn resumable(self, saved: Option<(PathBuf, Reached)>) -> Self {
        match saved {
            Some((checkpoint, reached)) => Error::Resumable { source: Box::new(self), checkpoint, reached },
            None => self,
        }
    }

    /// [`Error::Usage`] from its two halves.
    pub fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Usage { what: what.into(), remedy: remedy.into() }
    }

    /// [`Error::Data`] about one line, counted from 1.
    pub fn data_line(path: &Path, line: u64, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::data_at(Location::line(path, line), what, remedy)
    }

    /// [`Error::Data`] about one record, or wherever `at` points to.
    pub fn data_at(at: Location, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Data { at, what: what.into(), remedy: remedy.into() }
    }

    /// [`Error::Data`] about a whole file.
    pub fn data(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::data_at(Location::file(path), what, remedy)
    }

    /// [`Error::Apart`] from its two halves.
    pub fn apart(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Apart { what: what.into(), remedy: remedy.into() }
    }

    /// [`Error::Device`] from its two halves.
    pub fn device(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Device { what: what.into(), remedy: remedy.into() }
    }
}
