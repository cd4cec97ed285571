//! Momentum and Adam as a whole: GPU = CPU = f64 reference, with every
//! schedule; they reach a planted model; shards and threads change nothing.

use deltav::backend::Backend;
use deltav::backend::gpu::GpuOptions;
use deltav::config::{Loss as Convention, ModelKind, Reg, RegScaling, TrainConfig};
use deltav::data::Ratings;
use deltav::data::planted::Planted;
use deltav::event::Silent;
use deltav::model::Model;
use deltav::problem::factors;
use deltav::train::{Dataset, train};

use crate::support::compare::{FACTORS, assert_close, assert_close_f32};
use crate::support::devices;
use crate::support::oracle::{Objective, State};
use crate::support::oracle_steps::{Loss, scheduled};
use crate::support::problems::{self, Case};

/// What runs: optimiser, options, model, rank, epochs, loss and λ.
#[derive(Clone)]
struct Setting {
    optimizer: &'static str,
    options: Vec<(&'static str, String)>,
    model: ModelKind,
    rank: usize,
    epochs: u32,
    loss: Convention,
    reg: f64,
}

impl Setting {
    fn new(optimizer: &'static str, options: &[(&'static str, &str)]) -> Self {
        let options = options.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let loss = Convention::Mean;
        Self { optimizer, options, model: ModelKind::Biased, rank: 4, epochs: 50, loss, reg: 0.3 }
    }

    fn config(&self) -> TrainConfig {
        TrainConfig {
            model: Some(self.model),
            optimizer: self.optimizer.to_owned(),
            options: self.options.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
            rank: self.rank,
            epochs: Some(self.epochs),
            seed: 42,
            loss: self.loss,
            reg: Some(Reg::Fixed(self.reg)),
            reg_scaling: Some(RegScaling::Sqrt),
            ..TrainConfig::default()
        }
    }

    fn run(&self, ratings: &Ratings, backend: &mut dyn Backend) -> Model {
        let data = Dataset { train: ratings.clone(), valid: None, test: None };
        train(self.config().check().unwrap(), &data, backend, &mut Silent).unwrap()
    }

    /// The reference's answer from the same start, with the settings that the model says it ran with.
    fn reference(&self, ratings: &Ratings, model: &Model) -> State {
        let (m, n, k) = (ratings.users.len(), ratings.items.len(), self.rank);
        let (u, v) = factors(42, m, n, k);
        let rows =
            |flat: &[f32]| flat.chunks(k).map(|row| row.iter().copied().map(f64::from).collect()).collect();
        let data = problems::dense(ratings, model.mean, model.scale);
        let biased = self.model == ModelKind::Biased;
        let mut state = State { u: rows(&u), v: rows(&v), b: vec![0.0; m], c: vec![0.0; n], biased };
        let objective = if self.loss == Convention::Mean { Objective::Mean } else { Objective::Sum };
        let loss = Loss { data: &data, objective, lambda: self.reg, scaling: "sqrt" };
        let settings = &model.metadata.settings;
        let number = |key: &str| settings[key].parse::<f64>().unwrap();
        let rates = scheduled(number("rate"), &settings["schedule"], self.epochs);
        match (self.optimizer, settings.get("nesterov").map(String::as_str)) {
            ("gd", _) => rates.iter().for_each(|&eta| state.descend(&data, objective, eta, self.reg, "sqrt")),
            ("momentum", Some("off")) => state.heavy_ball(&loss, &rates, number("beta")),
            ("momentum", Some("on")) => state.nesterov(&loss, &rates, number("beta")),
            ("adam", _) => {
                state.adam(&loss, &rates, number("beta1"), number("beta2"), number("epsilon"));
            }
            other => panic!("{other:?}"),
        }
        state
    }

    fn agree(&self, Case { name, ratings }: &Case) {
        for (device, mut backend) in devices::all() {
            let model = self.run(ratings, &mut *backend);
            let expected = self.reference(ratings, &model);
            let Setting { optimizer, options, model: kind, rank, epochs, loss, .. } = self;
            let what = format!(
                "{name}, {optimizer} {options:?}, {kind:?}, rank {rank}, {epochs} epochs, {loss:?}, {device}"
            );
            assert_close(&format!("U, {what}"), &model.user_factors, &expected.flat_u(), FACTORS);
            assert_close(&format!("V, {what}"), &model.item_factors, &expected.flat_v(), FACTORS);
            assert_close(&format!("b, {what}"), &model.user_bias, &expected.b, FACTORS);
            assert_close(&format!("c, {what}"), &model.item_bias, &expected.c, FACTORS);
        }
    }
}

