//! Random inputs for one kernel call, with the sparse layout built by hand.

use deltav::backend::{Backend, Buffer, read_f32};
use deltav::kernel::Dispatch;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::devices;
use super::problems::{self, Case};

/// Random inputs of one case, with the sparse layout built by hand.
pub struct Inputs {
    pub rank: usize,
    pub u: Vec<f32>,
    pub v: Vec<f32>,
    pub delta: Vec<f32>,
    pub rows: Vec<u32>,
    pub columns: Vec<u32>,
    pub ratings: Vec<f32>,
    pub user_offsets: Vec<u32>,
    pub item_offsets: Vec<u32>,
    pub item_columns: Vec<u32>,
    pub item_order: Vec<u32>,
}

pub fn uniform(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.random_range(-1.0..1.0f32)).collect()
}

impl Inputs {
    pub fn new(case: &Case, rank: usize) -> Self {
        let ratings = &case.ratings;
        let (m, n) = (ratings.users.len(), ratings.items.len());
        let mut rng = ChaCha8Rng::seed_from_u64(rank as u64);
        let mut cells: Vec<(u32, u32, f32)> =
            (0..ratings.value.len()).map(|p| (ratings.user[p], ratings.item[p], ratings.value[p])).collect();
        cells.sort_by_key(|&(i, j, _)| (i, j));
        let mut order: Vec<u32> = (0..cells.len() as u32).collect();
        order.sort_by_key(|&p| (cells[p as usize].1, p));
        let offsets = |rows: usize, row: &dyn Fn(usize) -> u32| -> Vec<u32> {
            (0..=rows).map(|r| (0..cells.len()).filter(|&p| (row(p) as usize) < r).count() as u32).collect()
        };
        Self {
            rank,
            u: uniform(&mut rng, m * rank),
            v: uniform(&mut rng, n * rank),
            delta: uniform(&mut rng, cells.len()),
            rows: cells.iter().map(|c| c.0).collect(),
            columns: cells.iter().map(|c| c.1).collect(),
            ratings: cells.iter().map(|c| c.2).collect(),
            user_offsets: offsets(m, &|p| cells[p].0),
            item_offsets: offsets(n, &|p| cells[p].1),
            item_columns: order.iter().map(|&p| cells[p as usize].0).collect(),
            item_order: order,
        }
    }
}

/// Runs one dispatch and reads a buffer.
pub fn play(backend: &mut dyn Backend, call: Dispatch, result: Buffer) -> Vec<f32> {
    backend.dispatch(&[call]).unwrap();
    read_f32(backend, result).unwrap()
}

pub fn each(mut test: impl FnMut(&str, &Inputs, &mut dyn Backend)) {
    for case in problems::awkward() {
        for rank in [1, 3, 4, 31, 32, 33, 128] {
            let inputs = Inputs::new(&case, rank);
            for (device, mut backend) in devices::all() {
                test(&format!("{}, rank {rank}, {device}", case.name), &inputs, &mut *backend);
            }
        }
    }
}
