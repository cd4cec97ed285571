//! The text format of word2vec: a line with the number of rows and of factors,
//! then a row a line, its id and its factors between spaces.
//!
//! Source: the original program's `-binary 0`; gensim's
//! `KeyedVectors.load_word2vec_format` and many vector databases read it.

use std::io::Write;

use super::table::Table;
use super::{Failure, Written};
use crate::data::text::quoted;

/// Writes the rows with training ratings. Biases have no place in this format.
pub(super) fn write(table: &Table<'_>, out: &mut (dyn Write + Send)) -> Written {
    for row in table.known() {
        let id = table.ids.get(row as u32);
        // As Python splits text: any whitespace of Unicode ends an id.
        let broken = String::from_utf8_lossy(id).chars().any(|c| c.is_whitespace() || c.is_control());
        if id.is_empty() || broken {
            return Err(Failure::Refused(
                format!("can't hold the id {}: spaces end an id there", quoted(id)),
                "export another format, such as npy",
            ));
        }
    }
    writeln!(out, "{} {}", table.known().count(), table.rank)?;
    let mut line = Vec::new();
    for row in table.known() {
        line.clear();
        line.extend_from_slice(table.ids.get(row as u32));
        for value in table.factors(row) {
            write!(line, " {value}")?;
        }
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}
