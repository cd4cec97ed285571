//! A training problem on a device: the cells and the factors as named buffers,
//! and the recordings that every optimiser shares.
//!
//! With biases, a row of factors is two columns wider than the rank: users are
//! `[u, b, 1]`, items `[v, 1, c]`, so that `[u, b, 1]·[v, 1, c] = u·v + b + c`
//! and the kernels need no second form. The constant columns never move.
//!
//! Each side has one row more than ids: the row of anyone unknown, whose
//! factors and bias are 0.

mod blocks;
mod gauge;
mod init;
mod loss;
mod tiles;

pub use blocks::Blocks;
pub use gauge::balance;
pub use init::factors;
pub use loss::{Losses, Part};
pub use tiles::{Cells, Shards, Tile};

use self::loss::LossPlan;
use crate::backend::{Backend, Buffer, alloc_f32, alloc_u32, read_f32};
use crate::config::{ModelKind, RegScaling};
use crate::data::{Held, Ratings, Stats};
use crate::error::Result;
use crate::kernel::Dispatch;
use crate::kernel::gradient::Gradient;
use crate::kernel::residual::{Residual, UNCLIPPED};

/// How ratings become targets: `y = (r − mean) / scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standard {
    /// μ, in rating units; 0 for plain.
    pub mean: f64,
    /// s > 0, in rating units; 1 for plain, and where all ratings are equal.
    pub scale: f64,
}

impl Standard {
    /// The transformation that a kind of model uses.
    pub fn of(kind: ModelKind, stats: &Stats) -> Self {
        match kind {
            ModelKind::Plain => Self { mean: 0.0, scale: 1.0 },
            ModelKind::Centered | ModelKind::Biased | ModelKind::Svdpp => {
                Self { mean: stats.mean, scale: if stats.std > 0.0 { stats.std } else { 1.0 } }
            }
        }
    }

    /// A rating as a target.
    pub fn target(&self, rating: f32) -> f32 {
        ((f64::from(rating) - self.mean) / self.scale) as f32
    }
}

/// What to train on and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The form of a prediction.
    pub kind: ModelKind,
    /// Number of latent factors.
    pub rank: usize,
    /// Seed of the initial factors.
    pub seed: u64,
    /// L2 penalty λ.
    pub reg: f64,
    /// How λ grows with a row's ratings.
    pub reg_scaling: RegScaling,
    /// Elements of the widest row that the optimiser keeps for a row of factors of a width.
    pub row_elements: fn(usize) -> usize,
    /// Clip predictions of the held parts.
    pub clip: bool,
    /// The training ratings, without duplicates.
    pub train: &'a Ratings,
    /// Validation part.
    pub valid: Option<&'a Held>,
    /// Test part.
    pub test: Option<&'a Held>,
}

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

/// Users or items.
#[derive(Debug, Clone)]
pub struct Side {
    /// The shards, in order of rows.
    pub shards: Vec<Shard>,
    /// The constant column, if there are biases.
    pub frozen: Option<usize>,
    /// The column of the bias, if there are biases.
    pub bias: Option<usize>,
    /// Rows that have a training rating.
    pub rated: u64,
}

/// A tile of the training cells as the rows of one role see it.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The shard of the rows.
    pub shard: usize,
    /// The other side's factors.
    pub others: Buffer,
    /// The other side's shard.
    pub other_shard: usize,
    /// Where each row's cells begin, `[rows + 1]`.
    pub offsets: Buffer,
    /// The other side's row of each cell, `[cells]`.
    pub columns: Buffer,
    /// Where a cell's rating and Δ stand, `[cells]`; `None`: in the order of the cells.
    pub order: Option<Buffer>,
    /// Targets, `[cells]`.
    pub ratings: Buffer,
    /// Δ, `[cells]`.
    pub residuals: Buffer,
    /// Whether an earlier tile has rows of this shard, whose sums this one adds to.
    pub accumulate: bool,
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

