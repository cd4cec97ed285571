//! Delimited text: one rating a line, columns separated by one byte or by `::`.

use super::super::blocks::{self, Left, Plan};
use super::super::collect::Gather;
use super::super::columns::{Columns, Layout, resolve, role_name};
use super::super::source::Source;
use super::records::{Records, Rules};
use super::{AnyLine, Format, Record, Request, Sink, parse_rating, parse_timestamp};
use crate::error::{Error, Location, Place, Result};

pub(super) const FORMAT: Format = Format {
    name: "delimited",
    aliases: &["csv", "tsv", "movielens"],
    summary: "text, one rating a line: user, item, rating between commas, tabs, ;, |, spaces or ::",
    extensions: &["csv", "tsv", "dat", "data", "txt"],
    recognize: |_, _| true,
    read,
    collect: Some(collect),
    lines: Some(any_line),
    groups: false,
};

fn read(source: Source<'_>, request: &Request<'_>, sink: &mut Sink<'_>) -> Result<()> {
    let (mut records, layout) = begin(source, request)?;
    sink(record(&records, &layout, request)?)?;
    rest(&mut records, &layout, request, sink)
}

/// The records behind this one.
fn rest(
    records: &mut Records<'_>,
    layout: &Layout,
    request: &Request<'_>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    while records.advance()? {
        sink(record(records, layout, request)?)?;
    }
    Ok(())
}

fn collect(source: Source<'_>, request: &Request<'_>, gather: &mut Gather<'_>) -> Result<()> {
    let (records, layout) = begin(source, request)?;
    gather.push(record(&records, &layout, request)?)?;
    let (source, rules, lines) = records.leave();
    behind(source, lines, rules, &layout, request, gather)
}

/// What is left of a source behind so many lines, on all threads.
fn behind(
    source: Source<'_>,
    lines: u64,
    rules: Rules,
    layout: &Layout,
    request: &Request<'_>,
    gather: &mut Gather<'_>,
) -> Result<()> {
    let plan = Plan::new(source.path(), rules, layout, request, gather.range);
    let Some(Left { source, lines }) = blocks::read(source, lines, &plan, gather)? else { return Ok(()) };
    let mut records = Records::resume(source, rules, lines);
    rest(&mut records, layout, request, &mut |record| gather.push(record))
}

fn any_line(source: Source<'_>, request: &Request<'_>) -> Result<AnyLine> {
    let (records, layout) = begin(source, request)?;
    let before = records.line() - 1;
    let (_, rules, _) = records.leave();
    let read = move |source: Source<'_>, request: &Request<'_>, gather: &mut Gather<'_>| {
        behind(source, 0, rules, &layout, request, gather)
    };
    Ok(AnyLine { before, line_end: rules.line_end, read: Box::new(read) })
}

/// The first record with ratings, and where its parts stand.
fn begin<'a>(source: Source<'a>, request: &Request<'_>) -> Result<(Records<'a>, Layout)> {
    source.check_text()?;
    let path = source.path();
    let roles = 2 + usize::from(request.rating) + usize::from(request.time);
    let least = request.columns.map_or(0, Columns::greatest_index).max(roles);
    let mut records = Records::new(source, request.separator, least)?;
    if !records.advance()? {
        return Err(Error::data(path, "is empty", "pass a file with one rating a line"));
    }
    let layout = resolve(
        &Location::line(path, records.line()),
        &records.fields(),
        request.columns,
        request.header,
        roles,
    )?;
    records.settle();
    if layout.header && !records.advance()? {
        return Err(Error::data(path, "has a header but no ratings", "pass a file with one rating a line"));
    }
    Ok((records, layout))
}

/// The parts of a record.
pub(in super::super) fn record<'r>(
    records: &'r Records<'_>,
    layout: &Layout,
    request: &Request<'_>,
) -> Result<Record<'r>> {
    let wrong = |what: String, remedy: &str| {
        Err(Error::data_line(records.source().path(), records.line(), what, remedy))
    };
    let mut cells: [&[u8]; 4] = [b""; 4];
    for (role, (cell, &position)) in cells.iter_mut().zip(&layout.positions).enumerate() {
        let Some(field) = records.field(position) else {
            let there = records.fields().len();
            let s = if there == 1 { "" } else { "s" };
            let what =
                format!("has {there} column{s}, column {} ({}) is missing", position + 1, role_name(role));
            return wrong(what, "correct the line, or pass --columns or --separator");
        };
        *cell = field;
    }
    for (role, cell) in cells.iter().enumerate().take(2) {
        if cell.is_empty() {
            return wrong(format!("the {} id is empty", role_name(role)), "fill it in or remove the line");
        }
    }
    let rating = match request.rating.then(|| parse_rating(cells[2])) {
        Some(Err((what, remedy))) => return wrong(what, &remedy),
        rating => rating.and_then(std::result::Result::ok),
    };
    let time = match request.time.then(|| parse_timestamp(cells[3])) {
        Some(Err((what, remedy))) => return wrong(what, &remedy),
        time => time.and_then(std::result::Result::ok),
    };
    Ok(Record { user: cells[0], item: cells[1], rating, time, place: Place::line(records.line()) })
}
