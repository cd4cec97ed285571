//! `deltav report`: a model in pictures, one HTML file.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::help;
use super::input::{
    TrainingReading, at_most_one_stdin, far_outside, files, outside_note, read_held, some_known,
};
use super::method::Device;
use super::progress::{Standing, read_shown};
use super::streams::Streams;
use super::table::bytes;
use crate::backend::Backend;
use crate::data::Held;
use crate::data::text::shell_word;
use crate::error::Result;
use crate::event::{Epoch, Saved};
use crate::model::{Model, Predictor};
use crate::output::Output;
use crate::report::{About, Part, Repeated, Report as Page};
use crate::train::{Dataset, Plan};

/// Write a report of a model: what it learned and how well it predicts, in pictures, one HTML file
#[derive(Debug, Args)]
#[command(after_help = help::REPORT_EXAMPLES)]
pub(super) struct Report {
    /// A model that `deltav train` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,

    /// The report's file [default: the model's name with .html, in this folder]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace an existing file
    #[arg(short, long)]
    force: bool,

    /// The files that the model was trained from: it is measured on what was held out of them; give it once for each file
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    ratings: Vec<PathBuf>,

    /// Ratings to measure the model on, which were not trained on; give it once for each file
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    test: Vec<PathBuf>,

    #[command(flatten, next_help_heading = "Data")]
    reading: TrainingReading,

    #[command(flatten, next_help_heading = "Device")]
    device: Device,
}

impl Report {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let read = [("--ratings", &*self.ratings), ("--test", &*self.test)];
        at_most_one_stdin(&read)?;
        let inputs: Vec<PathBuf> = read.iter().flat_map(|(_, paths)| files(paths)).collect();
        let out = self.out.clone().unwrap_or_else(|| default_out(&self.model));
        let inputs = inputs.iter().chain([&self.model]).map(|path| &**path);
        let output = Output::create(out, self.force)?.apart_from(inputs)?;
        self.device.limit_threads();
        let model = Model::load(&self.model)?;
        let file_bytes = std::fs::metadata(&self.model).ok().map(|file| file.len());
        let predictor = model.predictor();

        let mut notes = Vec::new();
        let mut held = self.repeated(&predictor, &mut notes, streams)?;
        if let Some(test) = self.test(&predictor, streams)? {
            held = Some((test, Part::Test));
        }
        let rank = model.rank as u64;
        let pairs = (model.users.len() as u64).saturating_mul(model.items.len() as u64);
        let mut backend = self.device.open_for(pairs.saturating_mul(rank))?;
        let measured = held.as_ref().map(|(held, part)| (held, *part));
        let about = About { measured, file_bytes, notes, ..About::default() };
        let bar = streams.draws().then(|| Standing::busy("drawing"));
        let page = Page::new(title(&self.model), &predictor, about, &mut *backend)?;
        let Saved { path, bytes: size } = write(&page, output)?;
        drop(bar);
        streams.note(format!("saved {}, {}", path.display(), bytes(size)));
        if held.is_none() {
            streams
                .note("note: nothing to measure with: pass --test FILE, or --ratings FILE, for the errors");
        }
        Ok(())
    }

    /// What --ratings has to measure with.
    fn repeated(
        &self,
        predictor: &Predictor<'_>,
        notes: &mut Vec<String>,
        streams: &mut Streams,
    ) -> Result<Option<(Held, Part)>> {
        if self.ratings.is_empty() {
            return Ok(None);
        }
        let ratings = read_shown(&self.ratings, streams.draws(), streams, |meter| {
            self.reading.read(&self.ratings, false, meter)
        })?;
        let Repeated { same, held, part } = Repeated::of(predictor, &ratings);
        if !same {
            some_known(&self.ratings, &held, predictor.known(), [&ratings.users, &ratings.items])?;
            let line = "The ratings passed as `--ratings` are not those that the model was trained on, or were read \
                        with other flags: their hash differs.";
            streams.note(
                "note: --ratings are not those that the model was trained on, or were read with other flags: their \
                 hash differs",
            );
            notes.push(line.to_owned());
        }
        Ok(Some((held, part)))
    }

    fn test(&self, predictor: &Predictor<'_>, streams: &mut Streams) -> Result<Option<Held>> {
        if self.test.is_empty() {
            return Ok(None);
        }
        let model = predictor.model();
        let (options, ids) = (self.reading.options(), [&model.users, &model.items]);
        let caching = &self.reading.caching;
        let held = read_shown(&self.test, streams.draws(), streams, |meter| {
            read_held(&self.test, &options, caching, ids, predictor.known(), meter)
        })?;
        let outside = far_outside(&held.value, &model.metadata);
        if let Some(note) = outside_note(held.len() as u64, outside, &model.metadata) {
            streams.note(note);
        }
        Ok(Some(held))
    }
}

