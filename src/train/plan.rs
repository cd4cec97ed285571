//! What a run takes of memory, for what and where, before it takes any of it.
//!
//! Buffers are counted by asking a [`Ledger`] for them, as the run asks its device. What the host
//! needs beside them is what its steps hold at most, one step after the other.

use super::Dataset;
use super::keep::Snapshot;
use super::place::{keeps_copy, objective, validates};
use super::setup::setup;
use super::traffic::Traffic;
use crate::backend::{Backend, DeviceMemory, Ledger, Residence, exchange_bytes};
use crate::config::{Checked, ModelKind, Reg, TrainConfig};
use crate::data::{Held, Known};
use crate::error::{Error, Result};
use crate::memory;
use crate::problem::{Problem, Setup};
use crate::world::Share;

/// The most of the ratings that goes to a device at a time where they are streamed.
pub(super) const PAGE_BYTES: u64 = 64 << 20;

/// What the program takes by itself: its code, stacks, and what is read of files at a time.
const PROGRAM: u64 = 12 << 20;

/// Bytes of a rating in memory: user, item, value.
const TRIPLE: u64 = 12;
/// Bytes of a timestamp.
const TIME: u64 = 8;
/// Bytes of a rating that is held out: user and item, if they are known, and value.
const HELD: u64 = 20;
/// Bytes of a rating's pattern, a column, and of its place in the order of the file.
const PATTERN: u64 = 4;
const ORDER: u64 = 8;

/// How large the data are: all that their need of memory depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Ratings of each user and of each item.
    pub known: Known,
    /// Ratings to validate and to test with, those that a device measures.
    pub held: [u64; 2],
    /// Bytes of all ids.
    pub id_bytes: u64,
    /// Whether timestamps are kept.
    pub times: bool,
    /// Whether there is anything to validate with.
    pub validates: bool,
    /// Where these are one process's users of more: what it knows of all.
    pub share: Option<Share>,
}

impl Shape {
    /// That of data in memory.
    pub fn of(data: &Dataset, model: ModelKind) -> Self {
        Self::with(data, data.train.known(), model, None)
    }

    /// That of a process's part of data.
    pub fn of_share(data: &Dataset, share: &Share, model: ModelKind) -> Self {
        let known = Known { user_counts: data.train.user_counts(), item_counts: share.item_counts.clone() };
        Self::with(data, known, model, Some(share))
    }

    /// As [`Shape::of`], where it is known who has ratings.
    pub(super) fn with(data: &Dataset, known: Known, model: ModelKind, share: Option<&Share>) -> Self {
        let count = |held: &Option<Held>| match held {
            Some(held) if model.has_bias() => held.len() as u64,
            // Without biases, a pair with an unknown has the mean for its prediction, whatever the factors.
            Some(held) => held.len() as u64 - held.unknown(&known),
            None => 0,
        };
        let held = [count(&data.valid), count(&data.test)];
        let ids = [&data.train.users, &data.train.items];
        let id_bytes = ids.into_iter().map(|ids| ids.parts().0.len() as u64).sum();
        Self {
            held,
            id_bytes,
            times: data.train.time.is_some(),
            validates: validates(data, share),
            known,
            share: share.cloned(),
        }
    }

    /// Number of users, of items and of ratings.
    pub fn sizes(&self) -> [u64; 3] {
        let Known { user_counts, item_counts } = &self.known;
        [user_counts.len() as u64, item_counts.len() as u64, user_counts.iter().sum()]
    }
}

/// Where memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the computer's.
    Host,
    /// In the device's.
    Device,
}

impl Place {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Place::Host => "host",
            Place::Device => "device",
        }
    }
}

/// When memory is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// From the first rating on.
    Always,
    /// While files are read.
    Reading,
    /// While ratings are laid out for the kernels.
    Preparing,
    /// While epochs run, and until the end.
    Training,
    /// While the model is made of the factors.
    Ending,
}

impl When {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            When::Always => "always",
            When::Reading => "reading",
            When::Preparing => "preparing",
            When::Training => "training",
            When::Ending => "ending",
        }
    }
}

/// Memory for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it is.
    pub place: Place,
    /// What it is for: of a device, what its buffers are called in errors.
    pub purpose: String,
    /// When it is needed.
    pub when: When,
    /// How much it is.
    pub bytes: u64,
}

/// The memory of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// By purpose.
    pub items: Vec<Item>,
    /// The device in words.
    pub device: String,
    /// The device's memory, without the plan.
    pub memory: DeviceMemory,
    /// What the system would still give to this process, if it tells.
    pub host_available: Option<u64>,
    /// Whether fused kernels train.
    pub fused: bool,
    /// The most of the ratings that is on the device at a time, in each of two pages; `None`: all of them.
    pub page_bytes: Option<u64>,
    /// What processes tell each other in an epoch, where there are several.
    pub traffic: Option<Traffic>,
    /// Bytes that the first of several processes needs at the end beside the others, for all of the model.
    pub collected: u64,
}