/// Adam divides by the size of the gradient, and so multiplies its rounding
/// where its terms cancel. With ε of the gradient's own size (the loss is the
/// sum, so that ε has one meaning for every case) a step is a smooth function
/// of the gradient, and the formula can be checked to [`FACTORS`].
const SMOOTH: [(&str, &str); 2] = [("epsilon", "0.5"), ("rate", "0.02")];

fn settings() -> Vec<Setting> {
    let adam = Setting { loss: Convention::Sum, ..Setting::new("adam", &SMOOTH) };
    vec![
        Setting::new("momentum", &[("nesterov", "on")]),
        Setting::new("momentum", &[("nesterov", "off"), ("beta", "0.8")]),
        adam,
    ]
}

#[test]
fn every_shape_agrees_after_1_and_50_epochs() {
    for case in problems::awkward() {
        for setting in settings() {
            for epochs in [1, 50] {
                Setting { epochs, ..setting.clone() }.agree(&case);
                Setting { epochs, model: ModelKind::Plain, reg: 0.0, ..setting.clone() }.agree(&case);
            }
        }
    }
}

#[test]
fn every_rank_agrees() {
    let case = Case { name: "random", ratings: problems::random(30, 45, 0.2, 11) };
    for setting in settings() {
        for rank in [1, 3, 4, 31, 32, 33, 128] {
            Setting { rank, ..setting.clone() }.agree(&case);
        }
        Setting { rank: 5, model: ModelKind::Centered, ..setting }.agree(&case);
    }
}

#[test]
fn every_schedule_and_both_losses_agree() {
    let case = Case { name: "random", ratings: problems::random(30, 45, 0.2, 12) };
    for schedule in ["constant", "linear", "cosine"] {
        let mut all = settings();
        all.push(Setting::new("gd", &[]));
        for mut setting in all {
            setting.options.push(("schedule", schedule.to_owned()));
            for epochs in [1, 7, 50] {
                Setting { epochs, ..setting.clone() }.agree(&case);
            }
            if setting.optimizer != "adam" {
                Setting { loss: Convention::Sum, ..setting }.agree(&case);
            }
        }
    }
}

/// With the defaults, at the first step each weight moves by the whole rate along its gradient's sign.
#[test]
fn adam_with_its_defaults_starts_with_whole_steps() {
    let case = Case { name: "random", ratings: problems::random(30, 45, 0.3, 13) };
    let (u, _) = factors(42, 30, 45, 4);
    for loss in [Convention::Mean, Convention::Sum] {
        let setting = Setting { loss, epochs: 1, ..Setting::new("adam", &[]) };
        setting.agree(&case);
        for (device, mut backend) in devices::all() {
            let model = setting.run(&case.ratings, &mut *backend);
            for (old, new) in u.iter().zip(&model.user_factors) {
                assert!(((new - old).abs() - 0.1).abs() < 1e-3, "{device}: {old} to {new}");
            }
        }
    }
}

