//! Time of one epoch of every optimiser, fused and with the textbook's kernels, of
//! the two products that these are made of, and of the gather that bounds them
//! all, on every kind of device that there is.
//!
//! `cargo bench --bench epochs [-- FILTER]`; names are `<backend>/<what>/<size>`,
//! such as `cpu/line-search/100k` or `cpu/line-search-textbook/100k`. The ratings are planted and skewed as real
//! ones are: a few users and items have most of them. A measurement ends when
//! something has been read back, so that no device is timed by its queue.

#![expect(missing_docs, reason = "criterion's macro makes a public function")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use deltav::backend::{
    AdapterKind, Backend, DeviceChoice, OpenOptions, adapters, alloc_f32, alloc_u32, open, read_f32,
};
use deltav::config::{Kernels, Loss, ModelKind, Reg, RegScaling};
use deltav::data::planted::Planted;
use deltav::data::{Ratings, Side};
use deltav::kernel::Element;
use deltav::kernel::gather_rows::{AT_ONCE, GatherRows};
use deltav::optim::{OPTIMIZERS, Objective, OptimizerSpec};
use deltav::problem::{Problem, Setup};

const RANK: usize = 32;
const SIZE: &str = "100k";
/// Epochs before the clock starts: the variational ones come after line-search's warm-up.
const BEFORE: u32 = 8;

fn benches(criterion: &mut Criterion) {
    let planted = Planted::new(6_040, 3_706, 100_000).generate().expect("the recipe can be met");
    let ratings = planted.ratings;
    for (name, choice) in devices() {
        let mut group = criterion.benchmark_group(name);
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(3));
        group.throughput(Throughput::Elements(ratings.len() as u64));
        for spec in OPTIMIZERS {
            for kernels in [Kernels::Auto, Kernels::Textbook] {
                let name = match kernels {
                    Kernels::Textbook if spec.fuses => format!("{}-textbook", spec.name),
                    Kernels::Textbook => continue,
                    _ => spec.name.to_owned(),
                };
                let mut run = Run::new(choice, spec, kernels, &ratings);
                for _ in 0..BEFORE {
                    run.epoch();
                }
                group.bench_function(BenchmarkId::new(name, SIZE), |b| b.iter(|| run.epoch()));
            }
        }
        let mut gather = Gathering::new(choice, &ratings);
        group.bench_function(BenchmarkId::new("gather_rows", SIZE), |b| b.iter(|| gather.play()));
        let mut run = Run::new(choice, OPTIMIZERS[OPTIMIZERS.len() - 1], Kernels::Textbook, &ratings);
        group.bench_function(BenchmarkId::new("residual", SIZE), |b| b.iter(|| run.residual()));
        group.bench_function(BenchmarkId::new("gradient", SIZE), |b| b.iter(|| run.gradients()));
        group.finish();
    }
}

/// The CPU, the best hardware GPU and the software adapter, as far as they are here.
fn devices() -> Vec<(&'static str, DeviceChoice)> {
    let adapters = adapters();
    let software = |wanted: bool| adapters.iter().any(|a| (a.kind == AdapterKind::Software) == wanted);
    let mut devices = vec![("cpu", DeviceChoice::Cpu)];
    devices.extend(software(false).then_some(("gpu", DeviceChoice::Gpu(None))));
    devices.extend(software(true).then_some(("software", DeviceChoice::Software)));
    devices
}

/// A problem on a device with an optimiser at work on it.
struct Run {
    backend: Box<dyn Backend>,
    problem: Problem,
    optimizer: Box<dyn deltav::optim::Optimizer>,
    gradients: [Vec<deltav::backend::Buffer>; 2],
    epoch: u32,
}

