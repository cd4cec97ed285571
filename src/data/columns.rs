//! Which column is the user, the item, the rating; and whether the first line is a header.

use std::collections::HashSet;
use std::str::FromStr;

use super::formats::parse_number;
use super::text::{listed, quoted};
use crate::error::{Error, Location, Result};

/// One column of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// By its name in the header.
    Name(String),
    /// By its number, counted from 1.
    Index(usize),
}

/// The columns to read. As text: `user,item,rating` by name or by number,
/// such as `userId,movieId,rating` or `1,2,3`; the rating may be left out
/// where none is read, and the timestamp behind it where no order is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The user's id.
    pub user: Column,
    /// The item's id.
    pub item: Column,
    /// The rating; needed to train and to evaluate.
    pub rating: Option<Column>,
    /// When it was rated; needed to split by time.
    pub time: Option<Column>,
}

impl FromStr for Column {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let remedy = "pass names or numbers from 1, such as userId,movieId,rating or 1,2,3";
        if text.is_empty() {
            return Err(Error::usage("a column has no name", remedy));
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Column::Name(text.to_owned()));
        }
        match text.parse() {
            Ok(0) => Err(Error::usage("there is no column 0: columns count from 1", remedy)),
            Ok(index) => Ok(Column::Index(index)),
            Err(_) => Err(Error::usage(format!("there is no column {text}"), remedy)),
        }
    }
}

impl FromStr for Columns {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let columns = text.split(',').map(str::parse).collect::<Result<Vec<Column>>>()?;
        let mut columns = columns.into_iter();
        match (columns.next(), columns.next(), columns.next(), columns.next(), columns.next()) {
            (Some(user), Some(item), rating, time, None) => Ok(Columns { user, item, rating, time }),
            _ => Err(Error::usage(
                format!("columns {} are not a user, an item and a rating", quoted(text.as_bytes())),
                "pass three, such as userId,movieId,rating or 1,2,3, or four with the timestamp last",
            )),
        }
    }
}

impl Columns {
    /// The greatest number among the columns, 0 if all are named.
    pub(super) fn greatest_index(&self) -> usize {
        let all = [Some(&self.user), Some(&self.item), self.rating.as_ref(), self.time.as_ref()];
        let indices = all.into_iter().flatten().map(|column| match column {
            Column::Index(index) => *index,
            Column::Name(_) => 0,
        });
        indices.max().unwrap_or(0)
    }
}

/// The parts of a rating: what each is called in messages, its names in headers
/// (lower case, without `_`, `-` and spaces; the first that is there counts).
struct Role {
    name: &'static str,
    known: &'static [&'static str],
}

#[rustfmt::skip] // word lists, not tables
const ROLES: [Role; 3] = [
    Role {
        name: "user",
        known: &[
            "userid", "user", "uid", "customerid", "customer", "reviewerid", "reviewer", "memberid",
            "member", "visitorid", "visitor", "accountid", "account", "personid", "person", "readerid",
            "profileid", "useridx", "userindex",
        ],
    },
    Role {
        name: "item",
        known: &[
            "itemid", "item", "iid", "movieid", "movie", "filmid", "film", "productid", "product",
            "bookid", "book", "isbn", "trackid", "track", "songid", "song", "artistid", "artist",
            "albumid", "album", "animeid", "anime", "gameid", "game", "articleid", "article",
            "businessid", "business", "restaurantid", "recipeid", "jokeid", "parentasin", "asin", "sku",
            "itemidx", "itemindex",
        ],
    },
    Role {
        name: "rating",
        known: &[
            "rating", "ratings", "score", "stars", "star", "starrating", "value", "overall",
            "bookrating", "movierating", "grade", "weight",
        ],
    },
];

impl Role {
    /// Where its name stands among normal ones.
    fn find(&self, names: &[Vec<u8>]) -> Option<usize> {
        self.known.iter().find_map(|known| names.iter().position(|name| name == known.as_bytes()))
    }
}

/// When it was rated, which is read only where it decides something.
const TIME: Role = Role {
    name: "timestamp",
    known: &[
        "timestamp",
        "unixtime",
        "unixreviewtime",
        "unixtimestamp",
        "time",
        "datetime",
        "date",
        "ts",
        "ratedat",
        "createdat",
        "reviewdate",
        "reviewtime",
    ],
};

/// Where the parts of a rating stand, counted from 0, in the order of [`ROLES`];
/// without the rating where none is read, with the timestamp last where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) positions: Vec<usize>,
    pub(super) header: bool,
}

/// What a part of a rating is called in messages.
pub(super) fn role_name(role: usize) -> &'static str {
    ROLES.get(role).unwrap_or(&TIME).name
}

