//! A training problem on a device: the cells and the factors as named buffers,
//! and the recordings that every optimiser shares.
//!
//! With biases, a row of factors is two columns wider than the rank: users are
//! `[u, b', κ]`, items `[v, κ, c']`, so that their product is `u·v + b + c` with
//! `b = κ·b'`, κ = 1 unless the biases have a penalty of their own,
//! and the kernels need no second form. The constant columns never move.
//!
//! Each side has one row more than ids: the row of anyone unknown, whose
//! factors and bias are 0.

mod blocks;
mod chunks;
mod curvature;
mod fused;
mod gauge;
mod init;
mod item_parts;
mod loss;
mod places;
mod rows;
mod setup;
mod sketch;
mod standard;
mod tiles;
mod view;

pub use blocks::Blocks;
pub use chunks::Chunk;
pub use fused::Packed;
pub use gauge::balance;
#[cfg(feature = "report")]
pub(crate) use gauge::singular_values;
pub use init::{factors, fill};
pub use item_parts::{ItemRange, Totals};
pub use loss::{Losses, Part};
pub use places::Places;
pub use rows::{Row, read_shards, write_shards};
pub use setup::Setup;
pub use standard::Standard;
pub use tiles::{Cells, Limits, Shards, Tile};
pub use view::View;

use self::chunks::Chunks;
use self::curvature::curvature;
use self::init::{side_factors, widen};
use self::loss::{LossPlan, Squares, Trained};
use self::standard::check_size;
use self::tiles::{longest_row, most_cells};
use self::view::upload;
use crate::backend::{Backend, Buffer, alloc_f32, alloc_u32};
use crate::data::{Layout, Ratings, Side};
use crate::error::Result;
use crate::kernel::Dispatch;
use crate::kernel::gradient::Gradient;
use crate::kernel::residual::{Residual, UNCLIPPED};
use crate::world::BLOCK_ROWS;

/// One shard of one side.
#[derive(Debug, Clone, Copy)]
pub struct Shard {
    /// Its factors, `[rows, width]`.
    pub factors: Buffer,
    /// L2 penalty of each row, `[rows]`.
    pub penalty: Buffer,
    /// Training ratings of each row, `[rows]`.
    pub counts: Buffer,
}

impl Shard {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.counts.len()
    }
}

/// The users' or the items' part of a problem, on the device.
#[derive(Debug, Clone)]
pub struct SideBuffers {
    /// The shards, in order of rows.
    pub shards: Vec<Shard>,
    /// The constant column, if there are biases.
    pub frozen: Option<usize>,
    /// The column of the bias, if there are biases.
    pub bias: Option<usize>,
    /// Rows that have a training rating.
    pub rated: u64,
}

/// A tile's cells on the device.
#[derive(Debug, Clone, Copy)]
pub struct DeviceCells {
    user_shard: usize,
    item_shard: usize,
    rows: Buffer,
    columns: Buffer,
    ratings: Buffer,
    residuals: Buffer,
}

#[derive(Debug, Clone, Copy)]
struct DeviceTile {
    cells: DeviceCells,
    user_offsets: Buffer,
    item_offsets: Buffer,
    item_columns: Buffer,
    item_order: Buffer,
}

impl SideBuffers {
    /// The partial sums of its rows, where one process has them all.
    fn places(&self) -> Places {
        Places::alone(self.shards.iter().map(|shard| shard.rows().div_ceil(BLOCK_ROWS)).sum())
    }
}

/// What buffers of a side's factors are called.
fn factors_name(side: Side) -> &'static str {
    match side {
        Side::Users => "user factors",
        Side::Items => "item factors",
    }
}

/// A training problem on a device.
#[derive(Debug)]
pub struct Problem {
    /// Columns of a factor matrix: the rank, and two more with biases.
    pub width: usize,
    /// Number of latent factors.
    pub rank: usize,
    /// Those that are not 0 from the start.
    pub start_rank: usize,
    /// Number N of training ratings.
    pub ratings: u64,
    /// An upper estimate of the largest curvature of `½ Σ e²` near a solution.
    pub curvature: f64,
    /// How ratings became targets.
    pub standard: Standard,
    /// Seed of whatever is drawn.
    pub seed: u64,
    /// Users of a user block, see [`blocks`](crate::world::blocks).
    block: usize,
    /// The number of the first user among those of all processes.
    first_user: usize,
    /// Per side: where partial sums of its rows lie.
    places: [Places; 2],
    shards: Shards,
    users: SideBuffers,
    items: SideBuffers,
    tiles: Vec<DeviceTile>,
    chunks: Option<Chunks>,
    /// What the constant columns hold.
    bias_unit: f32,
    losses: LossPlan,
}

