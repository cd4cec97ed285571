//! Stochastic gradient descent, one rating at a time.
//!
//! A visit of a rating, `e = y − ŷ`, both rows from their **old** values:
//!
//! `g_u = e·v − λ_u·u;  g_v = e·u − λ_v·v;  g_b = e − λ_u·b;  g_c = e − λ_v·c`
//!
//! `u ← u + η·g_u/√G_u, then G_u ← G_u + ‖g_u‖²/k`, v the same: one accumulator
//! a row, from 1. `G_b ← G_b + g_b², then b ← b + η·g_b/√G_b`, c the same, from 1.
//! With `adagrad=off` the rate is constant: `u ← u + η·g_u`.
//!
//! λ_u is the row's penalty shared out over its n ratings: λ/√n with `--reg-scaling
//! sqrt`, λ with `count`. The rate is that of one rating's ½e² whatever `--loss` says.
//!
//! | key | default | range | unit |
//! |---|---|---|---|
//! | rate | auto | > 0, or auto | η: 0.2, or 0.02 with adagrad=off |
//! | adagrad | on | on, off | a rate for each row that falls as it learns |
//! | shuffle | on | on, off | a new order each epoch, from the seed |
//! | blocks | auto | ≥ 1, or auto | B; about N / 2(m+n), see `auto_blocks` |
//!
//! Parallel and still deterministic: the ratings lie in B × B blocks; the
//! blocks of a diagonal share no user and no item and are visited side by side,
//! a dispatch a diagonal; inside a block the visits have one order. So any
//! number of threads gives the same bits, and a GPU the same factors. With
//! `blocks=1` and `shuffle=off` it is the textbook loop in the order of the file.
//!
//! The shuffle: cells are shuffled once inside their blocks; an epoch walks each
//! block with a random stride from a random start, and takes diagonals in random
//! order. All of it follows from the seed and the epoch's number.
//!
//! Source: Duchi, Hazan & Singer 2011 (Adagrad); Chin, Zhuang, Juan & Lin 2015 (one
//! rate a row, LIBMF); Gemulla, Nijkamp, Haas & Sismanis 2011 (blocks and diagonals).

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Hyperparameter, Objective, Optimizer, OptimizerSpec, Options, State};
use crate::backend::{Backend, Buffer, alloc_f32, alloc_u32, read_f32};
use crate::config::MAX_RANK;
use crate::data::Side;
use crate::error::{Error, Result};
use crate::kernel::sgd_diagonal::{STATE, SgdDiagonal, table_len};
use crate::kernel::{Dispatch, Element, cell_work};
use crate::problem::{Blocks, Problem};

/// The registry's entry.
pub(super) static SPEC: OptimizerSpec = OptimizerSpec {
    name: "sgd",
    summary: "stochastic descent, one rating at a time, with a rate for each row (Adagrad)",
    formula: "u += η(e·v − λu)/√G_u, v += η(e·u − λv)/√G_v, both from the old rows",
    source: "Chin, Zhuang, Juan & Lin 2015; Gemulla, Nijkamp, Haas & Sismanis 2011",
    epochs: 15,
    learns: false,
    fuses: false,
    max_rank: MAX_RANK,
    row_elements: |_| STATE,
    cell_loops: |_| 1,
    // Both rows are written, too.
    cell_work: |width| 2 * cell_work(width) + 4,
    hyperparameters: &[
        Hyperparameter {
            key: "rate",
            doc: "learning rate η of one rating; auto: 0.2, or 0.02 with adagrad=off",
            default: "auto",
            range: "a number above 0, or auto",
        },
        Hyperparameter {
            key: "adagrad",
            doc: "a rate for each row that falls as it learns; off: the same rate always",
            default: "on",
            range: "on or off",
        },
        Hyperparameter {
            key: "shuffle",
            doc: "visit the ratings in a new order each epoch, drawn from the seed",
            default: "on",
            range: "on or off",
        },
        Hyperparameter {
            key: "blocks",
            doc: "cut users and items into this many ranges that are visited in parallel; \
                  1: one rating after another",
            default: "auto",
            range: "a whole number of at least 1, or auto",
        },
    ],
    build,
};

/// η where none is given, with and without Adagrad.
const RATE: f64 = 0.2;
const CONSTANT_RATE: f64 = 0.02;

/// Ratings of a block for each of its rows and columns that `blocks=auto` aims
/// at: with fewer, factors are fetched anew for nearly every visit.
const REUSE: usize = 2;

/// Blocks a side that `blocks=auto` takes even so, for as many threads, unless
/// their blocks would have fewer ratings than starting one costs.
const FEW_BLOCKS: usize = 16;
const BLOCK_CELLS: usize = 256;

/// The most blocks a side that `blocks=auto` takes: each diagonal is a dispatch.
const MAX_BLOCKS: usize = 512;

/// The most ratings of a block where a device must not be busy for long: a GPU takes up to some
/// microseconds for each, since it waits for its memory every time.
const LONGEST_WALK: u64 = 1 << 17;

