//! Work is cut into pieces that a desktop's watchdog lets pass: submissions,
//! and where one dispatch would be too long, the tiles of the data.

use deltav::Result;
use deltav::backend::cpu::CpuBackend;
use deltav::backend::gpu::GpuOptions;
use deltav::backend::{Backend, Buffer};
use deltav::config::{Reg, TrainConfig};
use deltav::event::Silent;
use deltav::kernel::{Dispatch, Element};
use deltav::model::{Model, TopList, TopN};
use deltav::optim::OPTIMIZERS;
use deltav::train::{Dataset, train};

use crate::support::compare::{FACTORS, assert_close_f32};
use crate::support::{devices, problems};

const RANK: usize = 6;

fn config(optimizer: &str) -> TrainConfig {
    TrainConfig { optimizer: optimizer.to_owned(), rank: RANK, epochs: Some(4), ..TrainConfig::default() }
}

fn run(config: &TrainConfig, data: &Dataset, backend: &mut dyn Backend) -> Model {
    train(config.clone().check().unwrap(), data, backend, &mut Silent).unwrap()
}

fn data() -> Dataset {
    let (rest, test) = problems::random(70, 60, 0.3, 51).split(0.2, 1).unwrap();
    let (train, valid) = rest.split(0.2, 2).unwrap();
    Dataset { train, valid: Some(valid), test: Some(test) }
}

#[test]
fn cut_submissions_change_no_bit() {
    let data = data();
    for adapter in devices::adapters() {
        for spec in OPTIMIZERS {
            let with = |max_work: Option<u64>| {
                let mut gpu = devices::gpu(&adapter, &GpuOptions { max_work, ..GpuOptions::default() });
                let model = run(&config(spec.name), &data, &mut gpu);
                (model, gpu.submissions())
            };
            // As much as lets the data stay in one tile.
            let least = data.train.len() as u64 * (spec.cell_work)(RANK + 2);
            let (whole, few) = with(None);
            let (cut, many) = with(Some(least));
            assert_eq!(cut, whole, "{}", spec.name);
            assert!(many > few, "{}: {many} and {few} submissions", spec.name);
        }
    }
}

#[test]
fn cut_tiles_train_the_same_model() {
    let data = data();
    for adapter in devices::adapters() {
        for spec in OPTIMIZERS.iter().filter(|spec| spec.name != "sgd") {
            // With a fixed penalty: what is learned from the data follows rounding a little.
            let config = TrainConfig { reg: Some(Reg::Fixed(0.5)), ..config(spec.name) };
            let with = |max_work: Option<u64>| {
                let options = GpuOptions { max_work, ..GpuOptions::default() };
                run(&config, &data, &mut devices::gpu(&adapter, &options))
            };
            let whole = with(None);
            for cells in [1, 10, 100] {
                let cut = with(Some(cells * (spec.cell_work)(RANK + 2)));
                let what = format!("{}, {cells} cells a tile", spec.name);
                assert_close_f32(&format!("U, {what}"), &cut.user_factors, &whole.user_factors, FACTORS);
                assert_close_f32(&format!("V, {what}"), &cut.item_factors, &whole.item_factors, FACTORS);
            }
        }
    }
}

#[test]
fn lists_in_short_pieces_are_the_same() {
    let model = run(&config("als"), &data(), &mut devices::cpu(2));
    let users: Vec<u32> = (0..70).collect();
    let lists = |backend: &mut dyn Backend| {
        let mut all = Vec::new();
        let query = TopN { n: 5, ..TopN::default() };
        let mut keep = |lists: &[TopList]| {
            all.extend_from_slice(lists);
            Ok(())
        };
        model.predictor().top_n(&users, &query, backend, &mut keep).unwrap();
        all
    };
    let whole = lists(&mut devices::cpu(2));
    for adapter in devices::adapters() {
        let options = GpuOptions { max_work: Some(1), ..GpuOptions::default() };
        assert!(lists(&mut devices::gpu(&adapter, &options)) == whole);
    }
}

/// A CPU that wants little work at a time, and notes the most that it was given at once.
struct Impatient {
    inner: CpuBackend,
    max_work: u64,
    most: u64,
}

impl Backend for Impatient {
    fn describe(&self) -> &str {
        self.inner.describe()
    }

    fn max_buffer_bytes(&self) -> u64 {
        self.inner.max_buffer_bytes()
    }

    fn max_work(&self) -> u64 {
        self.max_work
    }

    fn alloc(&mut self, purpose: &str, element: Element, len: usize) -> Result<Buffer> {
        self.inner.alloc(purpose, element, len)
    }

    fn write(&mut self, buffer: Buffer, words: &[u32]) -> Result<()> {
        self.inner.write(buffer, words)
    }

    fn read(&mut self, buffer: Buffer, words: &mut [u32]) -> Result<()> {
        self.inner.read(buffer, words)
    }

    fn allocated(&self) -> u32 {
        self.inner.allocated()
    }

    fn release(&mut self, first: u32) {
        self.inner.release(first);
    }

    fn dispatch(&mut self, recording: &[Dispatch]) -> Result<()> {
        self.most = recording.iter().map(Dispatch::work).chain([self.most]).max().unwrap_or(0);
        self.inner.dispatch(recording)
    }
}

#[test]
fn no_dispatch_has_much_more_work_than_a_device_wants() {
    let (train, valid) = problems::random(300, 200, 0.4, 52).split(0.3, 1).unwrap();
    let data = Dataset { train, valid: Some(valid), test: None };
    for max_work in [1 << 16, 1 << 18] {
        let mut cpu = Impatient { inner: devices::cpu(2), max_work, most: 0 };
        for spec in OPTIMIZERS {
            for rank in [4, 40] {
                cpu.most = 0;
                run(&TrainConfig { rank, epochs: Some(2), ..config(spec.name) }, &data, &mut cpu);
                // Twice: beside the cells there are the rows that they belong to.
                let what = format!("{}, rank {rank}: {} for {max_work}", spec.name, cpu.most);
                assert!(cpu.most <= 2 * max_work, "{what}");
            }
        }
    }
}
