//! The items on a device, and the candidates of a block of users.

use rayon::prelude::*;

use super::super::Predictor;
use super::TopN;
use crate::backend::{Backend, Buffer, read_f32};
use crate::error::Result;
use crate::kernel::best_items::{BestItems, GROUP, LOWEST, NONE, PANEL, panel_loops, place_row};
use crate::kernel::{Element, MULTIPLY_ADDS};

/// Users of a block at most.
const BLOCK: usize = 4096;

/// Places of a block's lists at most: 32 MiB of them on the device.
const PLACES: usize = 1 << 22;

/// Bytes of item factors in one buffer at most, which is what packing them takes on the host.
const SHARD_BYTES: u64 = 256 << 20;

/// Products of a dispatch at most: a fraction of a second on a small GPU, since
/// systems take a device away that is busy for longer.
const PRODUCTS: u64 = 1 << 34;

/// What a user has seen in a block at most, all users together: 64 MiB.
const SEEN: usize = 1 << 24;

/// Some items' factors on the device.
struct Shard {
    factors: Buffer,
    base: usize,
    count: usize,
}

/// A user's candidates as a device found them.
pub(super) struct List<'a> {
    /// Their positions among the items.
    pub(super) positions: &'a [u32],
    /// Whether there may be others.
    pub(super) full: bool,
    /// No other has a greater score.
    pub(super) last_score: f32,
}

/// Buffers for blocks of users, and the items as `[v, c]`.
pub(super) struct DeviceItems {
    width: usize,
    keep: usize,
    include_seen: bool,
    /// Each item's position among those that may be listed, or [`NONE`].
    positions: Vec<u32>,
    shards: Vec<Shard>,
    block: usize,
    user_factors: Buffer,
    seen_offsets: Buffer,
    seen: Buffer,
    scores: Buffer,
    items: Buffer,
    found_scores: Vec<f32>,
    found_items: Vec<u32>,
}

impl DeviceItems {
    /// Brings the items to the device. `None` where its buffers are too small for that, or its
    /// loops too short for a panel.
    pub(super) fn new(
        predictor: &Predictor<'_>,
        users: &[u32],
        items: &[u32],
        keep: usize,
        query: &TopN,
        backend: &mut dyn Backend,
    ) -> Result<Option<Self>> {
        let model = predictor.model;
        let width = model.rank + 1;
        let elements = usize::try_from(backend.max_buffer_bytes() / 4).unwrap_or(usize::MAX);
        let most = [BLOCK, PLACES / keep, elements / width, elements / keep, elements.saturating_sub(1)];
        let most = most.into_iter().min().unwrap_or(0) / GROUP * GROUP;
        let block = most.min(users.len().next_multiple_of(GROUP));
        let shard_elements = elements.min((SHARD_BYTES / 4) as usize);
        let shard = shard_elements / (width * PANEL) * PANEL; // items
        let numbered = items.len() <= u32::MAX as usize - PANEL;
        let cut_short = panel_loops(width, keep) > backend.max_loop();
        if block == 0 || shard == 0 || items.is_empty() || !numbered || cut_short {
            return Ok(None);
        }
        let mut positions = vec![NONE; model.items.len()];
        for (position, &item) in (0..).zip(items) {
            positions[item as usize] = position;
        }
        let mut shards = Vec::new();
        for (i, part) in items.chunks(shard).enumerate() {
            let packed = pack(predictor, part, width);
            let factors = backend.alloc("the items' factors", Element::F32, packed.len())?;
            backend.write(factors, bytemuck::cast_slice(&packed))?;
            shards.push(Shard { factors, base: i * shard, count: part.len() });
        }
        // Blocks are cut where the seen items of their users would not fit.
        let of_block = |users: &[u32]| users.iter().map(|&user| seen_count(predictor, user)).sum();
        let seen = match query.include_seen {
            true => 1,
            false => users.chunks(block).map(of_block).max().unwrap_or(0).max(1),
        };
        Ok(Some(Self {
            width,
            keep,
            include_seen: query.include_seen,
            positions,
            shards,
            block,
            user_factors: backend.alloc("users' factors", Element::F32, block * width)?,
            seen_offsets: backend.alloc("offsets of seen items", Element::U32, block + 1)?,
            seen: backend.alloc("seen items", Element::U32, seen.min(SEEN).min(elements))?,
            scores: backend.alloc("candidates' scores", Element::F32, block * keep)?,
            items: backend.alloc("candidates", Element::U32, block * keep)?,
            found_scores: Vec::new(),
            found_items: vec![0; block * keep],
        }))
    }

