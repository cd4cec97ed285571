//! Columns of ratings as 1-D arrays of one length, named as a header would name them.

use super::super::super::columns::{resolve_names, role_name};
use super::super::npy::Header;
use super::super::{Record, Request, Sink, check_rating};
use super::archive::{Archive, Array};
use crate::data::text::quoted;
use crate::error::{Error, Location, Place, Result};

const IDS: &str = "save ids as whole numbers or as text";

pub(super) fn read(archive: &Archive<'_>, request: &Request<'_>, sink: &mut Sink<'_>) -> Result<()> {
    let path = archive.path();
    let names = archive.names();
    let cells: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    let roles = 2 + usize::from(request.rating) + usize::from(request.time);
    let at = Location::file(path);
    if request.columns.is_none() && resolve_names(&at, &cells, None, roles.min(3)).is_err() {
        return Err(no_ratings(archive, &names));
    }
    let positions = resolve_names(&at, &cells, request.columns, roles)?;
    let mut archives = vec![archive.clone(); roles];
    let mut columns = Vec::new();
    for (archive, name) in archives.iter_mut().zip(positions.iter().filter_map(|&at| names.get(at))) {
        columns.push(archive.array(name)?);
    }
    let length = columns.first().map_or(Ok(0), |column| column.vector(None))?;
    for (role, column) in columns.iter().enumerate() {
        column.vector(Some(length))?;
        let dtype = column.header.dtype;
        if role < 2 && dtype.is_number() && !dtype.is_integer() {
            let what = format!("array {} holds {}, not ids", quoted(column.name().as_bytes()), dtype.name());
            return Err(Error::data(path, what, IDS));
        }
        if role >= 2 && !dtype.is_number() {
            return Err(column.bad(&format!("holds {} where numbers are expected", dtype.name())));
        }
    }
    if length == 0 {
        return Err(Error::data(path, "has no ratings", "pass a file with ratings"));
    }
    let (mut user, mut item) = (Vec::new(), Vec::new());
    for row in 1..=length {
        let at = || Location::at(path, Place::row(row));
        let mut columns = columns.iter_mut();
        for (role, text) in [&mut user, &mut item].into_iter().enumerate() {
            columns.next().map_or(Ok(()), |column| id(column, text, role, &at))?;
        }
        let mut rating = None;
        if let Some(column) = columns.next().filter(|_| request.rating) {
            let number = column.number()?;
            let checked = check_rating(number);
            rating = Some(checked.map_err(|(what, remedy)| Error::data_at(at(), what, remedy))?);
        }
        let mut time = None;
        if let Some(column) = columns.next().filter(|_| request.time) {
            let checked = seconds(column)?.map_err(|number| {
                let what = format!("timestamp {number} is no time in seconds");
                Error::data_at(at(), what, "save timestamps as seconds")
            });
            time = Some(checked?);
        }
        sink(Record { user: &user, item: &item, rating, time, place: Place::row(row) })?;
    }
    columns.into_iter().try_for_each(Array::finish)
}

/// The next timestamp, a whole number exactly as it stands there, or what is none.
fn seconds(column: &mut Array<'_>) -> Result<std::result::Result<i64, String>> {
    const MOST: i64 = 1 << 62;
    if column.header.dtype.is_integer() {
        let number = column.integer()?;
        let seconds = i64::try_from(number).ok().filter(|seconds| (1 - MOST..MOST).contains(seconds));
        return Ok(seconds.ok_or_else(|| number.to_string()));
    }
    let number = column.number()?;
    let valid = !number.is_nan() && number.abs() < MOST as f64;
    Ok(if valid { Ok(number.floor() as i64) } else { Err(format!("{number:?}")) })
}

fn id(column: &mut Array<'_>, id: &mut Vec<u8>, role: usize, at: &dyn Fn() -> Location) -> Result<()> {
    id.clear();
    let valid = column.text(id)?;
    let wrong = |what: &str| Err(Error::data_at(at(), format!("the {} id {what}", role_name(role)), IDS));
    match (valid, id.is_empty()) {
        (false, _) => wrong("has a character that does not exist"),
        (true, true) => wrong("is empty"),
        (true, false) => Ok(()),
    }
}

/// What is there instead.
fn no_ratings(archive: &Archive<'_>, names: &[String]) -> Error {
    const MOST: usize = 12;
    let mut archive = archive.clone();
    let mut there: Vec<String> = Vec::new();
    for name in names.iter().take(MOST) {
        let header: Option<Header> = archive.array(name).ok().map(|array| array.header);
        let kind = header.map_or("?".to_owned(), |header| header.summary());
        there.push(format!("{} ({kind})", quoted(name.as_bytes())));
    }
    if names.len() > MOST {
        there.push(format!("and {} more", names.len() - MOST));
    }
    let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
    Error::data(
        archive.path(),
        format!("holds neither a sparse matrix nor columns of ratings, but {there}"),
        "save it with scipy.sparse.save_npz, or as 1-D arrays user, item and rating",
    )
}