impl Problem {
    /// Puts cells and initial factors on the device.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`] if they don't fit, [`crate::Error::Usage`] if the ratings are
    /// too large or too small for the kind of model.
    pub fn new(setup: &Setup<'_>, backend: &mut dyn Backend) -> Result<Self> {
        Self::laid_out(setup, Layout::of(setup.train), backend)
    }

    /// As [`Problem::new`], of training ratings that are sorted already.
    pub(crate) fn laid_out(setup: &Setup<'_>, layout: Layout, backend: &mut dyn Backend) -> Result<Self> {
        let Setup { kind, rank, start_rank, train, .. } = *setup;
        let (stats, block) = (layout.stats, layout.block);
        let first_user = setup.share.map_or(0, |share| share.own().start);
        check_size(kind, &stats)?;
        let standard = Standard::of(kind, &stats);
        let width = setup.width();
        let known = layout.known();
        let widest = (setup.row_elements)(width).max(width);
        let rows = train.users.len() + train.items.len();
        let max_row = longest_row(rows, width, (setup.cell_loops)(width), backend)?;
        let limits = Limits {
            bytes: backend.max_buffer_bytes(),
            row: max_row,
            cells: most_cells((setup.cell_work)(width), backend),
        };
        let sizes = [train.users.len() + 1, train.items.len() + 1];
        let longest = setup.longest(&known);
        backend.set_mapping(setup.kernels.mapping());
        let fused = chunks::fused(setup, width, sizes, longest, &limits, backend)?;
        let layout = fused.then_some(layout);
        let (shards, cut) = if fused {
            (Shards::whole(sizes), Vec::new())
        } else {
            let (mut by_user, order) = train.by_user();
            let ratings: Vec<f32> = order.iter().map(|&p| standard.target(train.value[p as usize])).collect();
            // The unknown user's row: no cell.
            by_user.offsets.push(by_user.len() as u64);
            let shards = Shards::plan(&by_user, sizes[1], widest, &limits)?;
            let tiles = shards.tiles(&by_user, &ratings);
            (shards, tiles)
        };
        let unit = setup.bias_unit();
        let sides = [
            (Side::Users, &shards.users, &known.user_counts, rank + 1, rank),
            (Side::Items, &shards.items, &known.item_counts, rank, rank + 1),
        ];
        let [users, items] = sides.map(|(role, ranges, counts, frozen, bias)| {
            let first = if role == Side::Users { first_user } else { 0 };
            let factors = side_factors(setup.seed, role, first..first + counts.len(), start_rank);
            let has_bias = kind.has_bias();
            let frozen = has_bias.then_some(frozen);
            let mut shards = Vec::new();
            let mut factors = widen(&factors, start_rank, rank, frozen, unit as f32);
            if let Some(biases) = setup.biases.filter(|_| has_bias) {
                let unit = standard.scale * unit;
                let rows = factors.chunks_exact_mut(width);
                let column = rows.filter_map(|row| row.get_mut(bias)).zip(biases.of(role));
                column.for_each(|(to, &b)| *to = (f64::from(b) / unit) as f32);
            }
            // The unknown's row has no rating.
            let counts: Vec<u64> = counts.iter().copied().chain([0]).collect();
            for range in ranges {
                let counts = &counts[range.clone()];
                let penalty: Vec<f32> =
                    counts.iter().map(|&n| setup.reg_scaling.penalty(setup.reg, n) as f32).collect();
                let counts: Vec<f32> = counts.iter().map(|&n| n as f32).collect();
                let rows = &factors[range.start * width..range.end * width];
                shards.push(Shard {
                    factors: alloc_f32(backend, factors_name(role), rows)?,
                    penalty: alloc_f32(backend, "penalties", &penalty)?,
                    counts: alloc_f32(backend, "counts", &counts)?,
                });
            }
            let rated = setup.rated(role, &counts);
            Ok(SideBuffers { shards, frozen, bias: has_bias.then_some(bias), rated })
        });
        let (users, items) = (users?, items?);
        let mut tiles = Vec::new();
        let chunks = layout.map(|layout| Chunks::new(setup, layout, &known, &standard, &limits, backend));
        let chunks = chunks.transpose()?;
        for tile in cut {
            let cells = upload(backend, tile.user_shard, tile.item_shard, &tile.cells)?;
            tiles.push(DeviceTile {
                cells,
                user_offsets: alloc_u32(backend, "user offsets", &tile.user_offsets)?,
                item_offsets: alloc_u32(backend, "item offsets", &tile.item_offsets)?,
                item_columns: alloc_u32(backend, "users by item", &tile.item_columns)?,
                item_order: alloc_u32(backend, "order by item", &tile.item_order)?,
            });
        }
        let train_cells = match &chunks {
            Some(chunks) => Squares::Rows(chunks.squares),
            None => Squares::Cells(tiles.iter().map(|tile| tile.cells).collect()),
        };
        let places = setup.places([&users, &items]);
        let trained = Trained { stats: &stats, standard, shards: &shards, known: &known, block };
        let losses = LossPlan::new(setup, &trained, train_cells, backend)?;
        let curvature = curvature(setup, &stats, &known);
        Ok(Self {
            width,
            rank,
            start_rank,
            ratings: stats.count,
            curvature,
            standard,
            seed: setup.seed,
            block,
            first_user,
            places,
            bias_unit: unit as f32,
            shards,
            users,
            items,
            tiles,
            chunks,
            losses,
        })
    }