    /// How many of the first of these users make a block.
    pub(super) fn fitting(&self, predictor: &Predictor<'_>, users: &[u32]) -> usize {
        let mut room = self.seen.len();
        let fits = |&&user: &&u32| {
            let count = if self.include_seen { 0 } else { seen_count(predictor, user) };
            let fits = count <= room;
            room = room.saturating_sub(count);
            fits
        };
        users.iter().take(self.block).take_while(fits).count()
    }

    /// Finds the candidates of these users, as many as [`fitting`](Self::fitting) says at most.
    pub(super) fn run(
        &mut self,
        predictor: &Predictor<'_>,
        users: &[u32],
        backend: &mut dyn Backend,
    ) -> Result<()> {
        let model = predictor.model;
        let k = model.rank;
        let width = self.width;
        let mut rows = vec![0.0; self.user_factors.len()];
        rows.par_chunks_mut(GROUP * width).zip(users.par_chunks(GROUP)).for_each(|(rows, users)| {
            for (i, &user) in users.iter().enumerate().filter(|&(_, &user)| predictor.knows_user(user)) {
                let row = &model.user_factors[user as usize * k..(user as usize + 1) * k];
                place_row::<GROUP>(rows, width, i, row.iter().copied().chain([1.0]));
            }
        });
        let mut offsets = vec![0; self.seen_offsets.len()];
        let mut seen = Vec::with_capacity(self.seen.len());
        for (i, &user) in users.iter().enumerate() {
            if !self.include_seen && predictor.knows_user(user) {
                let all = model.seen_by(user).iter().map(|&item| self.positions[item as usize]);
                seen.extend(all.filter(|&position| position != NONE));
            }
            offsets[i + 1] = seen.len() as u32; // fits: a buffer has at most 2³⁰ elements
        }
        seen.resize(self.seen.len(), 0);
        backend.write(self.user_factors, bytemuck::cast_slice(&rows))?;
        backend.write(self.seen_offsets, &offsets)?;
        backend.write(self.seen, &seen)?;
        self.play(users.len(), backend)?;
        self.found_scores = read_f32(backend, self.scores)?;
        backend.read(self.items, &mut self.found_items)
    }

    /// Every shard, cut into calls as short as the device wants them.
    fn play(&self, users: usize, backend: &mut dyn Backend) -> Result<()> {
        let products = (users.next_multiple_of(GROUP) * self.width * PANEL) as u64; // of a panel
        let in_loops = backend.max_loop() / panel_loops(self.width, self.keep);
        let most = PRODUCTS.min(backend.max_work().saturating_mul(MULTIPLY_ADDS));
        let step = usize::try_from(in_loops.min((most / products).max(1))).unwrap_or(usize::MAX);
        let mut recording = Vec::new();
        for shard in &self.shards {
            let panels = shard.count.div_ceil(PANEL);
            for first in (0..panels).step_by(step) {
                let call = BestItems {
                    user_factors: self.user_factors,
                    item_factors: shard.factors,
                    seen_offsets: self.seen_offsets,
                    seen: self.seen,
                    scores: self.scores,
                    items: self.items,
                    users,
                    width: self.width,
                    first,
                    panels: step.min(panels - first),
                    base: shard.base,
                    count: shard.count,
                    keep: self.keep,
                    fresh: shard.base == 0 && first == 0,
                };
                recording.push(call.dispatch()?);
            }
        }
        backend.dispatch(&recording)
    }

    /// The candidates of the i-th user of the last block.
    pub(super) fn list(&self, i: usize) -> List<'_> {
        let row = i * self.keep..(i + 1) * self.keep;
        let (scores, items) = (&self.found_scores[row.clone()], &self.found_items[row]);
        let found = scores.partition_point(|&score| score > LOWEST);
        let last_score = scores.last().copied().unwrap_or(LOWEST);
        List { positions: &items[..found], full: found == items.len(), last_score }
    }
}

fn seen_count(predictor: &Predictor<'_>, user: u32) -> usize {
    if predictor.knows_user(user) { predictor.model.seen_by(user).len() } else { 0 }
}

/// Rows `[v, c]` of these items, in panels.
fn pack(predictor: &Predictor<'_>, items: &[u32], width: usize) -> Vec<f32> {
    let model = predictor.model;
    let k = model.rank;
    let mut packed = vec![0.0; items.len().div_ceil(PANEL) * PANEL * width];
    packed.par_chunks_mut(PANEL * width).zip(items.par_chunks(PANEL)).for_each(|(panel, items)| {
        for (row, &item) in items.iter().enumerate() {
            let item = item as usize;
            let v = model.item_factors[item * k..(item + 1) * k].iter().copied();
            place_row::<PANEL>(panel, width, row, v.chain([model.item_bias[item]]));
        }
    });
    packed
}
