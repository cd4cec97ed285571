//! `deltav train`: ratings in, a model out.

mod reading;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use super::args::{fraction, one_of};
use super::checkpoints::Checkpoints;
use super::help;
use super::input::{self, TrainingReading, at_most_one_stdin};
use super::interrupt;
use super::method::{Device, Method};
use super::processes::{Processes, Sent};
use super::render::Renderer;
use super::report;
use super::streams::Streams;
use super::summary::{self, Clock};
use super::table::{bytes, count, seconds};
use crate::backend::{Backend, Residence};
use crate::config::{Checked, Keep, TrainConfig};
use crate::data::formats::is_known_extension;
use crate::data::{Column, HoldoutBy, Ids, ItemNames, read_item_names};
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Saved};
use crate::model::Model;
use crate::output::Output;
use crate::train::{Controls, Dataset, Plan, Shape, Team, train_with};
use crate::world::together::of_first;
use crate::world::{Share, World};

/// Train a model on ratings
#[derive(Debug, Args)]
#[command(after_help = help::TRAIN_EXAMPLES)]
pub(super) struct Train {
    /// Ratings, a user, an item and a rating a line: files, folders, or - for standard input
    #[arg(value_name = "FILE", required = true, long_help = help::inputs())]
    pub(super) files: Vec<PathBuf>,

    /// The model's file [default: the name of the only FILE, else ratings, with .safetensors, in this folder]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Replace an existing file
    #[arg(short, long)]
    force: bool,

    /// Also write a report of the model: one HTML file with pictures, as `deltav report` makes them
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Events as JSON on stdout, one object a line
    #[arg(long)]
    pub(super) json: bool,

    /// Ratings to measure each epoch with; never trained on; give it once for each file
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub(super) test: Vec<PathBuf>,

    /// Set this part of the ratings aside and measure each epoch with it
    #[arg(long, value_name = "FRACTION", value_parser = fraction, allow_negative_numbers = true, help_heading = "Data")]
    pub(super) holdout: Option<f64>,

    /// Which part --holdout sets aside: any ratings, a share of each user's, or the newest
    #[arg(long, value_name = "WHICH", value_parser = one_of(&HoldoutBy::ALL, HoldoutBy::name), requires = "holdout", help_heading = "Data")]
    holdout_by: Option<HoldoutBy>,

    /// Ratings to validate with: measured each epoch, never trained on; give it once for each file
    #[arg(long, value_name = "FILE", conflicts_with = "holdout", help_heading = "Data")]
    pub(super) valid: Vec<PathBuf>,

    /// The items' names, an id and a name a line, such as MovieLens' movies.csv: kept in the model
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    names: Option<PathBuf>,

    /// Column of --names with the name, by name or by number [default: title, name or the second]
    #[arg(long, value_name = "COLUMN", requires = "names", help_heading = "Data")]
    name_column: Option<Column>,

    #[command(flatten, next_help_heading = "Data")]
    pub(super) reading: TrainingReading,

    #[command(flatten, next_help_heading = "Model and method")]
    method: Method,

    #[command(flatten, next_help_heading = "End")]
    end: End,

    #[command(flatten, next_help_heading = "Checkpoints")]
    checkpoints: Checkpoints,

    #[command(flatten, next_help_heading = "Device")]
    pub(super) device: Device,

    #[command(flatten, next_help_heading = "Processes")]
    pub(super) processes: Processes,

    /// The whole call, with what the environment and a file say as flags.
    #[arg(skip)]
    pub(super) call: Vec<OsString>,
}

/// When training ends.
#[derive(Debug, Clone, Copy, Args)]
struct End {
    /// Whose factors the model has: best by validation RMSE, or last [default: best with --holdout or --valid]
    #[arg(long, value_name = "EPOCH", value_parser = one_of(&Keep::ALL, Keep::name))]
    keep: Option<Keep>,

    /// Stop after N epochs without a lower validation RMSE
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    patience: Option<u32>,

    /// Stop with the epoch that is running after this time
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    max_seconds: Option<f64>,
}