impl Run {
    fn new(choice: DeviceChoice, spec: &'static OptimizerSpec, kernels: Kernels, ratings: &Ratings) -> Self {
        let mut backend = open(choice, &OpenOptions::default()).expect("a listed device opens").backend;
        let (kind, reg) =
            if spec.learns { (ModelKind::Svdpp, Reg::Auto) } else { (ModelKind::Biased, Reg::Fixed(1.2)) };
        let setup = Setup {
            kind,
            start_rank: RANK,
            rank: RANK,
            biases: None,
            seed: 0,
            reg: 1.2,
            reg_scaling: RegScaling::Sqrt,
            reg_bias: None,
            row_elements: spec.row_elements,
            cell_loops: spec.cell_loops,
            cell_work: spec.cell_work,
            kernels,
            fuses: spec.fuses,
            spreads: spec.learns,
            page_bytes: None,
            half: false,
            clip: true,
            share: None,
            train: ratings,
            valid: None,
            test: None,
        };
        let problem = Problem::new(&setup, &mut *backend).expect("100k ratings fit any device");
        let objective =
            Objective { loss: Loss::Mean, reg, mask: spec.learns, epochs: u32::MAX, train: ratings };
        let mut optimizer = spec.build(&[]).expect("defaults are accepted");
        optimizer.prepare(&problem, &objective, &mut *backend).expect("state fits any device");
        let gradients = Side::BOTH.map(|role| {
            let shards = &problem.side(role).shards;
            let zeros =
                |shard: &deltav::problem::Shard| backend.alloc("gradient", Element::F32, shard.factors.len());
            shards.iter().map(zeros).collect::<Result<_, _>>().expect("gradients fit any device")
        });
        let mut run = Self { backend, problem, optimizer, gradients, epoch: 0 };
        run.residual();
        run
    }

    fn epoch(&mut self) {
        self.epoch += 1;
        let mut recording = Vec::new();
        let begun = self.optimizer.begin(self.epoch, &self.problem, &mut recording, &mut *self.backend);
        begun.expect("an epoch begins");
        self.optimizer.record(self.epoch, &self.problem, &mut recording).expect("an epoch records");
        if self.optimizer.uses_residuals() {
            self.problem.record_residuals(&mut recording).expect("residuals record");
        }
        self.backend.dispatch(&recording).expect("an epoch runs");
        self.optimizer.observe(self.epoch, &self.problem, &mut *self.backend).expect("an epoch is observed");
        self.wait();
    }

    fn residual(&mut self) {
        let mut recording = Vec::new();
        self.problem.record_residuals(&mut recording).expect("residuals record");
        self.backend.dispatch(&recording).expect("residuals run");
        self.wait();
    }

    fn gradients(&mut self) {
        let mut recording = Vec::new();
        for (role, gradients) in Side::BOTH.into_iter().zip(&self.gradients) {
            self.problem.record_gradient(role, gradients, &mut recording).expect("products record");
        }
        self.backend.dispatch(&recording).expect("products run");
        self.wait();
    }

    /// Reads something small that comes after all that was dispatched.
    fn wait(&mut self) {
        let counts = self.problem.side(Side::Items).shards[0].counts;
        read_f32(&mut *self.backend, counts).expect("the device answers");
    }
}

/// The items' rows in the order of users, and no more: half of what an epoch gathers.
struct Gathering {
    backend: Box<dyn Backend>,
    call: GatherRows,
}

impl Gathering {
    fn new(choice: DeviceChoice, ratings: &Ratings) -> Self {
        let mut backend = open(choice, &OpenOptions::default()).expect("a listed device opens").backend;
        let columns = ratings.by_user().0.columns;
        let whole = columns.len() / AT_ONCE * AT_ONCE;
        let factors = vec![1.0; ratings.items.len() * RANK];
        let sums = backend.alloc("sums", Element::F32, whole / AT_ONCE * RANK);
        let call = GatherRows {
            indices: alloc_u32(&mut *backend, "indices", &columns[..whole]).expect("100k indices fit"),
            factors: alloc_f32(&mut *backend, "factors", &factors).expect("factors fit any device"),
            sums: sums.expect("sums fit any device"),
            each: AT_ONCE,
            width: RANK,
        };
        Self { backend, call }
    }

    fn play(&mut self) {
        self.backend.dispatch(&[self.call.dispatch().expect("the shapes agree")]).expect("a gather runs");
        let mut first = [0; 1];
        let clock = self.backend.alloc("clock", Element::F32, 1).expect("an element fits any device");
        self.backend.read(clock, &mut first).expect("the device answers");
        self.backend.release(self.backend.allocated() - 1);
    }
}

criterion_group!(all, benches);
criterion_main!(all);