/// What a run knows that its model's file does not.
pub(super) struct Run<'a> {
    /// The words of the call, the program's first.
    pub(super) call: &'a [OsString],
    pub(super) epochs: Vec<Epoch>,
    pub(super) plan: Plan,
    pub(super) file_bytes: u64,
}

/// The most training ratings that a run is measured on: of all of them, memory would be taken that no
/// plan knows.
const MOST_TRAINED: usize = 1 << 18;

/// Writes the report of a model that was trained just now: measured on the test ratings, or else
/// on the validation part, or else on the training ratings.
pub(super) fn of_run(
    path: &Path,
    model: &Model,
    data: &Dataset,
    run: Run<'_>,
    backend: &mut dyn Backend,
    output: Output,
) -> Result<Saved> {
    let given = |held: &'_ Option<Held>| held.as_ref().is_some_and(|held| !held.is_empty());
    let mut notes = Vec::new();
    let trained;
    let measured = match (&data.test, &data.valid) {
        (Some(test), _) if given(&data.test) => (test, Part::Test),
        (_, Some(valid)) if given(&data.valid) => (valid, Part::Validation),
        _ => {
            let of = &data.train;
            let step = of.len().div_ceil(MOST_TRAINED).max(1);
            let some = |indices: &[u32]| indices.iter().step_by(step).copied().map(Some).collect();
            let value = of.value.iter().step_by(step).copied().collect();
            trained = Held { user: some(&of.user), item: some(&of.item), value };
            if step > 1 {
                notes.push(format!("Measured on one of {step} training ratings, evenly spaced."));
            }
            (&trained, Part::Training)
        }
    };
    let Run { call, epochs, plan, file_bytes } = run;
    let words: Vec<String> = call.iter().skip(1).map(|word| shell_word(&word.to_string_lossy())).collect();
    let about = About {
        measured: Some(measured),
        epochs,
        command: Some(format!("deltav {}", words.join(" "))),
        memory: vec![
            ("training, planned, of the computer".to_owned(), plan.host(true)),
            ("training, planned, of the device".to_owned(), plan.device()),
        ],
        file_bytes: Some(file_bytes),
        notes,
    };
    let predictor = model.predictor();
    write(&Page::new(title(path), &predictor, about, backend)?, output)
}

fn write(page: &Page<'_>, mut output: Output) -> Result<Saved> {
    let html = page.html()?;
    output.write_all(html.as_bytes()).map_err(|source| output.io_error(source))?;
    let path = output.path().to_owned();
    Ok(Saved { bytes: output.commit()?, path })
}

/// The model's file without its folders.
fn title(model: &Path) -> String {
    model.file_name().unwrap_or(model.as_os_str()).to_string_lossy().into_owned()
}

fn default_out(model: &Path) -> PathBuf {
    let mut name = PathBuf::from(model.file_stem().unwrap_or("report".as_ref()));
    name.as_mut_os_string().push(".html");
    name
}
