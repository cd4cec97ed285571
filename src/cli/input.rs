//! Reading ratings as the flags say.

use std::path::Path;

use clap::Args;

use crate::data::{Columns, Duplicates, Held, IdMap, Ids, ReadOptions, Separator, read_triples};
use crate::error::{Error, Result};

/// How the lines of a file are read.
#[derive(Debug, Args)]
pub(super) struct Reading {
    /// Columns by name or by number from 1 [default: well-known names of the header, else 1,2,3]
    #[arg(long, value_name = "USER,ITEM,RATING[,TIME]")]
    columns: Option<Columns>,

    /// What separates columns: auto, comma, tab, semicolon, pipe, space, :: or another character
    #[arg(long, value_name = "SEPARATOR", default_value = "auto", hide_default_value = true)]
    separator: Separator,

    /// Whether the first line names the columns [default: auto]
    #[arg(long, value_name = "yes|no|auto", default_value = "auto", hide_default_value = true, value_parser = header)]
    header: Header,
}

#[derive(Debug, Clone, Copy)]
struct Header(Option<bool>);

fn header(text: &str) -> Result<Header, String> {
    match text {
        "yes" => Ok(Header(Some(true))),
        "no" => Ok(Header(Some(false))),
        "auto" => Ok(Header(None)),
        _ => Err("pass yes, no or auto".to_owned()),
    }
}

impl Reading {
    /// The library's options.
    pub(super) fn options(&self, duplicates: Duplicates) -> ReadOptions {
        let (columns, separator) = (self.columns.clone(), self.separator);
        ReadOptions { columns, separator, header: self.header.0, duplicates, time: false }
    }
}

/// Reads a test file by the ids of a training set.
///
/// # Errors
/// As [`read_triples`], and [`Error::Data`] if no rating has a user and an item
/// of the training set: whatever is measured then says nothing of the model.
pub(super) fn read_held(path: &Path, options: &ReadOptions, users: &Ids, items: &Ids) -> Result<Held> {
    let triples = read_triples(path, options)?;
    let map = |ids: &Ids| IdMap::from(ids.clone());
    let held = Held::from_triples(&triples, &map(users), &map(items));
    if held.unknown() < held.len() as u64 {
        return Ok(held);
    }
    let any = |side: &[Option<u32>]| side.iter().any(Option::is_some);
    let what = match (any(&held.user), any(&held.item)) {
        (false, false) => "none of its users and items is among those trained on",
        (false, true) => "none of its users is among those trained on",
        (true, false) => "none of its items is among those trained on",
        (true, true) => "none of its ratings has both a user and an item that were trained on",
    };
    let example = |ids: &Ids| ids.iter().next().map(|id| String::from_utf8_lossy(id).into_owned());
    let remedy = match (example(&triples.users), example(&triples.items)) {
        (Some(user), Some(item)) => {
            format!(
                "the first line read is user {user:?}, item {item:?}: if these are the wrong columns, pass --columns"
            )
        }
        _ => "pass another file".to_owned(),
    };
    Err(Error::data(path, what, remedy))
}
