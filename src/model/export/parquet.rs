//! A Parquet table of one side.

use std::io::Write;

use super::Written;
use super::table::Table;
use crate::data::Ids;
use crate::output::parquet::{Cell, Kind, ParquetWriter};

/// Writes a row for each user or item: `id`, `name` (if the model has names of this side; null
/// where one is missing), `ratings` (the number of training ratings), `bias`, `factors` (a list).
pub(super) fn write(table: &Table<'_>, out: &mut (dyn Write + Send)) -> Written {
    let mut columns = vec![("id", text(table.ids))];
    columns.extend(table.names.map(|names| ("name", text(names))));
    columns.extend([("ratings", Kind::Count), ("bias", Kind::Float), ("factors", Kind::Floats)]);
    let mut writer = ParquetWriter::new(out, &columns)?;
    let mut factors = Vec::new();
    for row in 0..table.len() {
        factors.clear();
        factors.extend(table.factors(row));
        let mut cells = vec![Cell::Bytes(Some(table.ids.get(row as u32)))];
        let name = table.names.map(|names| names.get(row as u32));
        cells.extend(name.map(|name| Cell::Bytes(Some(name).filter(|name| !name.is_empty()))));
        let count = Cell::Count(table.ratings(row) as i64);
        cells.extend([count, Cell::Float(table.bias(row)), Cell::Floats(&factors)]);
        writer.row(&cells)?;
    }
    Ok(writer.finish()?)
}

/// Text, or bytes if one of them is not UTF-8.
fn text(texts: &Ids) -> Kind {
    if texts.is_utf8() { Kind::Text } else { Kind::Bytes }
}
