//! One error for all processes.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Location, Place, Result, Unit};
use crate::world::World;

/// What of an error has to be known to say the same.
#[derive(Debug, Serialize, Deserialize)]
enum Told {
    Usage { what: String, remedy: String },
    Data { path: String, place: Option<(Counted, u64)>, what: String, remedy: String },
    NoInput { path: String, source: System },
    Io { path: String, source: System },
    Internal(String),
}

#[derive(Debug, Serialize, Deserialize)]
enum Counted {
    Line,
    Row,
    Entry,
}

/// An error of the system: its number, or what it says.
#[derive(Debug, Serialize, Deserialize)]
struct System {
    code: Option<i32>,
    kind: Option<Kind>,
    says: String,
}

/// The kinds that this crate gives to errors of its own.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Kind {
    IsADirectory,
    UnexpectedEof,
    InvalidData,
}

/// What all processes go on with where none has failed; else the error of the first that has, on every
/// process, in the same words.
///
/// # Errors
/// As it says, and where the others can't be reached.
pub(super) fn agree<T>(world: &dyn World, mine: Result<T>) -> Result<T> {
    let told = mine.as_ref().map_or_else(tell, |_| Vec::new());
    let all = world.all_gather(&told)?;
    match all.iter().enumerate().find(|(_, told)| !told.is_empty()) {
        Some((first, told)) if first != world.process() => Err(heard(told)),
        _ => mine,
    }
}

fn tell(error: &Error) -> Vec<u8> {
    let told = match error {
        Error::Usage { what, remedy } => Told::Usage { what: what.clone(), remedy: remedy.clone() },
        Error::Data { at: Location { path, place }, what, remedy } => Told::Data {
            path: path.to_string_lossy().into_owned(),
            place: place.map(|Place { unit, number }| {
                let counted = match unit {
                    Unit::Line => Counted::Line,
                    Unit::Row => Counted::Row,
                    Unit::Entry => Counted::Entry,
                };
                (counted, number)
            }),
            what: what.clone(),
            remedy: remedy.clone(),
        },
        Error::NoInput { path, source } => {
            Told::NoInput { path: path.to_string_lossy().into_owned(), source: System::of(source) }
        }
        Error::Io { path, source } => {
            Told::Io { path: path.to_string_lossy().into_owned(), source: System::of(source) }
        }
        Error::Internal(what) => Told::Internal(what.clone()),
        other => Told::Internal(other.to_string()),
    };
    // An error that can't be told is one all the same: nothing would say that there is none.
    serde_json::to_vec(&told).unwrap_or_else(|_| b"?".to_vec())
}

fn heard(told: &[u8]) -> Error {
    match serde_json::from_slice(told) {
        Ok(Told::Usage { what, remedy }) => Error::Usage { what, remedy },
        Ok(Told::Data { path, place, what, remedy }) => {
            let place = place.map(|(counted, number)| match counted {
                Counted::Line => Place::line(number),
                Counted::Row => Place::row(number),
                Counted::Entry => Place::entry(number),
            });
            Error::Data { at: Location { path: path.into(), place }, what, remedy }
        }
        Ok(Told::NoInput { path, source }) => {
            Error::NoInput { path: PathBuf::from(path), source: source.error() }
        }
        Ok(Told::Io { path, source }) => Error::Io { path: PathBuf::from(path), source: source.error() },
        Ok(Told::Internal(what)) => Error::Internal(what),
        Err(_) => Error::Internal("another process failed and can't say why".to_owned()),
    }
}

impl System {
    fn of(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::IsADirectory => Some(Kind::IsADirectory),
            io::ErrorKind::UnexpectedEof => Some(Kind::UnexpectedEof),
            io::ErrorKind::InvalidData => Some(Kind::InvalidData),
            _ => None,
        };
        Self { code: error.raw_os_error(), kind, says: error.to_string() }
    }

    fn error(self) -> io::Error {
        let kind = match self.kind {
            Some(Kind::IsADirectory) => io::ErrorKind::IsADirectory,
            Some(Kind::UnexpectedEof) => io::ErrorKind::UnexpectedEof,
            Some(Kind::InvalidData) => io::ErrorKind::InvalidData,
            None => io::ErrorKind::Other,
        };
        self.code.map_or_else(|| io::Error::new(kind, self.says), io::Error::from_raw_os_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_the_same_wherever_it_is_heard() {
        let path = || PathBuf::from("a b.csv");
        for error in [
            Error::usage("a flag", "pass another"),
            Error::data("f".as_ref(), "is \"odd\"", "correct it"),
            Error::data_line("f".as_ref(), 17, "is odd", "correct it"),
            Error::data_at(Location::at("f", Place::row(3)), "is odd", "correct it"),
            Error::data_at(Location::at("f", Place::entry(1 << 40)), "is odd", "correct it"),
            Error::NoInput { path: path(), source: io::Error::from_raw_os_error(2) },
            Error::NoInput {
                path: path(),
                source: io::Error::new(io::ErrorKind::IsADirectory, "is a folder"),
            },
            Error::Io { path: path(), source: io::Error::from_raw_os_error(28) },
            Error::Io { path: path(), source: io::Error::other("broken") },
            Error::Internal("odd".to_owned()),
        ] {
            let heard = heard(&tell(&error));
            assert_eq!((heard.to_string(), heard.exit_code()), (error.to_string(), error.exit_code()));
        }
        assert_eq!(heard(b"?").exit_code(), 1);
    }
}