impl Plan {
    /// What a run would take on a device that holds nothing of it yet.
    ///
    /// `listened`: whether somebody wants to know of each epoch.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if a single buffer can't be had, [`Error::Usage`] and
    /// [`Error::Device`] for what the device can't train at all.
    pub fn new(config: &Checked, shape: &Shape, listened: bool, backend: &dyn Backend) -> Result<Self> {
        let resident = Self::with_pages(config, shape, listened, None, backend)?;
        let Some(available) = resident.memory.available.filter(|&most| resident.device() > most) else {
            return Ok(resident);
        };
        // Pages are as large as they can be; a row that is longer has one all the same.
        let cells = resident.bytes_of("cells");
        let free = available.saturating_sub(resident.device().saturating_sub(cells));
        let page = (free / 2).min(PAGE_BYTES).min(backend.max_buffer_bytes()).max(8);
        let streamed = Self::with_pages(config, shape, listened, Some(page), backend)?;
        Ok(if streamed.page_bytes.is_some() { streamed } else { resident })
    }

    /// As [`Plan::new`], with pages of this size for the ratings, or with all of them on the device.
    pub(super) fn with_pages(
        config: &Checked,
        shape: &Shape,
        listened: bool,
        page_bytes: Option<u64>,
        backend: &dyn Backend,
    ) -> Result<Self> {
        // One of its own: what is prepared here is never trained.
        let mut checked = TrainConfig { average: 1, ..config.config.clone() }.check()?;
        let nothing = Dataset::default();
        let setup = Setup { page_bytes, share: shape.share.as_ref(), ..setup(&checked, &nothing) };
        let mut ledger = Ledger::new(backend);
        let problem = Problem::sketch(&setup, &shape.known, shape.held, &mut ledger)?;
        let objective = objective(&checked, &nothing);
        checked.optimizer.sketch(&problem, &objective, &mut ledger)?;
        if keeps_copy(&checked, shape.validates, listened) {
            Snapshot::new(&problem, &*checked.optimizer, &mut ledger)?;
        }
        let mut recording = Vec::new();
        for epoch in [1, checked.epochs.max(1)] {
            recording.clear();
            problem.record_residuals(&mut recording)?;
            checked.optimizer.record(epoch, &problem, &mut recording)?;
            problem.record_residuals(&mut recording)?;
            problem.record_losses(&mut recording)?;
        }
        let fused = problem.is_fused();
        let memory = backend.memory();
        let mut plan = Self {
            items: Vec::new(),
            device: backend.describe().to_owned(),
            memory,
            host_available: memory::available(),
            fused,
            page_bytes: page_bytes.filter(|_| fused),
            traffic: shape.share.as_ref().map(|share| Traffic::of(&recording, share.bounds.len() - 1)),
            collected: 0,
        };
        let (mut largest, mut pages) = (0, 0);
        for entry in ledger.entries() {
            let (place, when) = match entry.streamed {
                true => (Place::Host, When::Training),
                false => (Place::Device, When::Training),
            };
            let bytes = if entry.streamed { &mut pages } else { &mut largest };
            *bytes = entry.bytes.max(*bytes);
            plan.add(place, &entry.purpose, when, entry.bytes);
        }
        plan.add(Place::Device, "pages of cells", When::Training, 2 * pages);
        plan.add(
            Place::Device,
            "transfers",
            When::Training,
            backend.transfer_bytes(largest, recording.len()),
        );
        if shape.share.as_ref().is_some_and(|share| share.bounds.len() > 2) {
            plan.add(Place::Host, "exchange", When::Training, exchange_bytes(&recording));
        }
        plan.host_items(config, shape, checked.reg == Reg::Auto);
        Ok(plan)
    }