impl Train {
    pub(super) fn run(mut self, streams: &mut Streams, world: &dyn World) -> Result<()> {
        self.device.local = world.local();
        let config = self.config()?;
        let inputs = self.at_most_one_stdin()?;
        if self.report.is_some() && world.processes() > 1 {
            return Err(Error::usage(
                "--report is drawn by one process",
                "make it of the model, with deltav report",
            ));
        }
        let out = self.out.clone().unwrap_or_else(|| default_out(&self.files));
        self.checkpoints.apart_from(&out, &inputs)?;
        // Of several processes one writes; where it can't, it ends the others.
        let writes = world.process() == 0;
        let create =
            |path: &Path| Output::create(path, self.force)?.apart_from(inputs.iter().map(|path| &**path));
        let mut output = writes.then(|| create(&out)).transpose()?;
        let report = self.report.as_deref().filter(|_| writes).map(create).transpose()?;
        let (checkpoint, resume) = if writes { self.checkpoints.open(self.force)? } else { (None, None) };
        let initial = self.checkpoints.initial()?;
        self.device.limit_threads();

        let mut renderer = Renderer::new(streams, self.json);
        let mut clock = Clock::start();
        let read = [&self.files[..], &self.valid, &self.test].concat();
        let meter = renderer.reading(&read);
        world.beats().also(&meter);
        let (data, share, mut notices) = self.data(&meter, world)?;
        let took = clock.mark("reading");
        renderer.detail(|| format!("read {} in {}", bytes(meter.bytes()), seconds(took)));
        renderer.busy("preparing");
        let team = share.as_ref().map(|share| Team { world, share });
        let names = if writes { self.names(&data.train.items, &mut notices)? } else { None };
        if let Some(output) = &mut output {
            output.reserve(match &team {
                Some(team) => team.estimate_bytes(&config, &data, names.as_ref()),
                None => Model::estimate_bytes(&config, &data.train, names.as_ref()),
            })?;
        }
        let mut backend = self.device.open(&mut renderer)?;
        if renderer.is_verbose() {
            backend.set_mapping(config.config().kernels.mapping());
            renderer.lines(&decisions(&config, &data, share.as_ref(), &*backend)?);
        }
        notices.extend(self.checkpoints.notice(resume.is_some()));
        for notice in notices {
            renderer.event(&Event::Notice(notice));
        }
        let mut last = resume.as_ref().map(|from| (from.path().to_owned(), from.reached()));
        let listening = interrupt::listening();
        let interrupt = Some(listening.interrupt());
        let controls = Controls { interrupt, checkpoint, resume, initial: initial.as_ref(), team };
        let mut epochs = Vec::new();
        let mut end = None;
        let (beats, mut sent) = (world.beats(), Sent::default());
        let mut observer = |event: &Event| {
            beats.beat();
            if matches!(event, Event::Epoch(_)) {
                sent.epoch(world.sent());
            }
            match event {
                Event::Epoch(epoch) if report.is_some() => epochs.push(*epoch),
                Event::Checkpointed(saved) => last = Some((saved.path.clone(), saved.reached)),
                Event::Loaded(_) => drop(clock.mark("preparing")),
                Event::Stopped(stopped) => end = Some(stopped.clone()),
                _ => {}
            }
            renderer.event(event);
        };
        let trained = train_with(config, &data, &mut *backend, &mut observer, controls);
        drop(listening);
        clock.mark("training");
        let data = match &team {
            Some(team) if has_model(&trained) => {
                let told = sent.told(world)?;
                renderer.detail(|| told);
                data.measured(team)?
            }
            _ => data,
        };
        let Some(output) = output else {
            // Who ends with an error ends them all: not before the first process has saved.
            if has_model(&trained) {
                of_first(world, 0u8)?;
            }
            return trained.map(drop);
        };
        let (mut model, diverged) = match trained {
            Ok(model) => (model, None),
            Err(error) => self.rescued(error)?,
        };
        model.item_names = names;
        self.record(&mut model.metadata.settings);
        let path = output.path().to_owned();
        let size = model.save_to(output).map_err(|error| error.resumable(last))?;
        of_first(world, 0u8)?;
        clock.mark("saving");
        renderer.lines(&summary::lines(&model, &data, end.as_ref(), &clock));
        renderer.event(&Event::Saved(Saved { path: path.clone(), bytes: size }));
        if let Some(error) = diverged {
            return Err(error);
        }
        if let Some(output) = report {
            renderer.busy("drawing the report");
            let plan = Plan::new(&self.config()?, &Shape::of(&data, model.kind), true, &*backend)?;
            let run = report::Run { call: &self.call, epochs, plan, file_bytes: size };
            let saved = report::of_run(&path, &model, &data, run, &mut *backend, output)?;
            renderer.event(&Event::Saved(saved));
        }
        renderer.next_step(&path, &model);
        renderer.finish()
    }

    /// The settings.
    pub(super) fn config(&self) -> Result<Checked> {
        let End { keep, patience, max_seconds } = self.end;
        let config = TrainConfig { keep, patience, max_seconds, ..self.method.config() };
        if self.holdout.is_none() && self.valid.is_empty() {
            config.check_without_validation()?;
        }
        config.check()
    }

    /// Which ratings are trained on, as the model keeps it: without paths, so that equal runs write
    /// equal bytes.
    fn record(&self, settings: &mut BTreeMap<String, String>) {
        let holdout = self.holdout.map(|fraction| ("holdout", fraction.to_string()));
        let by = self.holdout_by.map(|by| ("holdout_by", by.name().to_owned()));
        let pairs = [holdout, by].into_iter().flatten().chain(self.reading.settings());
        settings.extend(pairs.map(|(key, value)| (key.to_owned(), value)));
    }

    /// Every file to read, of which standard input is one at most.
    pub(super) fn at_most_one_stdin(&self) -> Result<Vec<PathBuf>> {
        let inputs = [
            ("FILE", &*self.files),
            ("--valid", &*self.valid),
            ("--test", &*self.test),
            ("--names", self.names.as_slice()),
        ];
        at_most_one_stdin(&inputs)?;
        Ok(inputs.into_iter().flat_map(|(_, paths)| input::files(paths)).collect())
    }