/// Which side's rows a product is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Rows are users: ΔV.
    Users,
    /// Rows are items: ΔᵀU.
    Items,
}

impl Role {
    /// Both, users first.
    pub const BOTH: [Role; 2] = [Role::Users, Role::Items];

    fn factors(self) -> &'static str {
        match self {
            Role::Users => "user factors",
            Role::Items => "item factors",
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Role::Users => Role::Items,
            Role::Items => Role::Users,
        }
    }
}

/// A training problem on a device.
#[derive(Debug)]
pub struct Problem {
    /// Columns of a factor matrix: the rank, and two more with biases.
    pub width: usize,
    /// Number of latent factors.
    pub rank: usize,
    /// Number N of training ratings.
    pub ratings: u64,
    /// An upper estimate of the largest curvature of `½ Σ e²` near a solution.
    pub curvature: f64,
    /// How ratings became targets.
    pub standard: Standard,
    /// Seed of whatever is drawn.
    pub seed: u64,
    shards: Shards,
    users: Side,
    items: Side,
    tiles: Vec<DeviceTile>,
    losses: LossPlan,
}

impl Problem {
    /// Puts cells and initial factors on the device.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`] if they don't fit.
    pub fn new(setup: &Setup<'_>, backend: &mut dyn Backend) -> Result<Self> {
        let Setup { kind, rank, train, .. } = *setup;
        let stats = train.stats();
        let standard = Standard::of(kind, &stats);
        let width = rank + if kind.has_bias() { 2 } else { 0 };
        let (mut by_user, order) = train.by_user();
        let by_item_counts = train.item_counts();
        let ratings: Vec<f32> = order.iter().map(|&p| standard.target(train.value[p as usize])).collect();
        let user_counts: Vec<u64> = by_user.offsets.windows(2).map(|w| w[1] - w[0]).collect();
        // The unknown user's row: no cell.
        by_user.offsets.push(by_user.len() as u64);

        let widest = (setup.row_elements)(width).max(width);
        let shards = Shards::plan(&by_user, train.items.len() + 1, widest, backend.max_buffer_bytes())?;
        let (u, v) = factors(setup.seed, train.users.len(), train.items.len(), rank);
        let sides = [
            (Role::Users, &shards.users, u, &user_counts, rank + 1, rank),
            (Role::Items, &shards.items, v, &by_item_counts, rank, rank + 1),
        ];
        let [users, items] = sides.map(|(role, ranges, factors, counts, frozen, bias)| {
            let has_bias = kind.has_bias();
            let frozen = has_bias.then_some(frozen);
            let mut shards = Vec::new();
            let factors = widen(&factors, rank, frozen);
            // The unknown's row has no rating.
            let counts: Vec<u64> = counts.iter().copied().chain([0]).collect();
            for range in ranges {
                let counts = &counts[range.clone()];
                let penalty: Vec<f32> =
                    counts.iter().map(|&n| setup.reg_scaling.penalty(setup.reg, n) as f32).collect();
                let counts: Vec<f32> = counts.iter().map(|&n| n as f32).collect();
                let rows = &factors[range.start * width..range.end * width];
                shards.push(Shard {
                    factors: alloc_f32(backend, role.factors(), rows)?,
                    penalty: alloc_f32(backend, "penalties", &penalty)?,
                    counts: alloc_f32(backend, "counts", &counts)?,
                });
            }
            let rated = counts.iter().filter(|&&n| n > 0).count() as u64;
            Ok(Side { shards, frozen, bias: has_bias.then_some(bias), rated })
        });
        let (users, items) = (users?, items?);
        let mut tiles = Vec::new();
        for tile in shards.tiles(&by_user, &ratings) {
            let cells = upload(backend, tile.user_shard, tile.item_shard, &tile.cells)?;
            tiles.push(DeviceTile {
                cells,
                user_offsets: alloc_u32(backend, "user offsets", &tile.user_offsets)?,
                item_offsets: alloc_u32(backend, "item offsets", &tile.item_offsets)?,
                item_columns: alloc_u32(backend, "users by item", &tile.item_columns)?,
                item_order: alloc_u32(backend, "order by item", &tile.item_order)?,
            });
        }
        let train_cells: Vec<DeviceCells> = tiles.iter().map(|tile| tile.cells).collect();
        let known = loss::Known { user_counts: &user_counts, item_counts: &by_item_counts };
        let losses = LossPlan::new(setup, &stats, standard, &shards, &known, &train_cells, backend)?;
        let curvature = curvature(setup, &stats, &user_counts, &by_item_counts);
        Ok(Self {
            width,
            rank,
            ratings: train.len() as u64,
            curvature,
            standard,
            seed: setup.seed,
            shards,
            users,
            items,
            tiles,
            losses,
        })
    }

