//! The losses of a problem: sums of squared errors by part, reduced on the
//! device to one f32 a few thousand cells and added up in f64 on the host.

use super::gauge::sum_over;
use super::tiles::most_cells;
use super::view::upload;
use super::{DeviceCells, Places, Problem, Setup, Shards, Standard};
use crate::backend::{Backend, Buffer, read_f32};
use crate::data::{Held, Known, Stats};
use crate::error::Result;
use crate::kernel::residual::UNCLIPPED;
use crate::kernel::sum::Sum;
use crate::kernel::sum_squares::{CHUNK, SumSquares, partials};
use crate::kernel::{Dispatch, Element, cell_work};
use crate::world::Share;
use crate::world::together::gather;

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
    /// Where its partial sums lie among the part's.
    places: Places,
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
        trained: &Trained<'_>,
        train: Squares,
        backend: &mut dyn Backend,
    ) -> Result<Self> {
        let Trained { stats, standard, .. } = *trained;
        let places = match setup.share {
            Some(share) => Places::of_users(share),
            None => Places::alone(train.partials().iter().sum()),
        };
        let (count, constant, bounds) = (stats.count, 0.0, UNCLIPPED);
        let mut parts = vec![PartPlan { part: Part::Train, squares: train, places, count, constant, bounds }];
        let bounds =
            if setup.clip { (standard.target(stats.min), standard.target(stats.max)) } else { UNCLIPPED };
        for (number, (part, held)) in
            [(Part::Valid, setup.valid), (Part::Test, setup.test)].into_iter().enumerate()
        {
            let own = held.map_or(0, |held| held.len() as u64);
            let count = setup.share.map_or(own, |share| share.held[number]);
            if count == 0 {
                continue;
            }
            let none = Held::default();
            let (cells, constants) = trained.held(held.unwrap_or(&none), setup, backend)?;
            let constant = sum_over(backend.world(), &constants, 1)?[0];
            let squares = Squares::Cells(cells);
            let own: usize = squares.partials().iter().sum();
            let places = match setup.share {
                Some(share) => {
                    let counts = gather(backend.world(), &[own as u64])?.concat();
                    Places::of(counts.into_iter().map(|count| count as usize), share.process)
                }
                None => Places::alone(own),
            };
            parts.push(PartPlan { part, squares, places, count, constant, bounds });
        }
        let total: usize = parts.iter().map(|part| part.places.total).sum();
        let partials = backend.alloc("loss", Element::F32, total.max(1))?;
        Ok(Self { parts, partials, scale: standard.scale })
    }

    /// The plan of a sketch: `parts` has the pieces of the validation part and of the test part.
    pub(super) fn sketch(
        train: Squares,
        parts: Vec<Vec<DeviceCells>>,
        share: Option<&Share>,
        backend: &mut dyn Backend,
    ) -> Result<Self> {
        let part = |part, squares: Squares| {
            let own = squares.partials().iter().sum();
            let places = match share {
                Some(share) if part == Part::Train => Places::of_users(share),
                // What others measure is not known: as many.
                Some(share) => Places::of(share.bounds.iter().skip(1).map(|_| own), share.process),
                None => Places::alone(own),
            };
            PartPlan { part, squares, places, count: 1, constant: 0.0, bounds: UNCLIPPED }
        };
        let held = [Part::Valid, Part::Test].into_iter().zip(parts).filter(|(_, cells)| !cells.is_empty());
        let held = held.map(|(held, cells)| part(held, Squares::Cells(cells)));
        let parts: Vec<_> = std::iter::once(part(Part::Train, train)).chain(held).collect();
        let total: usize = parts.iter().map(|part| part.places.total).sum();
        let partials = backend.alloc("loss", Element::F32, total.max(1))?;
        Ok(Self { parts, partials, scale: 1.0 })
    }

    pub(super) fn record(&self, problem: &Problem, recording: &mut Vec<Dispatch>) -> Result<()> {
        let mut start = 0;
        for part in &self.parts {
            let mut first = start + part.places.first;
            let gathered = |sum| part.places.gathered(sum, self.partials, start, 1);
            match &part.squares {
                Squares::Cells(pieces) => {
                    for (number, cells) in pieces.iter().enumerate() {
                        if part.part != Part::Train {
                            recording.push(problem.residual(cells, part.bounds)?);
                        }
                        let sum = SumSquares { values: cells.residuals, partials: self.partials, first };
                        let sum = sum.dispatch()?;
                        // Once for all pieces.
                        recording.push(if number + 1 == pieces.len() { gathered(sum) } else { sum });
                        first += partials(cells.ratings.len());
                    }
                }
                Squares::Rows(rows) => {
                    problem.record_row_losses(recording)?;
                    let sum = Sum { values: *rows, partials: self.partials, first };
                    recording.push(gathered(sum.dispatch()?));
                }
            }
            start += part.places.total;
        }
        Ok(())
    }

    pub(super) fn read(&self, backend: &mut dyn Backend) -> Result<Losses> {
        let sums = read_f32(backend, self.partials)?;
        let mut rest = &sums[..];
        let mut losses = Losses::default();
        for part in &self.parts {
            let (mine, others) = rest.split_at(part.places.total);
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

/// What is known of those who are trained on.
pub(super) struct Trained<'a> {
    pub(super) stats: &'a Stats,
    pub(super) standard: Standard,
    pub(super) shards: &'a Shards,
    pub(super) known: &'a Known,
    /// Users of a user block.
    pub(super) block: usize,
}

impl Trained<'_> {
    /// The held cells on the device, and the squared error, by user blocks, of those that are not.
    ///
    /// With biases, an unknown user or item is its side's last row. Without, the
    /// prediction for one is the mean rating, which no factor can change.
    ///
    /// The cells are in the order of user blocks, and those of a block fill whole chunks of the sums:
    /// what is added to them, anyone unknown's rating of anything unknown, has the error 0.
    fn held(
        &self,
        held: &Held,
        setup: &Setup<'_>,
        backend: &mut dyn Backend,
    ) -> Result<(Vec<DeviceCells>, Vec<f64>)> {
        let Self { stats, standard, shards, known, block } = *self;
        let (m, n) = (known.user_counts.len(), known.item_counts.len());
        let last = m.div_ceil(block).saturating_sub(1);
        let block_of = |user: Option<u32>| user.map_or(last, |user| user as usize / block);
        let mut order: Vec<usize> = (0..held.len()).collect();
        order.sort_by_key(|&p| block_of(held.user[p]));
        let mut cells = super::Cells::default();
        let mut constants = vec![0.0; last + 1];
        let whole = shards.users.len() * shards.items.len() == 1;
        // The mean, or what the range makes of it.
        let (least, greatest) = (standard.target(stats.min), standard.target(stats.max));
        let nothing = if setup.clip { 0.0f32.clamp(least, greatest) } else { 0.0 };
        let fill = |cells: &mut super::Cells, len: usize| {
            cells.rows.resize(len, m as u32);
            cells.columns.resize(len, n as u32);
            cells.ratings.resize(len, nothing);
        };
        for group in order.chunk_by(|&a, &b| block_of(held.user[a]) == block_of(held.user[b])) {
            for &p in group {
                let (user, item, value) = (known.user(held.user[p]), known.item(held.item[p]), held.value[p]);
                if !setup.kind.has_bias() && (user.is_none() || item.is_none()) {
                    constants[block_of(held.user[p])] += (f64::from(value) - stats.mean).powi(2);
                    continue;
                }
                cells.rows.push(user.unwrap_or(m as u32));
                cells.columns.push(item.unwrap_or(n as u32));
                cells.ratings.push(standard.held_target(value)?);
            }
            if whole {
                let len = cells.rows.len().next_multiple_of(CHUNK as usize);
                fill(&mut cells, len);
            }
        }
        if whole {
            // As many as a plan knows of.
            let len = padded(held.len(), m, block);
            fill(&mut cells, len);
        }
        let limit = usize::try_from(backend.max_buffer_bytes() / 4).unwrap_or(usize::MAX);
        let limit = limit.min(most_cells(cell_work(setup.width()), backend));
        let mut uploaded = Vec::new();
        for (user_shard, item_shard, tile) in shards.scatter(&cells.rows, &cells.columns, &cells.ratings) {
            // Held pairs may repeat, so a tile's may exceed a buffer: they go in pieces.
            for start in (0..tile.ratings.len()).step_by(piece_cells(limit)) {
                let piece = start..tile.ratings.len().min(start + piece_cells(limit));
                let part = super::Cells {
                    rows: tile.rows[piece.clone()].to_vec(),
                    columns: tile.columns[piece.clone()].to_vec(),
                    ratings: tile.ratings[piece].to_vec(),
                };
                uploaded.push(upload(backend, user_shard, item_shard, &part)?);
            }
        }
        Ok((uploaded, constants))
    }
}

/// Cells of a piece of at most `limit`: whole chunks of the sums, if that many fit.
pub(super) fn piece_cells(limit: usize) -> usize {
    let chunk = CHUNK as usize;
    if limit < chunk { limit.max(1) } else { limit / chunk * chunk }
}

/// Cells for so many held ratings of users in blocks, where they lie in one tile.
pub(super) fn padded(held: usize, users: usize, block: usize) -> usize {
    (held.div_ceil(CHUNK as usize) + users.div_ceil(block)) * CHUNK as usize
}