    /// Whether timestamps are read.
    pub(super) fn times(&self) -> bool {
        self.holdout_by == Some(HoldoutBy::Time)
    }

    /// What to save of a run that diverged: the best epoch before, if the user
    /// named a file for it. The error is reported all the same.
    fn rescued(&self, mut error: Error) -> Result<(Model, Option<Error>)> {
        if let Error::Diverged { kept, .. } = &mut error {
            if self.out.is_none() {
                *kept = None;
            }
            if let Some(model) = kept.as_deref().cloned() {
                return Ok((model, Some(error)));
            }
        }
        Err(error)
    }

    /// Reads the items' names and notes what is odd of them.
    fn names(&self, items: &Ids, notices: &mut Vec<String>) -> Result<Option<Ids>> {
        let Some(path) = &self.names else { return Ok(None) };
        let ItemNames { names, unnamed, recoded, contradicted } =
            read_item_names(path, self.name_column.as_ref(), items)?;
        if unnamed > 0 {
            notices.push(format!("{} without a name in {}", count(unnamed, "item"), path.display()));
        }
        if contradicted > 0 {
            let lines = count(contradicted, "line");
            notices.push(format!(
                "{lines} of {} with another name for an item that has one: the first is kept; if these are no \
                 names, pass --name-column",
                path.display()
            ));
        }
        if recoded > 0 {
            let which = format!("{} of {}", count(recoded, "name"), path.display());
            notices.push(format!("{which} not in UTF-8, read as Windows-1252"));
        }
        Ok(Some(names))
    }
}

/// Whether there is a model, as on all of several processes: its own, or what was rescued of a run that
/// diverged. Another error may be one process's alone, for which the others wait: it ends them at once.
fn has_model(trained: &Result<Model>) -> bool {
    matches!(trained, Ok(_) | Err(Error::Diverged { kept: Some(_), .. }))
}

/// What was decided before training: the device, what its memory holds, which kernels train.
fn decisions(
    config: &Checked,
    data: &Dataset,
    share: Option<&Share>,
    backend: &dyn Backend,
) -> Result<Vec<String>> {
    let shape = match share {
        Some(share) => Shape::of_share(data, share, config.model),
        None => Shape::of(data, config.model),
    };
    let plan = Plan::new(config, &shape, true, backend)?;
    let kernels = if plan.fused { "fused" } else { "textbook" };
    let place = match (plan.memory.residence, plan.page_bytes) {
        (_, Some(page)) => format!("ratings streamed to the device, {} at a time", bytes(page)),
        (Residence::Device, None) => "all on the device".to_owned(),
        (Residence::Process | Residence::Computer, None) => "in the computer's memory".to_owned(),
    };
    Ok(vec![
        format!("device: {}", plan.device),
        format!("kernels: {kernels}, {} for what is gathered", config.config().precision.name()),
        format!("memory: {} for the training, {place}", bytes(plan.device())),
    ])
}

/// The model's file if none is named.
fn default_out(files: &[PathBuf]) -> PathBuf {
    let mut out = stem_of(files);
    out.as_mut_os_string().push(".safetensors");
    out
}

/// What a file made of ratings is called in this folder, without its extension: the stem of their only file.
pub(super) fn stem_of(files: &[PathBuf]) -> PathBuf {
    let only = match files {
        [file] if file != Path::new("-") => file.file_name(),
        _ => None,
    };
    let mut stem = PathBuf::from(only.unwrap_or("ratings".as_ref()));
    while stem.extension().is_some_and(|extension| is_known_extension(&extension.to_string_lossy())) {
        stem.set_extension("");
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_the_first_process_with_an_error_of_its_own() {
        let diverged = Error::Diverged {
            epoch: 1,
            optimizer: "gd",
            settings: String::new(),
            remedy: String::new(),
            kept: None,
        };
        let device = || Error::device("the GPU is gone", "try again");
        for own in [diverged, device(), Error::usage("a", "b"), device().resumable(None)] {
            assert!(!has_model(&Err(own)));
        }
    }

    #[test]
    fn the_model_is_named_after_the_ratings() {
        for (file, out) in [
            ("data/ratings.csv", "ratings.safetensors"),
            ("u1.train.csv.gz", "u1.train.safetensors"),
            ("RATINGS.CSV.GZ", "RATINGS.safetensors"),
            ("u.data", "u.safetensors"),
            ("a.csv.zst", "a.safetensors"),
            ("data/2025/", "2025.safetensors"),
            ("-", "ratings.safetensors"),
            ("./-", "-.safetensors"),
            ("..", "ratings.safetensors"),
            ("ratings", "ratings.safetensors"),
            (".csv", ".csv.safetensors"),
            ("a.b", "a.b.safetensors"),
        ] {
            assert_eq!(default_out(&[file.into()]), Path::new(out), "{file}");
        }
        assert_eq!(default_out(&["a.csv".into(), "b.csv".into()]), Path::new("ratings.safetensors"));
    }
}