    /// Whether fused kernels train.
    pub fn is_fused(&self) -> bool {
        self.chunks.is_some()
    }

    /// The side whose rows a role means.
    pub fn side(&self, role: Side) -> &SideBuffers {
        match role {
            Side::Users => &self.users,
            Side::Items => &self.items,
        }
    }

    /// The cells of each tile in the order of `train`, with their targets: for
    /// methods that need another order than the buffers' CSR and CSC. Each with
    /// its user shard and its item shard; tiles without cells are there too.
    pub fn scatter(&self, train: &Ratings) -> Vec<(usize, usize, Cells)> {
        let targets: Vec<f32> = train.value.iter().map(|&rating| self.standard.target(rating)).collect();
        self.shards.scatter(&train.user, &train.item, &targets)
    }

    /// Records Δ from the factors as they are; nothing where fused kernels train, which find it themselves.
    ///
    /// # Errors
    /// As [`Residual::dispatch`].
    pub fn record_residuals(&self, recording: &mut Vec<Dispatch>) -> Result<()> {
        for tile in &self.tiles {
            recording.push(self.residual(&tile.cells, UNCLIPPED)?);
        }
        Ok(())
    }

    fn residual(&self, cells: &DeviceCells, bounds: (f32, f32)) -> Result<Dispatch> {
        Residual {
            rows: cells.rows,
            columns: cells.columns,
            ratings: cells.ratings,
            row_factors: self.users.shards[cells.user_shard].factors,
            column_factors: self.items.shards[cells.item_shard].factors,
            residuals: cells.residuals,
            width: self.width,
            bounds,
        }
        .dispatch()
    }

    /// Records ΔV (for users) or ΔᵀU (for items) from Δ and the factors as they are.
    ///
    /// `gradients`: one buffer a shard of that side, `[rows, width]`.
    ///
    /// # Errors
    /// As [`Gradient::dispatch`].
    pub fn record_gradient(
        &self,
        role: Side,
        gradients: &[Buffer],
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
        if let Some(chunks) = &self.chunks {
            return self.record_fused_gradient(chunks, role, gradients, recording);
        }
        for view in self.views(role) {
            let call = Gradient {
                offsets: view.offsets,
                columns: view.columns,
                order: view.order,
                residuals: view.residuals,
                factors: view.others,
                gradient: gradients[view.shard],
                width: self.width,
                accumulate: view.accumulate,
            };
            recording.push(call.dispatch()?);
        }
        Ok(())
    }

    /// Records the sums of squares that [`Problem::read_losses`] reads: of Δ as
    /// it is, and of the held parts from the factors as they are.
    ///
    /// # Errors
    /// As the kernels' dispatches.
    pub fn record_losses(&self, recording: &mut Vec<Dispatch>) -> Result<()> {
        self.losses.record(self, recording)
    }

    /// The losses that were recorded last.
    ///
    /// # Errors
    /// As [`Backend::read`].
    pub fn read_losses(&self, backend: &mut dyn Backend) -> Result<Losses> {
        self.losses.read(backend)
    }
}
