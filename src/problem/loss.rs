//! The losses of a problem: sums of squared errors by part, reduced on the
//! device to one f32 a few thousand cells and added up in f64 on the host.

use super::tiles::most_cells;
use super::view::upload;
use super::{DeviceCells, Problem, Setup, Shards, Standard};
use crate::backend::{Backend, Buffer, read_f32};
use crate::data::{Held, Known, Stats};
use crate::error::Result;
use crate::kernel::residual::UNCLIPPED;
use crate::kernel::sum::Sum;
use crate::kernel::sum_squares::{SumSquares, partials};
use crate::kernel::{Dispatch, Element, cell_work};

/// A part of the ratings that has a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What is trained on; never clipped.
    Train,
    /// What was held out.
    Valid,
    /// A test file.
    Test,
}

/// RMSE by part, in rating units; `None` where there is no such part.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Losses {
    /// Over the training ratings, unclipped.
    pub train: Option<f64>,
    /// Over the validation part.
    pub valid: Option<f64>,
    /// Over the test part.
    pub test: Option<f64>,
}

/// Where the squared errors of a part come from.
#[derive(Debug)]
pub(super) enum Squares {
    /// From Δ on its cells.
    Cells(Vec<DeviceCells>),
    /// From the sums of its rows, `[rows]`.
    Rows(Buffer),
}

impl Squares {
    /// The partial sums of each buffer.
    fn partials(&self) -> Vec<usize> {
        match self {
            Squares::Cells(cells) => cells.iter().map(|cells| partials(cells.ratings.len())).collect(),
            Squares::Rows(rows) => vec![partials(rows.len())],
        }
    }
}

#[derive(Debug)]
struct PartPlan {
    part: Part,
    squares: Squares,
    count: u64,
    /// Squared errors, in rating units, of the cells whose prediction is the
    /// mean whatever the factors are: they are not on the device.
    constant: f64,
    bounds: (f32, f32),
}

/// Where each part's partial sums lie.
#[derive(Debug)]
pub(super) struct LossPlan {
    parts: Vec<PartPlan>,
    partials: Buffer,
    scale: f64,
}

impl LossPlan {
    pub(super) fn new(
        setup: &Setup<'_>,
        stats: &Stats,
        standard: Standard,
        shards: &Shards,
        known: &Known,
        train: Squares,
        backend: &mut dyn Backend,
    ) -> Result<Self> {
        let count = setup.train.len() as u64;
        let mut parts =
            vec![PartPlan { part: Part::Train, squares: train, count, constant: 0.0, bounds: UNCLIPPED }];
        let bounds =
            if setup.clip { (standard.target(stats.min), standard.target(stats.max)) } else { UNCLIPPED };
        for (part, held) in [(Part::Valid, setup.valid), (Part::Test, setup.test)] {
            let Some(held) = held.filter(|held| !held.value.is_empty()) else { continue };
            let (cells, constant) = held_cells(setup, stats, standard, shards, known, held, backend)?;
            parts.push(PartPlan {
                part,
                squares: Squares::Cells(cells),
                count: held.value.len() as u64,
                constant,
                bounds,
            });
        }
        let total: usize = parts.iter().flat_map(|part| part.squares.partials()).sum();
        let partials = backend.alloc("loss", Element::F32, total.max(1))?;
        Ok(Self { parts, partials, scale: standard.scale })
    }

    /// The plan of a sketch: `parts` has the pieces of the validation part and of the test part.
    pub(super) fn sketch(
        train: Squares,
        parts: Vec<Vec<DeviceCells>>,
        backend: &mut dyn Backend,
    ) -> Result<Self> {
        let part = |part, squares| PartPlan { part, squares, count: 1, constant: 0.0, bounds: UNCLIPPED };
        let held = [Part::Valid, Part::Test].into_iter().zip(parts);
        let held = held.map(|(held, cells)| part(held, Squares::Cells(cells)));
        let parts: Vec<_> = std::iter::once(part(Part::Train, train)).chain(held).collect();
        let total: usize = parts.iter().flat_map(|part| part.squares.partials()).sum();
        let partials = backend.alloc("loss", Element::F32, total.max(1))?;
        Ok(Self { parts, partials, scale: 1.0 })
    }