    /// What the host holds beside buffers.
    fn host_items(&mut self, config: &Checked, shape: &Shape, learned: bool) {
        let [users, items, ratings] = shape.sizes();
        let rows = users + items;
        let rank = config.config.rank as u64;
        let width = rank + if config.model.has_bias() { 2 } else { 0 };
        let average = u64::from(config.config.average);
        let held: u64 = shape.held.iter().sum();
        let time = if shape.times { TIME * ratings } else { 0 };
        let ids = shape.id_bytes + 8 * (rows + 2);
        // Widened factors of the larger side, beside those of both as they were drawn.
        let factors = 4 * (rank * rows + width * users.max(items)) + 24 * rows;
        let layout = match (self.fused, self.memory.residence) {
            // The cells of both sides, which become the buffers where that can be.
            (true, Residence::Process) => 0,
            (true, _) => (8 + 8 + 8) * ratings,
            // Both patterns and their orders, targets, and the tiles, which are copied.
            (false, _) => (2 * (PATTERN + ORDER) + 4 + 16) * ratings,
        };
        // Factors, perhaps variances and those of the mask, as they are read and as the model has them.
        let kinds = match (learned, config.model) {
            (true, ModelKind::Svdpp) => 3,
            (true, _) => 2,
            (false, _) => 1,
        };
        let model_of = |rows: u64| 4 * (average * kinds * rank + 6) * rows + 2 * 4 * width * rows;
        let seen_of = |rows: u64, ratings: u64| PATTERN * ratings + 24 * rows;
        let (model, seen) = (model_of(rows), seen_of(rows, ratings));
        if let Some(share) = &shape.share {
            let all = share.users as u64 + items;
            self.collected = model_of(all) + seen_of(all, share.stats.count);
        }
        let collected = self.collected;
        let mut host = |purpose, when, bytes| self.add(Place::Host, purpose, when, bytes);
        host("program", When::Always, PROGRAM);
        host("ratings", When::Always, TRIPLE * ratings + time);
        host("ids", When::Always, ids);
        host("ratings held out", When::Always, HELD * held);
        // While pairs are searched that occur twice; or both sides' cells, where no kernel takes them over.
        let reading = ((PATTERN + ORDER) * (ratings + held) + 3 * ids).max(2 * 8 * ratings + 32 * rows);
        host("reading", When::Reading, reading);
        host("layout", When::Preparing, layout + factors);
        host("rated items", When::Training, seen);
        host("model", When::Ending, model + ids);
        if shape.share.as_ref().is_some_and(|share| share.process == 0) {
            host("model of all processes", When::Ending, collected);
        }
    }

    fn add(&mut self, place: Place, purpose: &str, when: When, bytes: u64) {
        let same = |item: &&mut Item| item.place == place && item.purpose == purpose && item.when == when;
        match self.items.iter_mut().find(same) {
            _ if bytes == 0 => {}
            Some(item) => item.bytes = item.bytes.saturating_add(bytes),
            None => self.items.push(Item { place, purpose: purpose.to_owned(), when, bytes }),
        }
    }

    fn sum(&self, place: Place, counts: impl Fn(&Item) -> bool) -> u64 {
        let mine = self.items.iter().filter(|item| item.place == place && counts(item));
        mine.map(|item| item.bytes).fold(0, u64::saturating_add)
    }

    fn bytes_of(&self, purpose: &str) -> u64 {
        self.sum(Place::Device, |item| item.purpose == purpose)
    }

    /// Bytes of the device's memory.
    pub fn device(&self) -> u64 {
        self.sum(Place::Device, |_| true)
    }

    /// Bytes of the computer's memory at most at a time, with the device's where it has none of its own.
    ///
    /// `reads`: whether the ratings are still to be read; else they are in memory already, and don't count.
    pub fn host(&self, reads: bool) -> u64 {
        let at = |when| self.sum(Place::Host, |item| item.when == when);
        let device = if self.memory.residence == Residence::Device { 0 } else { self.device() };
        let training = at(When::Training).saturating_add(device);
        let later = training.saturating_add(at(When::Preparing).max(at(When::Ending)));
        if reads { at(When::Always).saturating_add(later.max(at(When::Reading))) } else { later }
    }

    /// Whether there is memory enough, of the device and of the computer, as far as they tell.
    ///
    /// `reads`: as of [`Plan::host`].
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] with the bytes needed and those that are free.
    pub fn check(&self, reads: bool) -> Result<()> {
        self.check_device()?;
        self.check_host(self.host(reads))
    }

    fn check_device(&self) -> Result<()> {
        let needed = self.device();
        let Some(available) = self.memory.available.filter(|&available| needed > available) else {
            return Ok(());
        };
        let page = self.page_bytes.map_or("", |_| ", with the ratings streamed");
        Err(Error::OutOfMemory {
            what: format!("{}: its memory can't hold what training needs{page}", self.device),
            needed,
            available: format!("{available} bytes are free"),
            remedy: "pass a smaller --rank, or --device cpu".to_owned(),
        })
    }

    fn check_host(&self, needed: u64) -> Result<()> {
        let Some(available) = self.host_available.filter(|&available| needed > available) else {
            return Ok(());
        };
        Err(Error::OutOfMemory {
            what: "the computer's memory can't hold what training needs".to_owned(),
            needed,
            available: format!("{available} bytes are free"),
            remedy:
                "pass a smaller --rank or fewer ratings, or end other programs; `deltav plan` has the parts"
                    .to_owned(),
        })
    }
}