/// Decides from the cells of the first line, or from the names that a format's columns have
/// (then `header` is `Some(true)`). `at` is for messages: that line, or the file.
///
/// `header`: whether that line is one, if the caller knows. `roles`: 3, or 2 without ratings,
/// or 4 with timestamps.
pub(super) fn resolve(
    at: &Location,
    cells: &[&[u8]],
    columns: Option<&Columns>,
    header: Option<bool>,
    roles: usize,
) -> Result<Layout> {
    let layout = match columns {
        Some(columns) => {
            let all =
                [Some(&columns.user), Some(&columns.item), columns.rating.as_ref(), columns.time.as_ref()];
            if let Some(missing) = all.iter().take(roles).position(Option::is_none) {
                let (place, example) =
                    if missing < ROLES.len() { ("third", "") } else { ("fourth", ",timestamp") };
                return Err(Error::usage(
                    format!("the columns name no {}", role_name(missing)),
                    format!("add it as the {place}, such as --columns user,item,rating{example}"),
                ));
            }
            let given: Vec<&Column> = all.into_iter().flatten().take(roles).collect();
            named(at, cells, &given, header)?
        }
        None => {
            let mut layout = usual(at, cells, header, roles.min(ROLES.len()))?;
            if roles > ROLES.len() {
                layout.positions.push(time(at, cells, layout.header)?);
            }
            layout
        }
    };
    let mut seen = HashSet::new();
    if let Some(twice) = layout.positions.iter().take(roles).find(|&&position| !seen.insert(position)) {
        return Err(Error::usage(
            format!("column {} is asked for twice", twice + 1),
            "pass a column of its own for each part of a rating",
        ));
    }
    Ok(layout)
}

/// As [`resolve`], for names whose order says nothing, such as the keys of JSON: all must be
/// known, or given. Returns their positions.
pub(super) fn resolve_names(
    at: &Location,
    names: &[&[u8]],
    columns: Option<&Columns>,
    roles: usize,
) -> Result<Vec<usize>> {
    if columns.is_none() {
        let normal: Vec<Vec<u8>> = names.iter().map(|name| normal(name)).collect();
        let unknown = ROLES.iter().take(roles).find(|role| role.find(&normal).is_none());
        if let Some(role) = unknown {
            return Err(Error::data_at(
                at.clone(),
                format!("the names do not tell the {}: {}", role.name, listed(names)),
                "name the columns with --columns",
            ));
        }
    }
    let positions = resolve(at, names, columns, Some(true), roles)?.positions;
    match positions.iter().find(|&&position| position >= names.len()) {
        None => Ok(positions),
        Some(position) => Err(Error::data_at(
            at.clone(),
            format!("there is no column {}: there are {}", position + 1, listed(names)),
            "pass --columns with names from that list",
        )),
    }
}

fn named(at: &Location, cells: &[&[u8]], columns: &[&Column], header: Option<bool>) -> Result<Layout> {
    let by_name = columns.iter().any(|column| matches!(column, Column::Name(_)));
    let find = |name: &str| {
        let exact = cells.iter().position(|cell| cell.trim_ascii() == name.as_bytes());
        exact.or_else(|| cells.iter().position(|cell| normal(cell) == normal(name.as_bytes())))
    };
    let mut positions = Vec::new();
    for column in columns {
        positions.push(match column {
            Column::Index(index) => index.checked_sub(1).ok_or_else(|| {
                Error::usage("there is no column 0: columns count from 1", "pass numbers from 1")
            })?,
            Column::Name(name) => {
                let numbers = header.is_none() && cells.iter().any(|cell| is_number(cell));
                match find(name) {
                    Some(position) if header != Some(false) => {
                        let exact: Vec<&[u8]> = cells.iter().map(|cell| cell.trim_ascii()).collect();
                        if exact.get(position) == Some(&name.as_bytes()) {
                            once(at, cells, &exact, position)?;
                        } else {
                            let normal: Vec<Vec<u8>> = cells.iter().map(|cell| normal(cell)).collect();
                            once(at, cells, &normal, position)?;
                        }
                        position
                    }
                    None if header == Some(true) || (header.is_none() && !numbers) => {
                        return Err(Error::data_at(
                            at.clone(),
                            format!(
                                "no column is called {}; there are {}",
                                quoted(name.as_bytes()),
                                listed(cells)
                            ),
                            "pass --columns with names from that list, or with numbers",
                        ));
                    }
                    _ => {
                        return Err(Error::data_at(
                            at.clone(),
                            format!("there is no header, so no column is called {}", quoted(name.as_bytes())),
                            "pass --columns with numbers, such as 1,2,3",
                        ));
                    }
                }
            }
        });
    }
    let header = header.unwrap_or_else(|| by_name || looks_like_header(cells, &positions));
    Ok(Layout { positions, header })
}

