//! Which users get a list and which items it may hold, by id or from files of ids.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use super::table::count;
use crate::data::{read_item_ids, read_user_ids};
use crate::error::{Error, Result};
use crate::model::Predictor;

/// Whom to recommend to.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Who {
    /// A user's id; may be passed several times
    #[arg(long = "user", value_name = "ID", allow_negative_numbers = true)]
    user: Vec<OsString>,

    /// A file with users' ids, one a line or in a column; - is standard input
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,

    /// Every user of the model
    #[arg(long)]
    all: bool,
}

/// What may be recommended.
#[derive(Debug, Args)]
pub(super) struct What {
    /// Also what the user rated already, in the training part or in RATINGS
    #[arg(long)]
    pub(super) include_seen: bool,

    /// Only the items of this file, their ids one a line or in a column; - is standard input
    #[arg(long, value_name = "FILE")]
    candidates: Option<PathBuf>,

    /// None of the items of this file
    #[arg(long, value_name = "FILE")]
    exclude: Option<PathBuf>,
}

/// Indices of a file's ids, each once, in their order.
struct Listed {
    indices: Vec<u32>,
    unknown: u64,
}

impl Who {
    /// The users' indices. Those that the model knows nothing of are refused if they were named
    /// one by one, else left out and noted.
    pub(super) fn indices(&self, predictor: &Predictor<'_>, notes: &mut Vec<String>) -> Result<Vec<u32>> {
        if let Some(path) = &self.users {
            let known = |id: &[u8]| predictor.trained_user(id);
            let read = |each: &mut Each<'_>| read_user_ids(path, each);
            let listed = listed(predictor.model().users.len(), &known, &read)?;
            listed.some_known(path, ["a", "user"])?;
            listed.note(path, "left out: no user with a training rating", notes);
            return Ok(listed.indices);
        }
        if !self.all {
            // An unknown user is refused before anything is written.
            return self.user.iter().map(|id| predictor.known_user(id.as_encoded_bytes())).collect();
        }
        let all = predictor.model().users.len();
        let known: Vec<u32> = (0..all as u32).filter(|&user| predictor.knows_user(user)).collect();
        let unknown = (all - known.len()) as u64;
        if unknown > 0 {
            notes.push(format!("note: {} without a training rating left out", count(unknown, "user")));
        }
        Ok(known)
    }

    /// The file that is read, with its flag.
    pub(super) fn input(&self) -> (&'static str, &[PathBuf]) {
        ("--users", self.users.as_slice())
    }
}

impl What {
    /// The indices of the candidates, if they were named, and of what is excluded.
    pub(super) fn indices(
        &self,
        predictor: &Predictor<'_>,
        notes: &mut Vec<String>,
    ) -> Result<(Option<Vec<u32>>, Vec<u32>)> {
        let mut read = |path: &Path| -> Result<Listed> {
            let known = |id: &[u8]| predictor.trained_item(id);
            let read = |each: &mut Each<'_>| read_item_ids(path, each);
            let listed = listed(predictor.model().items.len(), &known, &read)?;
            listed.note(path, "passed over: no item with a training rating", notes);
            Ok(listed)
        };
        let candidates = self.candidates.as_deref().map(|path| {
            let listed = read(path)?;
            listed.some_known(path, ["an", "item"])?;
            Ok(listed.indices)
        });
        let candidates = candidates.transpose()?;
        let exclude = self.exclude.as_deref().map(|path| read(path).map(|listed| listed.indices));
        Ok((candidates, exclude.transpose()?.unwrap_or_default()))
    }

    /// The files that are read, each with its flag.
    pub(super) fn inputs(&self) -> [(&'static str, &[PathBuf]); 2] {
        [("--candidates", self.candidates.as_slice()), ("--exclude", self.exclude.as_slice())]
    }
}

type Each<'a> = dyn FnMut(&[u8], u64) -> Result<()> + 'a;

fn listed(
    all: usize,
    known: &dyn Fn(&[u8]) -> Option<u32>,
    read: &dyn Fn(&mut Each<'_>) -> Result<u64>,
) -> Result<Listed> {
    let mut listed = Listed { indices: Vec::new(), unknown: 0 };
    let mut seen = vec![false; all];
    read(&mut |id, _| {
        match known(id) {
            Some(index) => {
                let twice = seen.get_mut(index as usize).is_none_or(|seen| std::mem::replace(seen, true));
                listed.indices.extend((!twice).then_some(index));
            }
            None => listed.unknown += 1,
        }
        Ok(())
    })?;
    Ok(listed)
}

impl Listed {
    /// An error if the model knows none of the ids.
    fn some_known(&self, path: &Path, [a, what]: [&str; 2]) -> Result<()> {
        match (&self.indices[..], self.unknown) {
            ([], 0) => Err(Error::data(path, "holds no id", format!("write {what}s' ids, one a line"))),
            ([], _) => Err(Error::data(
                path,
                format!("none of its ids is {a} {what} with a training rating"),
                format!("put the ids first, or under a header such as {what}Id"),
            )),
            _ => Ok(()),
        }
    }

    fn note(&self, path: &Path, done: &str, notes: &mut Vec<String>) {
        if self.unknown > 0 {
            notes.push(format!("note: {} of {} {done}", count(self.unknown, "id"), path.display()));
        }
    }
}
