//! The rows of the table: what is compared, and by how much it must win.

mod best;
mod epochs;
mod others;

use crate::figures::Figure;
use crate::{Failure, Options};

/// A row's name in parts: `KIND/SET/RANK`.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    pub whole: &'a str,
    pub set: &'a str,
    pub rank: usize,
}

/// A row: its name, what its bar says in the words of the table, and how it is measured.
pub struct Row {
    pub name: &'static str,
    /// Left out of `--quick`: it takes minutes.
    pub long: bool,
    measure: fn(Name<'_>, &Options) -> Result<Figure, Failure>,
}

const fn row(name: &'static str, measure: fn(Name<'_>, &Options) -> Result<Figure, Failure>) -> Row {
    Row { name, long: false, measure }
}

const fn long(name: &'static str, measure: fn(Name<'_>, &Options) -> Result<Figure, Failure>) -> Row {
    Row { name, long: true, measure }
}

/// Every row, in the order of the table.
pub const ROWS: &[Row] = &[
    row("libmf/ml-1m/32", best::libmf),
    row("libmf/ml-1m/128", best::libmf),
    row("libmf/s1/32", best::libmf),
    row("libmf/s1/128", best::libmf),
    long("libmf/s2/32", best::libmf),
    long("libmf/s2/128", best::libmf),
    long("surprise/ml-1m/32", best::surprise),
    long("surprise/s1/32", best::surprise),
    row("cornac/ml-1m/128", best::cornac),
    row("cornac/s1/128", best::cornac),
    row("implicit/s1/128", epochs::implicit),
    row("gradient/s1/32", epochs::gradient),
    row("load/s2", others::load),
    row("memory/s2/32", others::memory),
    row("software/s1/32", epochs::fused),
    row("threads/s1/32", epochs::threads),
    row("growth/s2/32", epochs::growth),
    row("recommend/s2/128", others::recommend),
    row("torch/s1/32", epochs::torch),
    row("numpy/s1/32", epochs::numpy),
];

impl Row {
    pub fn measure(&self, options: &Options) -> Result<Figure, Failure> {
        let mut parts = self.name.split('/').skip(1);
        let set = parts.next().ok_or("a row without a set")?;
        let rank = parts.next().map_or(Ok(0), str::parse)?;
        (self.measure)(Name { whole: self.name, set, rank }, options)
    }
}
