//! Text for people: tables, numbers, file names.

use std::path::Path;

use indicatif::{HumanBytes, HumanCount};

pub(super) use crate::data::text::shell_word;

/// Rows of cells in columns: the first to the left, the others to the right.
pub(super) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Names and values in two columns, both to the left.
pub(super) fn pairs(rows: &[(String, String)]) -> Vec<String> {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{name:<width$}  {value}")).collect()
}

/// `1,234 ratings`, `1 rating`.
pub(super) fn count(number: u64, one: &str) -> String {
    format!("{} {one}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}

/// `1.20 MiB`.
pub(super) fn bytes(number: u64) -> String {
    HumanBytes(number).to_string()
}

/// `0.8 s`, `73 s`, `12 min`.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.995 => format!("{s:.2} s"),
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 600.0 => format!("{s:.0} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}

/// `12.3 M`, for rates.
pub(super) fn short(number: f64) -> String {
    match number {
        n if n >= 1e9 => format!("{:.2} G", n / 1e9),
        n if n >= 1e6 => format!("{:.1} M", n / 1e6),
        n if n >= 1e3 => format!("{:.0} k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

/// A path as a word of a command, never taken for a flag.
pub(super) fn shell_path(path: &Path) -> String {
    let path = path.to_string_lossy();
    let sign = if path.starts_with('-') { "./" } else { "" };
    shell_word(&format!("{sign}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["".to_owned(), "rmse".to_owned()], vec!["größer".to_owned(), "1".to_owned()]];
        assert_eq!(table(&rows), ["        rmse", "größer     1"]);
        let rows = [("a".to_owned(), "1".to_owned()), ("long".to_owned(), "2".to_owned())];
        assert_eq!(pairs(&rows), ["a     1", "long  2"]);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            (count(1, "rating"), count(1_234, "rating")),
            ("1 rating".to_owned(), "1,234 ratings".to_owned())
        );
        assert_eq!([0.123, 1.26, 73.4, 700.0].map(seconds), ["0.12 s", "1.3 s", "73 s", "12 min"]);
        assert_eq!([12.0, 1_500.0, 2.34e6, 2e9].map(short), ["12", "2 k", "2.3 M", "2.00 G"]);
    }

    #[test]
    fn paths_survive_a_shell() {
        assert_eq!(shell_path(Path::new("-x y")), "'./-x y'");
    }
}