/// ChaCha streams of the seed: one for the order inside the blocks, then one an epoch.
const SHUFFLE_STREAM: u64 = 0x7367_6400_0000_0000; // "sgd"

/// A tile's cells in blocks on the device.
#[derive(Debug)]
struct Tile {
    user_shard: usize,
    item_shard: usize,
    blocks: usize,
    rows: Buffer,
    columns: Buffer,
    ratings: Buffer,
    table: Buffer,
}

#[derive(Debug)]
struct Sgd {
    rate: f64,
    adagrad: bool,
    shuffle: bool,
    /// B; `None` until `prepare` settles it.
    blocks: Option<usize>,
    tiles: Vec<Tile>,
    /// λ, G and the bias's G of each row, a buffer a shard.
    state: [Vec<Buffer>; 2],
}

fn build(options: &Options<'_>) -> Result<Box<dyn Optimizer>> {
    let adagrad = options.choice("adagrad", &["off", "on"])? == 1;
    let rate = match options.text("rate") {
        "auto" if adagrad => RATE,
        "auto" => CONSTANT_RATE,
        _ => options.number("rate", |rate| rate > 0.0 && rate.is_finite())?,
    };
    let blocks = match options.text("blocks") {
        "auto" => None,
        _ => {
            let whole = |x: f64| x >= 1.0 && x.fract() == 0.0 && x <= f64::from(u32::MAX);
            Some(options.number("blocks", whole)? as usize)
        }
    };
    Ok(Box::new(Sgd {
        rate,
        adagrad,
        shuffle: options.choice("shuffle", &["off", "on"])? == 1,
        blocks,
        tiles: Vec::new(),
        state: [Vec::new(), Vec::new()],
    }))
}

impl Optimizer for Sgd {
    fn prepare(
        &mut self,
        problem: &Problem,
        objective: &Objective<'_>,
        backend: &mut dyn Backend,
    ) -> Result<()> {
        for (role, state) in Side::BOTH.into_iter().zip(&mut self.state) {
            for shard in &problem.side(role).shards {
                let (penalty, counts) = (read_f32(backend, shard.penalty)?, read_f32(backend, shard.counts)?);
                let rows = penalty.iter().zip(&counts).flat_map(|(&penalty, &n)| visit_state(penalty, n));
                state.push(alloc_f32(backend, "state", &rows.collect::<Vec<_>>())?);
            }
        }
        let mut rng = stream(problem.seed, 0);
        let mut most = 1;
        for (user_shard, item_shard, cells) in problem.scatter(objective.train) {
            if cells.ratings.is_empty() {
                continue;
            }
            let rows = problem.side(Side::Users).shards[user_shard].rows();
            let columns = problem.side(Side::Items).shards[item_shard].rows();
            let most_blocks = most_blocks(rows, columns, backend);
            let mut count = self.wanted(cells.ratings.len(), rows, columns, backend);
            let mut blocks = Blocks::cut(&cells, rows, columns, count);
            while self.blocks.is_none() && count < most_blocks && too_long(&blocks, problem, backend) {
                count = (2 * count).min(most_blocks);
                blocks = Blocks::cut(&cells, rows, columns, count);
            }
            if self.shuffle {
                blocks.shuffle(&mut rng);
            }
            most = most.max(count);
            if too_long(&blocks, problem, backend) {
                let (device, largest) = (backend.describe(), blocks.largest());
                return Err(Error::device(
                    format!("{device} can't visit {largest} ratings one by one in a block"),
                    "pass more --opt blocks, or --device cpu",
                ));
            }
            self.tiles.push(Tile {
                user_shard,
                item_shard,
                blocks: count,
                rows: alloc_u32(backend, "rows by block", &blocks.cells.rows)?,
                columns: alloc_u32(backend, "columns by block", &blocks.cells.columns)?,
                ratings: alloc_f32(backend, "ratings by block", &blocks.cells.ratings)?,
                table: alloc_u32(backend, "blocks", &blocks.table())?,
            });
        }
        self.blocks = Some(most);
        Ok(())
    }

    fn sketch(&mut self, problem: &Problem, _: &Objective<'_>, ledger: &mut dyn Backend) -> Result<()> {
        for (role, state) in Side::BOTH.into_iter().zip(&mut self.state) {
            for shard in &problem.side(role).shards {
                state.push(ledger.alloc("state", Element::F32, STATE * shard.rows())?);
            }
        }
        for (user_shard, item_shard, cells) in problem.tile_cells() {
            let rows = problem.side(Side::Users).shards[user_shard].rows();
            let columns = problem.side(Side::Items).shards[item_shard].rows();
            let blocks = self.wanted(cells, rows, columns, ledger);
            self.tiles.push(Tile {
                user_shard,
                item_shard,
                blocks,
                rows: ledger.alloc("rows by block", Element::U32, cells)?,
                columns: ledger.alloc("columns by block", Element::U32, cells)?,
                ratings: ledger.alloc("ratings by block", Element::F32, cells)?,
                table: ledger.alloc("blocks", Element::U32, table_len(blocks))?,
            });
        }
        Ok(())
    }

