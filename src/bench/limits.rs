//! What the device's memory allows: a copy, and a gather of rows.

use std::time::Instant;

use super::{Measurement, since};
use crate::backend::{Backend, Buffer, alloc_f32, alloc_u32};
use crate::config::Precision;
use crate::data::Ratings;
use crate::error::Result;
use crate::kernel::copy::CopyValues;
use crate::kernel::gather_rows::{AT_ONCE, GatherRows};
use crate::kernel::{Dispatch, Element};

/// Plays a recording some times, and says how many seconds it took the fastest time: a limit is
/// what can be reached.
fn fastest(recording: &[Dispatch], quick: bool, backend: &mut dyn Backend) -> Result<f64> {
    let first = backend.allocated();
    let clock = backend.alloc("clock", Element::F32, 1)?;
    let mut least = f64::INFINITY;
    // The first time, pipelines are made and pages are touched.
    for turn in 0..if quick { 3 } else { 6 } {
        let start = Instant::now();
        backend.dispatch(recording)?;
        wait(clock, backend)?;
        if turn > 0 {
            least = least.min(since(start));
        }
    }
    backend.release(first);
    Ok(least)
}

/// Waits for all that was dispatched: what is read comes after it.
pub(super) fn wait(clock: Buffer, backend: &mut dyn Backend) -> Result<()> {
    let mut words = vec![0; clock.len()];
    backend.read(clock, &mut words)
}

/// Bytes a second that a copy between two buffers reads and writes, larger than any cache.
///
/// # Errors
/// Those of the device.
pub fn copy_bytes_per_second(backend: &mut dyn Backend, quick: bool) -> Result<f64> {
    let bytes = (if quick { 64 << 20 } else { 256 << 20 }).min(backend.max_buffer_bytes());
    let first = backend.allocated();
    let elements = (bytes / 4).max(1) as usize;
    let values = backend.alloc("copy", Element::F32, elements)?;
    let copied = backend.alloc("copy", Element::F32, elements)?;
    let seconds = fastest(&[CopyValues { values, copied }.dispatch()?], quick, backend)?;
    backend.release(first);
    Ok(8.0 * elements as f64 / seconds)
}

/// How fast rows of factors come from random places.
#[derive(Debug, Clone, Copy)]
pub struct Gather {
    /// Seconds for the other side's row of every rating, of users and then of items.
    pub seconds: f64,
    /// Bytes of these rows.
    pub bytes: f64,
}

/// Rows that one sum adds up.
const EACH: usize = 64;
const _: () = assert!(EACH.is_multiple_of(AT_ONCE));

impl Gather {
    /// Gathers the items' rows in the order of users, and the users' in that of items, as an epoch
    /// must: the same places, the same rank, two numbers to an element in f16. Of very many ratings
    /// the first part.
    ///
    /// # Errors
    /// Those of the device.
    pub fn measure(
        ratings: &Ratings,
        rank: usize,
        precision: Precision,
        backend: &mut dyn Backend,
        quick: bool,
    ) -> Result<Self> {
        let width = match precision {
            Precision::F32 => rank,
            Precision::F16 => rank.div_ceil(2),
        };
        let mut all = Self { seconds: 0.0, bytes: 0.0 };
        let sides = [(ratings.by_user().0, ratings.items.len()), (ratings.by_item().0, ratings.users.len())];
        for (pattern, rows) in sides {
            let (bytes_per_second, whole) = gather(&pattern.columns, rows, width, backend, quick)?;
            all.seconds += whole / bytes_per_second;
            all.bytes += whole;
        }
        Ok(all)
    }

    /// The line of the table.
    pub fn measurement(&self, rank: usize) -> Measurement {
        Measurement {
            work: "gather",
            rank: Some(rank),
            seconds: self.seconds,
            bytes_per_second: Some(self.bytes / self.seconds),
            ..Measurement::default()
        }
    }
}

/// Bytes a second, and the bytes of all these rows.
fn gather(
    columns: &[u32],
    rows: usize,
    width: usize,
    backend: &mut dyn Backend,
    quick: bool,
) -> Result<(f64, f64)> {
    let first = backend.allocated();
    let row_bytes = 4 * width as u64;
    // What a buffer holds and a submission may take; a few ratings are gathered again and again.
    let rows = (rows as u64).min(backend.max_buffer_bytes() / row_bytes).max(1);
    let most = (backend.max_work() / row_bytes).min(backend.max_buffer_bytes() / 4);
    let count = (columns.len() as u64).min(most) as usize / EACH * EACH;
    let indices: Vec<u32> =
        columns.iter().map(|&column| column % rows as u32).cycle().take(count.max(EACH)).collect();
    let factors = vec![1.0; rows as usize * width];
    let call = GatherRows {
        indices: alloc_u32(backend, "indices", &indices)?,
        factors: alloc_f32(backend, "factors", &factors)?,
        sums: backend.alloc("sums", Element::F32, indices.len() / EACH * width)?,
        each: EACH,
        width,
    };
    let seconds = fastest(&[call.dispatch()?], quick, backend)?;
    backend.release(first);
    Ok((call.gathered_bytes() as f64 / seconds, row_bytes as f64 * columns.len() as f64))
}