    /// The side whose rows a role means.
    pub fn side(&self, role: Role) -> &Side {
        match role {
            Role::Users => &self.users,
            Role::Items => &self.items,
        }
    }

    /// The cells of each tile in the order of `train`, with their targets: for
    /// methods that need another order than the buffers' CSR and CSC. Each with
    /// its user shard and its item shard; tiles without cells are there too.
    pub fn scatter(&self, train: &Ratings) -> Vec<(usize, usize, Cells)> {
        let targets: Vec<f32> = train.value.iter().map(|&rating| self.standard.target(rating)).collect();
        self.shards.scatter(&train.user, &train.item, &targets)
    }

    /// Records Δ from the factors as they are.
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

    /// The tiles as the rows of a role see them, in the order of their sums.
    pub fn views(&self, role: Role) -> Vec<View> {
        let mut begun = vec![false; self.side(role).shards.len()];
        let view = |tile: &DeviceTile| {
            let cells = &tile.cells;
            let (shard, other_shard, offsets, columns, order) = match role {
                Role::Users => (cells.user_shard, cells.item_shard, tile.user_offsets, cells.columns, None),
                Role::Items => {
                    let order = Some(tile.item_order);
                    (cells.item_shard, cells.user_shard, tile.item_offsets, tile.item_columns, order)
                }
            };
            View {
                shard,
                others: self.side(role.other()).shards[other_shard].factors,
                other_shard,
                offsets,
                columns,
                order,
                ratings: cells.ratings,
                residuals: cells.residuals,
                accumulate: std::mem::replace(&mut begun[shard], true),
            }
        };
        self.tiles.iter().map(view).collect()
    }

    /// Records ΔV (for users) or ΔᵀU (for items) from Δ and the factors as they are.
    ///
    /// `gradients`: one buffer a shard of that side, `[rows, width]`.
    ///
    /// # Errors
    /// As [`Gradient::dispatch`].
    pub fn record_gradient(
        &self,
        role: Role,
        gradients: &[Buffer],
        recording: &mut Vec<Dispatch>,
    ) -> Result<()> {
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

    /// The factors as they are, with their bias columns and the unknown's row: `[rows + 1, width]`.
    ///
    /// # Errors
    /// As [`Backend::read`].
    pub fn read_factors(&self, role: Role, backend: &mut dyn Backend) -> Result<Vec<f32>> {
        let buffers = self.side(role).shards.iter().map(|shard| shard.factors);
        read_shards(buffers, backend)
    }

    /// Replaces the factors, in the form of [`Problem::read_factors`].
    ///
    /// # Errors
    /// As [`Backend::write`].
    pub fn write_factors(&self, role: Role, factors: &[f32], backend: &mut dyn Backend) -> Result<()> {
        let mut rest = factors;
        for shard in &self.side(role).shards {
            let (mine, others) = rest.split_at(shard.factors.len());
            backend.write(shard.factors, bytemuck::cast_slice(mine))?;
            rest = others;
        }
        Ok(())
    }

    /// Cuts an array like [`Problem::read_factors`]' into the latent columns
    /// `[rows, rank]` and the bias `[rows]`, without the unknown's row.
    pub fn split_bias(&self, role: Role, wide: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let rows = wide.len() / self.width - 1;
        let mut factors = Vec::with_capacity(rows * self.rank);
        let mut biases = Vec::with_capacity(rows);
        for row in wide.chunks_exact(self.width).take(rows) {
            factors.extend_from_slice(&row[..self.rank]);
            biases.push(self.side(role).bias.map_or(0.0, |bias| row[bias]));
        }
        (factors, biases)
    }
}

/// The elements of a side's buffers, shard after shard.
///
/// # Errors
/// As [`Backend::read`].
pub fn read_shards(buffers: impl IntoIterator<Item = Buffer>, backend: &mut dyn Backend) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    for buffer in buffers {
        all.extend(read_f32(backend, buffer)?);
    }
    Ok(all)
}