fn usual(at: &Location, cells: &[&[u8]], header: Option<bool>, roles: usize) -> Result<Layout> {
    let default: Vec<usize> = (0..roles).collect();
    if header == Some(false) {
        return Ok(Layout { positions: default, header: false });
    }
    let names: Vec<Vec<u8>> = cells.iter().map(|cell| normal(cell)).collect();
    let known: Vec<Option<usize>> = ROLES.iter().take(roles).map(|role| role.find(&names)).collect();
    if let Some(positions) = known.iter().copied().collect::<Option<Vec<usize>>>() {
        positions.iter().try_for_each(|&position| once(at, cells, &names, position))?;
        return Ok(Layout { positions, header: true });
    }
    let header = header.unwrap_or_else(|| looks_like_header(cells, &default));
    // Some names are known and stand elsewhere than the order user, item,
    // rating has them: to guess the others would be to guess wrong.
    if header && known.iter().zip(&default).any(|(known, usual)| known.is_some_and(|known| known != *usual)) {
        return Err(Error::data_at(
            at.clone(),
            format!("the header does not tell user, item and rating: {}", listed(cells)),
            "name the three columns with --columns",
        ));
    }
    Ok(Layout { positions: default, header })
}

/// Where timestamps stand if nobody says: by a known name in a header, else fourth.
fn time(at: &Location, cells: &[&[u8]], header: bool) -> Result<usize> {
    const REMEDY: &str = "name it as the fourth of --columns, or hold out by random or by user, not by time";
    if !header {
        let fourth = ROLES.len();
        return if cells.len() > fourth {
            Ok(fourth)
        } else {
            Err(Error::data_at(at.clone(), "has no fourth column with a timestamp", REMEDY))
        };
    }
    let names: Vec<Vec<u8>> = cells.iter().map(|cell| normal(cell)).collect();
    let Some(known) = TIME.find(&names) else {
        let what = format!("no column is known to hold timestamps: {}", listed(cells));
        return Err(Error::data_at(at.clone(), what, REMEDY));
    };
    once(at, cells, &names, known)?;
    Ok(known)
}

/// Refuses a header that has the name at `position` more than once: nobody can say which is meant.
fn once(at: &Location, cells: &[&[u8]], names: &[impl AsRef<[u8]>], position: usize) -> Result<()> {
    let Some((cell, name)) = cells.get(position).zip(names.get(position)) else { return Ok(()) };
    if names.iter().filter(|other| other.as_ref() == name.as_ref()).count() == 1 {
        return Ok(());
    }
    let what = format!("more than one column is called {}", quoted(cell.trim_ascii()));
    Err(Error::data_at(at.clone(), what, "name the columns by number with --columns, such as 1,2,3"))
}

/// A first line is a header if nothing in the columns used is a number.
///
/// Without a rating column that says too little, as ids may be words: then one
/// of the names must be known as well, if not for the column that it stands in.
fn looks_like_header(cells: &[&[u8]], positions: &[usize]) -> bool {
    let used: Option<Vec<&[u8]>> = positions.iter().map(|&position| cells.get(position).copied()).collect();
    used.is_some_and(|used| {
        let words = used.iter().all(|cell| !cell.trim_ascii().is_empty() && !is_number(cell));
        let known = || {
            used.iter().any(|cell| {
                let name = normal(cell);
                ROLES.iter().flat_map(|role| role.known).any(|known| known.as_bytes() == name)
            })
        };
        words && (positions.len() >= ROLES.len() || known())
    })
}

fn is_number(cell: &[u8]) -> bool {
    parse_number(cell).is_some()
}

/// The column of a header, its names as [`normal`] gives them, that an item's id stands in.
pub(super) fn item_column(names: &[Vec<u8>]) -> Option<usize> {
    id_column(names, 1)
}

/// The same for the id of a user (role 0) or an item (role 1).
pub(super) fn id_column(names: &[Vec<u8>], role: usize) -> Option<usize> {
    let known = ROLES.get(role).into_iter().flat_map(|role| role.known).chain(&["id"]);
    known.into_iter().find_map(|known| names.iter().position(|name| name == known.as_bytes()))
}

/// A header's name as it is compared: in lower case, without `_`, `-` and spaces.
pub(super) fn normal(cell: &[u8]) -> Vec<u8> {
    let kept = cell.iter().filter(|byte| !matches!(byte, b'_' | b'-' | b' '));
    kept.map(u8::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests;