/// With the default ε later steps multiply what rounding there is in a weight
/// that is hardly pulled; the fit is the reference's all the same.
#[test]
fn adam_with_its_defaults_fits_as_the_reference() {
    let case = Case { name: "random", ratings: problems::random(30, 45, 0.3, 13) };
    let all = Setting::new("adam", &[]);
    for (device, mut backend) in devices::all() {
        let model = all.run(&case.ratings, &mut *backend);
        let data = problems::dense(&case.ratings, model.mean, model.scale);
        let squares = all.reference(&case.ratings, &model).objective(&data, Objective::Mean, 0.0, "sqrt");
        let (rmse, expected) = (model.metadata.metrics["train_rmse"], model.scale * squares.sqrt());
        assert!((rmse - expected).abs() < 1e-4, "{device}: {rmse} for {expected}");
    }
}

/// The loss's factor 2/N reaches ε alone: without ε both losses step alike.
#[test]
fn adam_steps_alike_on_both_losses() {
    let ratings = problems::random(30, 45, 0.3, 14);
    for (device, mut backend) in devices::all() {
        let mut run = |loss, epsilon: &str| {
            let setting = Setting::new("adam", &[("epsilon", epsilon), ("rate", "0.01")]);
            Setting { loss, epochs: 5, ..setting }.run(&ratings, &mut *backend).user_factors
        };
        let n = ratings.value.len() as f64;
        let (mean, sum) =
            (run(Convention::Mean, "0.001"), run(Convention::Sum, &(0.001 * n / 2.0).to_string()));
        assert_close_f32(&format!("ε in units of its loss, {device}"), &mean, &sum, FACTORS);
        let (mean, sum) = (run(Convention::Mean, "1e-12"), run(Convention::Sum, "1e-12"));
        assert_close_f32(&format!("next to no ε, {device}"), &mean, &sum, 10.0 * FACTORS);
    }
}

#[test]
fn a_planted_model_is_found() {
    let recipe = Planted::new(120, 90, 5400).rank(4).seed(3).exact();
    let ratings = recipe.generate().unwrap().ratings;
    let methods = [
        (Setting::new("adam", &[("rate", "0.05")]), 400),
        (Setting::new("momentum", &[("nesterov", "on"), ("beta", "0.95")]), 2000),
        (Setting::new("momentum", &[("nesterov", "off"), ("beta", "0.95")]), 2000),
    ];
    for (setting, epochs) in methods {
        let setting = Setting { model: ModelKind::Plain, reg: 0.0, epochs, ..setting };
        for (device, mut backend) in devices::all() {
            let rmse = setting.run(&ratings, &mut *backend).metadata.metrics["train_rmse"];
            assert!(rmse < 1e-3, "{} {:?}, {device}: {rmse}", setting.optimizer, setting.options);
        }
    }
}

#[test]
fn shards_threads_and_repetition_change_nothing() {
    let ratings = problems::random(70, 90, 0.3, 21);
    for setting in settings() {
        let setting = Setting { rank: 7, epochs: 20, ..setting };
        let whole = setting.run(&ratings, &mut devices::cpu(1));
        assert_eq!(whole, setting.run(&ratings, &mut devices::cpu(4)), "{}, 4 threads", setting.optimizer);
        for (device, mut backend) in devices::all() {
            let first = setting.run(&ratings, &mut *backend);
            assert_eq!(first, setting.run(&ratings, &mut *backend), "{}, {device}", setting.optimizer);
        }
        for bytes in [1024, 4096] {
            let same = |device: &str, model: &Model| {
                let what = format!("{}, {device}, buffers of {bytes}", setting.optimizer);
                assert_close_f32(&format!("U, {what}"), &model.user_factors, &whole.user_factors, FACTORS);
                assert_close_f32(&format!("V, {what}"), &model.item_factors, &whole.item_factors, FACTORS);
            };
            let mut cpu = devices::cpu(2).with_max_buffer_bytes(bytes);
            same("CPU", &setting.run(&ratings, &mut cpu));
            for adapter in devices::adapters() {
                let options = GpuOptions {
                    max_buffer_bytes: Some(bytes),
                    max_workgroups: None,
                    ..GpuOptions::default()
                };
                same("GPU", &setting.run(&ratings, &mut devices::gpu(&adapter, &options)));
            }
        }
    }
}
