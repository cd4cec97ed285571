//! A model's report: one HTML file with pictures of what it learned, how well it predicts, and how
//! it was made.
//!
//! [`Report::new`] computes the numbers, each once; [`Report::html`] draws them. The page stands
//! alone: it asks for nothing from anywhere, and has no program in it. It has no clock and no path
//! in it but what the caller passes, so that the same model and ratings give the same bytes.
//!
//! ```
//! use deltav::backend::cpu::CpuBackend;
//! use deltav::config::TrainConfig;
//! use deltav::data::planted::Planted;
//! use deltav::report::{About, Part, Report};
//! use deltav::train::{Dataset, train};
//!
//! let split = Planted::new(60, 40, 1_200).generate()?.split(0.1, 0)?;
//! let data = Dataset { train: split.train, valid: None, test: Some(split.test) };
//! let config = TrainConfig { rank: 4, ..TrainConfig::default() }.check()?;
//! let mut cpu = CpuBackend::new(None)?;
//! let model = train(config, &data, &mut cpu, &mut deltav::event::Silent)?;
//!
//! let predictor = model.predictor();
//! let about = About { measured: data.test.as_ref().map(|test| (test, Part::Test)), ..About::default() };
//! let html = Report::new("ratings", &predictor, about, &mut cpu)?.html()?;
//! assert!(html.starts_with("<!DOCTYPE html>"));
//! # Ok::<(), deltav::error::Error>(())
//! ```

mod chart;
mod factors;
mod figures;
mod html;
mod lists;
mod making;
mod map;
mod measured;
mod ranked;
mod repeat;
mod scale;
mod summary;
mod text;

use crate::backend::Backend;
use crate::data::Held;
use crate::error::Result;
use crate::event::Epoch;
use crate::model::{Model, Predictor};

use self::factors::{Map, Nearest, Spectrum};
use self::html::{Section, note};
use self::lists::Lists;
use self::measured::Measured;
use self::ranked::Ranked;

pub use measured::Part;
pub use repeat::Repeated;

/// What a report can tell beyond what the model's file knows.
#[derive(Debug, Clone, Default)]
pub struct About<'a> {
    /// Ratings to measure the model on, with the model's indices, and what they are.
    pub measured: Option<(&'a Held, Part)>,
    /// The epochs of the run, in their order, as events told them: for the error by time.
    pub epochs: Vec<Epoch>,
    /// The command line that trained the model.
    pub command: Option<String>,
    /// What the run took of memory, in bytes, by what it was for.
    pub memory: Vec<(String, u64)>,
    /// Size of the model's file in bytes.
    pub file_bytes: Option<u64>,
    /// What else must be known, a line each.
    pub notes: Vec<String>,
}

/// The numbers of a report.
#[derive(Debug)]
pub struct Report<'a> {
    title: String,
    model: &'a Model,
    predictor: &'a Predictor<'a>,
    epochs: Vec<Epoch>,
    command: Option<String>,
    memory: Vec<(String, u64)>,
    file_bytes: Option<u64>,
    notes: Vec<String>,
    average: bool,
    measured: Option<Measured>,
    lists: Option<Lists>,
    ranked: Option<Ranked>,
    spectrum: Option<Spectrum>,
    map: Option<Map>,
    nearest: Vec<Nearest>,
    least_ratings: u64,
}

impl<'a> Report<'a> {
    /// Computes all numbers. `title`: what the model is called, such as its file's name.
    ///
    /// The same for any number of threads and on any device. Of very many users, some evenly spaced
    /// ones get lists, which the report says.
    ///
    /// # Errors
    /// Those of the device.
    pub fn new(
        title: impl Into<String>,
        predictor: &'a Predictor<'a>,
        about: About<'_>,
        backend: &mut dyn Backend,
    ) -> Result<Self> {
        let About { measured, epochs, command, memory, file_bytes, notes } = about;
        let model = predictor.model();
        let popular = factors::by_popularity(predictor);
        Ok(Self {
            title: title.into(),
            model,
            predictor,
            epochs,
            command,
            memory,
            file_bytes,
            notes,
            average: model.metadata.settings.contains_key("average"),
            measured: measured.and_then(|(held, part)| Measured::new(predictor, held, part)),
            lists: Lists::new(predictor, backend)?,
            ranked: match measured {
                Some((held, part)) => Ranked::new(predictor, held, part)?,
                None => None,
            },
            spectrum: Spectrum::new(predictor),
            map: Map::new(predictor, &popular),
            nearest: factors::nearest(predictor, &popular)?,
            least_ratings: factors::least_ratings(predictor, &popular),
        })
    }

    /// The page, in UTF-8.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) if a chart can't be drawn, which is a bug.
    pub fn html(&self) -> Result<String> {
        let accuracy = match &self.measured {
            Some(measured) => Section {
                before: summary::measured_on(measured.part),
                figures: figures::errors(measured)?,
                ..section("accuracy", "Accuracy")
            },
            None => Section {
                before: note(
                    "Nothing to measure with. Pass ratings that were not trained on (`deltav report MODEL --test \
                     FILE`), or those that the model was trained from (`--ratings FILE`): then this section has the \
                     distributions of ratings and predictions, residuals, errors by user and by item, and the \
                     calibration of predictions and of their intervals.",
                ),
                ..section("accuracy", "Accuracy")
            },
        };
        let sections = [
            Section { before: summary::glance(self), ..section("glance", "At a glance") },
            Section { figures: figures::learning(self)?, ..section("learning", "Learning") },
            accuracy,
            Section { figures: figures::lists(self)?, ..section("lists", "Recommendations") },
            Section { figures: figures::taste(self)?, ..section("taste", "What was learned") },
            making::making(self),
        ];
        Ok(html::page(&format!("Report of {}", self.title), &summary::subtitle(self), &sections))
    }

    /// An item's name, or its id.
    fn name_of(&self, item: u32) -> String {
        let id = || self.model.items.text(item);
        self.model.item_name(item).filter(|name| !name.trim().is_empty()).unwrap_or_else(id).into_owned()
    }
}

fn section(id: &'static str, title: &'static str) -> Section {
    Section { id, title, ..Section::default() }
}

#[cfg(test)]
mod tests;