    pub(super) fn record(&self, problem: &Problem, recording: &mut Vec<Dispatch>) -> Result<()> {
        let mut first = 0;
        for part in &self.parts {
            match &part.squares {
                Squares::Cells(cells) => {
                    for cells in cells {
                        if part.part != Part::Train {
                            recording.push(problem.residual(cells, part.bounds)?);
                        }
                        let sum = SumSquares { values: cells.residuals, partials: self.partials, first };
                        recording.push(sum.dispatch()?);
                        first += partials(cells.ratings.len());
                    }
                }
                Squares::Rows(rows) => {
                    problem.record_row_losses(recording)?;
                    recording.push(Sum { values: *rows, partials: self.partials, first }.dispatch()?);
                    first += partials(rows.len());
                }
            }
        }
        Ok(())
    }

    pub(super) fn read(&self, backend: &mut dyn Backend) -> Result<Losses> {
        let sums = read_f32(backend, self.partials)?;
        let mut rest = &sums[..];
        let mut losses = Losses::default();
        for part in &self.parts {
            let count = part.squares.partials().iter().sum();
            let (mine, others) = rest.split_at(count);
            rest = others;
            let squares = mine.iter().map(|&s| f64::from(s)).sum::<f64>() * self.scale * self.scale;
            let rmse = ((squares + part.constant) / part.count as f64).sqrt();
            match part.part {
                Part::Train => losses.train = Some(rmse),
                Part::Valid => losses.valid = Some(rmse),
                Part::Test => losses.test = Some(rmse),
            }
        }
        Ok(losses)
    }
}

/// The held cells on the device, and the squared error of those that are not.
///
/// With biases, an unknown user or item is its side's last row. Without, the
/// prediction for one is the mean rating, which no factor can change.
fn held_cells(
    setup: &Setup<'_>,
    stats: &Stats,
    standard: Standard,
    shards: &Shards,
    known: &Known,
    held: &Held,
    backend: &mut dyn Backend,
) -> Result<(Vec<DeviceCells>, f64)> {
    let (mut users, mut items, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    let mut constant = 0.0;
    for ((&user, &item), &value) in held.user.iter().zip(&held.item).zip(&held.value) {
        let (user, item) = (known.user(user), known.item(item));
        if !setup.kind.has_bias() && (user.is_none() || item.is_none()) {
            constant += (f64::from(value) - stats.mean).powi(2);
            continue;
        }
        users.push(user.unwrap_or(known.user_counts.len() as u32));
        items.push(item.unwrap_or(known.item_counts.len() as u32));
        targets.push(standard.held_target(value)?);
    }
    let limit = usize::try_from(backend.max_buffer_bytes() / 4).unwrap_or(usize::MAX);
    let width = setup.rank + if setup.kind.has_bias() { 2 } else { 0 };
    let limit = limit.min(most_cells(cell_work(width), backend));
    let mut cells = Vec::new();
    for (user_shard, item_shard, tile) in shards.scatter(&users, &items, &targets) {
        // Held pairs may repeat, so a tile's may exceed a buffer: they go in pieces.
        for start in (0..tile.ratings.len()).step_by(limit.max(1)) {
            let piece = start..tile.ratings.len().min(start + limit);
            let part = super::Cells {
                rows: tile.rows[piece.clone()].to_vec(),
                columns: tile.columns[piece.clone()].to_vec(),
                ratings: tile.ratings[piece].to_vec(),
            };
            cells.push(upload(backend, user_shard, item_shard, &part)?);
        }
    }
    Ok((cells, constant))
}
