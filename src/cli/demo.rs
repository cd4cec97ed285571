//! `deltav demo`: planted ratings, a model, and how good it is beside what is possible.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::events::SCHEMA;
use super::interrupt;
use super::method::Device;
use super::render::Renderer;
use super::streams::Streams;
use super::table::table;
use crate::config::TrainConfig;
use crate::data::planted::{Planted, PlantedSplit};
use crate::data::{Held, Ratings};
use crate::error::Result;
use crate::event::{Event, Observer, Saved};
use crate::model::{BiasBaseline, Model, Unknown, evaluate};
use crate::output::Output;
use crate::train::{Controls, Dataset, train_with};

const USERS: usize = 3_000;
const ITEMS: usize = 1_200;
const RATINGS: usize = 200_000;
const TRUE_RANK: usize = 8;
const TEST: f64 = 0.1;
/// The middle of the scale that they are clipped to.
const MIDDLE: f64 = 2.75;

/// Items of a recommendation, and rated items shown beside it.
const TOP: usize = 10;
const LIKED: usize = 3;

/// Try it on planted ratings: trains, measures and recommends, in seconds
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Seed of the ratings and of the training
    #[arg(long, value_name = "SEED", allow_negative_numbers = true, default_value_t = 0)]
    seed: u64,

    /// Keep the model in this file
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace an existing file
    #[arg(short, long, requires = "out")]
    force: bool,

    /// Events and results as JSON on stdout, one object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    device: Device,
}

/// What the demo shows.
#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    event: &'static str,
    mean_rmse: f64,
    bias_rmse: f64,
    test_rmse: f64,
    floor: f64,
    user: String,
    liked: Vec<Named>,
    recommended: Vec<Named>,
}

/// An item with the rating that it has or would get.
#[derive(Debug, Serialize)]
struct Named {
    item: String,
    rating: f32,
}

impl Demo {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let config = TrainConfig { seed: self.seed, ..TrainConfig::default() }.check()?;
        let mut output = self.out.as_ref().map(|path| Output::create(path, self.force)).transpose()?;
        self.device.limit_threads();

        let mut renderer = Renderer::new(streams, self.json);
        renderer.busy("planting ratings of invented people on invented films");
        let planted = Planted::new(USERS, ITEMS, RATINGS).rank(TRUE_RANK).named().seed(self.seed);
        let PlantedSplit { train: ratings, test, floor } = planted.generate()?.split(TEST, self.seed)?;
        let data = Dataset { train: ratings, valid: None, test: Some(test) };
        if let Some(output) = &mut output {
            output.reserve(Model::estimate_bytes(&config, &data.train, None))?;
        }
        let mut backend = self.device.open(&mut renderer)?;
        let listening = interrupt::listening();
        let controls = Controls { interrupt: Some(listening.interrupt()), ..Controls::default() };
        let trained = train_with(config, &data, &mut *backend, &mut renderer, controls);
        let model = listening.done(trained)?;
        if let Some(output) = output {
            let path = output.path().to_owned();
            let bytes = model.save_to(output)?;
            renderer.event(&Event::Saved(Saved { path, bytes }));
        }
        renderer.finish()?;

        let report = report(&model, &data, floor)?;
        if self.json { streams.json(&report) } else { print(&report, streams) }
    }
}

fn report(model: &Model, data: &Dataset, floor: f64) -> Result<Report> {
    let train = &data.train;
    let held: Vec<_> = data.test.iter().flat_map(Held::iter).collect();
    let baseline = BiasBaseline::fit(train, BiasBaseline::DAMPING);
    let rmse = |errors: &[(&str, f64)]| {
        errors.iter().find(|(name, _)| *name == "rmse").map_or(0.0, |(_, rmse)| *rmse)
    };
    let predictor = model.predictor();
    let accuracy = evaluate(&predictor, held.iter().copied(), Unknown::Mean)?;

    let user = typical_user(train);
    let named = |(item, rating)| Named { item: model.items.text(item).into_owned(), rating };
    let mut liked: Vec<(u32, f32)> =
        train.iter().filter(|(u, ..)| *u == user).map(|(_, item, value)| (item, value)).collect();
    liked.sort_by(|a, b| b.1.total_cmp(&a.1));
    liked.truncate(LIKED);
    Ok(Report {
        schema: SCHEMA,
        event: "demo",
        mean_rmse: rmse(&accuracy.mean_baseline),
        bias_rmse: rmse(&baseline.evaluate(held)),
        test_rmse: rmse(&accuracy.values),
        floor,
        user: model.users.text(user).into_owned(),
        liked: liked.into_iter().map(named).collect(),
        recommended: predictor
            .recommend_index(user, TOP, false)
            .into_iter()
            .map(|best| named((best.item, best.score as f32)))
            .collect(),
    })
}

/// Of the third of users with a middling number of ratings the one whose mean
/// rating lies nearest the middle of the scale: most lists of others are cut
/// off at its top.
fn typical_user(train: &Ratings) -> u32 {
    let counts = train.user_counts();
    let mut sums = vec![0.0_f64; counts.len()];
    for (user, _, value) in train.iter() {
        if let Some(sum) = sums.get_mut(user as usize) {
            *sum += f64::from(value);
        }
    }
    // User, number of ratings, distance of their mean from the middle.
    let mut users: Vec<(u32, u64, f64)> = (0..)
        .zip(counts.into_iter().zip(sums))
        .filter(|&(_, (count, _))| count > 0)
        .map(|(user, (count, sum))| (user, count, (sum / count as f64 - MIDDLE).abs()))
        .collect();
    users.sort_by_key(|&(_, count, _)| count);
    let third = users.len() / 3;
    let middling = users.into_iter().skip(third).take(third.max(1));
    middling.min_by(|a, b| a.2.total_cmp(&b.2)).map_or(0, |(user, ..)| user)
}

fn print(report: &Report, streams: &mut Streams) -> Result<()> {
    let row = |name: &str, rmse: f64| vec![name.to_owned(), format!("{rmse:.4}")];
    let errors = [
        vec!["Error on ratings that it never saw".to_owned(), "RMSE".to_owned()],
        row("  the mean rating for all", report.mean_rmse),
        row("  a bias for each user and item", report.bias_rmse),
        row("  this model", report.test_rmse),
        row("  the noise in the ratings: none can do better", report.floor),
    ];
    let list = |title: String, items: &[Named]| {
        let rows: Vec<Vec<String>> = items
            .iter()
            .map(|named| vec![format!("  {}", named.item), format!("{:.2}", named.rating)])
            .collect();
        std::iter::once(title).chain(table(&rows)).collect::<Vec<_>>()
    };
    let liked = list(format!("{} liked", report.user), &report.liked);
    let recommended =
        list(format!("and may like, of what {} has not rated", report.user), &report.recommended);
    for line in table(&errors).into_iter().chain([String::new()]).chain(liked).chain(recommended) {
        streams.line(line)?;
    }
    Ok(())
}