    fn uses_residuals(&self) -> bool {
        false
    }

    fn record(&mut self, epoch: u32, problem: &Problem, recording: &mut Vec<Dispatch>) -> Result<()> {
        let mut rng = stream(problem.seed, u64::from(epoch));
        let mut tiles: Vec<&Tile> = self.tiles.iter().collect();
        if self.shuffle {
            tiles.shuffle(&mut rng);
        }
        let [users, items] = Side::BOTH.map(|role| problem.side(role));
        for tile in tiles {
            let mut diagonals: Vec<usize> = (0..tile.blocks).collect();
            let mut stride = 1;
            if self.shuffle {
                diagonals.shuffle(&mut rng);
                stride = prime(&mut rng);
            }
            for diagonal in diagonals {
                let call = SgdDiagonal {
                    rows: tile.rows,
                    columns: tile.columns,
                    ratings: tile.ratings,
                    table: tile.table,
                    row_factors: users.shards[tile.user_shard].factors,
                    column_factors: items.shards[tile.item_shard].factors,
                    row_state: self.state[0][tile.user_shard],
                    column_state: self.state[1][tile.item_shard],
                    width: problem.width,
                    rank: problem.rank,
                    blocks: tile.blocks,
                    diagonal,
                    stride,
                    start: if self.shuffle { rng.random() } else { 0 },
                    rate: self.rate as f32,
                    adagrad: self.adagrad,
                };
                recording.push(call.dispatch()?);
            }
        }
        Ok(())
    }

    fn state(&self) -> Vec<State> {
        let [users, items] = &self.state;
        vec![
            State::carried("user_rates", Side::Users, &**users),
            State::carried("item_rates", Side::Items, &**items),
        ]
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
        vec![
            ("rate", self.rate.to_string()),
            ("adagrad", switch(self.adagrad)),
            ("shuffle", switch(self.shuffle)),
            ("blocks", self.blocks.map_or_else(|| "auto".to_owned(), |blocks| blocks.to_string())),
        ]
    }

    fn remedy(&self) -> String {
        format!("pass a smaller rate, --opt rate={}", self.rate / 4.0)
    }
}

impl Sgd {
    /// B for a tile of so many ratings, before it is known how they lie.
    fn wanted(&self, cells: usize, rows: usize, columns: usize, backend: &dyn Backend) -> usize {
        let wanted = self.blocks.unwrap_or_else(|| auto_blocks(cells, rows + columns));
        wanted.min(most_blocks(rows, columns, backend))
    }
}

/// The most blocks a side that a tile can be cut into.
fn most_blocks(rows: usize, columns: usize, backend: &dyn Backend) -> usize {
    rows.min(columns).min(fitting_blocks(backend.max_buffer_bytes()))
}

/// Whether a device can't walk through the largest block in one dispatch.
fn too_long(blocks: &Blocks, problem: &Problem, backend: &dyn Backend) -> bool {
    let largest = u64::from(blocks.largest());
    let loops = largest * (4 * problem.width.div_ceil(64) as u64 + 8);
    loops > backend.max_loop() || (largest > LONGEST_WALK && backend.max_work() < u64::MAX)
}

/// The state of a row before its first visit: its penalty shared out over its
/// ratings, and both accumulators.
fn visit_state(penalty: f32, ratings: f32) -> [f32; STATE] {
    [if ratings > 0.0 { penalty / ratings } else { 0.0 }, 1.0, 1.0]
}

/// B for a tile of `cells` ratings and `rows` rows and columns together. It
/// depends on the data alone, so that every device visits in the same order.
fn auto_blocks(cells: usize, rows: usize) -> usize {
    let few = (cells / BLOCK_CELLS).isqrt().min(FEW_BLOCKS);
    (cells / (REUSE * rows)).clamp(few.max(1), MAX_BLOCKS)
}

/// The most blocks a side whose table fits a buffer.
fn fitting_blocks(max_buffer_bytes: u64) -> usize {
    // table_len(B) = (B + 1)² + 2.
    let words = usize::try_from(max_buffer_bytes / 4).unwrap_or(usize::MAX);
    words.saturating_sub(2).isqrt().saturating_sub(1).max(1)
}

fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(SHUFFLE_STREAM + number);
    rng
}

/// A random prime between 2³⁰ and 2³¹. It divides no block's number of cells,
/// which a buffer limits to 2³⁰, so a walk by this stride meets every cell once.
fn prime(rng: &mut ChaCha8Rng) -> u32 {
    loop {
        let odd = rng.random_range(1u32 << 30..1 << 31) | 1;
        let root = odd.isqrt();
        if (3..=root).step_by(2).all(|divisor| odd % divisor != 0) {
            return odd;
        }
    }
}

#[cfg(test)]
mod tests;