/// Adds the bias columns, and the unknown's row at the end.
///
/// `constant`: the column that is 1, of `rank + 2` columns; `None` adds none.
fn widen(factors: &[f32], rank: usize, constant: Option<usize>) -> Vec<f32> {
    let width = rank + if constant.is_some() { 2 } else { 0 };
    let rows = factors.len() / rank + 1;
    let mut wide = vec![0.0; rows * width];
    for (to, from) in wide.chunks_exact_mut(width).zip(factors.chunks_exact(rank)) {
        to[..rank].copy_from_slice(from);
    }
    if let Some(column) = constant {
        wide.iter_mut().skip(column).step_by(width).for_each(|x| *x = 1.0);
    }
    wide
}

fn upload(
    backend: &mut dyn Backend,
    user_shard: usize,
    item_shard: usize,
    cells: &Cells,
) -> Result<DeviceCells> {
    Ok(DeviceCells {
        user_shard,
        item_shard,
        rows: alloc_u32(backend, "rows", &cells.rows)?,
        columns: alloc_u32(backend, "columns", &cells.columns)?,
        ratings: alloc_f32(backend, "ratings", &cells.ratings)?,
        residuals: backend.alloc("residuals", crate::kernel::Element::F32, cells.ratings.len())?,
    })
}

/// An upper estimate of the largest eigenvalue of the Hessian of `½ Σ e² + L2`
/// near a solution, for step sizes.
///
/// With ‖x_u‖² ≤ X_u on the user side and X_i on the item side, the Gauss-Newton
/// blocks of a user sum up to at most n_u·(X_i + √(X_u·X_i)), those of an item
/// to n_i·(X_u + √(X_u·X_i)) (Gershgorin). Descent from a small start keeps
/// UᵀU ≈ VᵀV, so that rows of the shorter side are longer: X_u·m ≈ X_i·n.
///
/// The bound is loose on real, skewed data, so a part of it is taken back: on
/// MovieLens the loss never rose at 4 times 1/bound and biased diverged from 7
/// to 9 times on; with one rating it diverges at 4 times, plain oscillates at 2.
fn curvature(setup: &Setup<'_>, stats: &Stats, user_counts: &[u64], item_counts: &[u64]) -> f64 {
    let (m, n) = (user_counts.len() as f64, item_counts.len() as f64);
    let (size, bias) = match setup.kind {
        // u·v must reach the ratings themselves: one direction carries their size.
        ModelKind::Plain => ((stats.mean * stats.mean + stats.std * stats.std).sqrt(), 0.0),
        ModelKind::Centered => (1.0, 0.0),
        ModelKind::Biased | ModelKind::Svdpp => (1.0, 1.0),
    };
    let (x_u, x_i) = (bias + size * (n / m).sqrt(), bias + size * (m / n).sqrt());
    let cross = (x_u * x_i).sqrt();
    let most = |counts: &[u64], x: f64| {
        counts
            .iter()
            .map(|&c| c as f64 * (x + cross) + setup.reg_scaling.penalty(setup.reg, c))
            .fold(0.0, f64::max)
    };
    let slack = if setup.kind == ModelKind::Plain { 1.5 } else { 3.0 };
    most(user_counts, x_i).max(most(item_counts, x_u)) / slack
}
