//! Deltav, as a library.

use std::path::{Path, PathBuf};

use deltav::backend::{DeviceChoice, OpenOptions, open};
use deltav::config::{Kernels, ModelKind, TrainConfig};
use deltav::data::{Held, Ratings, ReadOptions, read_ratings};
use deltav::event::{Event, Silent};

use deltav::model::{Model, TopN, Unknown, evaluate};
use deltav::train::{Dataset, train};

use crate::Failure;
use crate::data::Set;
use crate::wire::{Done, Job};
use crate::worker::timed;

/// The ratings, and the last model for lists.
pub struct Ours {
    data: Dataset,
    test: Held,
    folder: PathBuf,
    listing: Option<(usize, Model)>,
}

impl Ours {
    pub fn new(set: &Set, folder: &Path) -> Result<Self, Failure> {
        let (train, test): (Ratings, Held) = set.ratings()?;
        let data = Dataset { train, valid: None, test: None };
        Ok(Self { data, test, folder: folder.to_owned(), listing: None })
    }

    pub fn run(&mut self, job: &Job) -> Result<Done, Failure> {
        match job.work.as_str() {
            "curve" => self.curve(job),
            "train" => self.train(job),
            "load" => self.load(),
            "recommend" => self.recommend(job),
            other => Err(format!("deltav has no work {other}").into()),
        }
    }

    fn config(job: &Job) -> Result<TrainConfig, Failure> {
        let mut config = TrainConfig { rank: job.rank, seed: job.seed, ..TrainConfig::default() };
        if job.epochs > 0 {
            config.epochs = Some(job.epochs);
        }
        if let Some(optimizer) = &job.optimizer {
            config.optimizer.clone_from(optimizer);
        }
        if let Some(name) = &job.model {
            let kind = ModelKind::ALL.into_iter().find(|kind| kind.name() == name);
            config.model = Some(kind.ok_or("no such model")?);
        }
        if let Some(name) = &job.kernels {
            let kernels = Kernels::ALL.into_iter().find(|kernels| kernels.name() == name);
            config.kernels = kernels.ok_or("no such kernels")?;
        }
        Ok(config)
    }

    fn device(job: &Job) -> Result<Box<dyn deltav::backend::Backend>, Failure> {
        let choice: DeviceChoice = job.device.as_deref().unwrap_or("cpu").parse()?;
        let options = OpenOptions { threads: Some(job.threads.max(1)), ..OpenOptions::default() };
        Ok(open(choice, &options)?.backend)
    }

    /// Test RMSE by epoch: a run of fewer epochs ends with the same bits.
    fn curve(&mut self, job: &Job) -> Result<Done, Failure> {
        let mut backend = Self::device(job)?;
        let data = Dataset { test: Some(self.test.clone()), ..self.data.clone() };
        let mut curve = Vec::new();
        train(Self::config(job)?.check()?, &data, &mut *backend, &mut |event: &Event| {
            if let Event::Epoch(epoch) = event {
                curve.extend(epoch.test_rmse);
            }
        })?;
        Ok(Done { curve, ..Done::default() })
    }

    /// The whole of `train`: the problem's layout, the epochs, the model. No test part.
    fn train(&mut self, job: &Job) -> Result<Done, Failure> {
        let mut backend = Self::device(job)?;
        let config = Self::config(job)?.check()?;
        let (model, wall, cpu) = timed(|| train(config, &self.data, &mut *backend, &mut Silent));
        let model = model?;
        let accuracy = evaluate(&model.predictor(), self.test.iter(), Unknown::Mean)?;
        let rmse = accuracy.get("rmse").ok_or("nothing to test with")?;
        Ok(Done { wall, cpu, rmse, clipped: rmse, ..Done::default() })
    }

    fn load(&self) -> Result<Done, Failure> {
        let path = self.folder.join("train.csv");
        let (ratings, wall, cpu) = timed(|| read_ratings([&path], &ReadOptions::default()));
        if ratings?.len() != self.data.train.len() {
            return Err("not all ratings were read".into());
        }
        Ok(Done { wall, cpu, ..Done::default() })
    }

    /// The ten best unseen items of every user.
    fn recommend(&mut self, job: &Job) -> Result<Done, Failure> {
        let mut backend = Self::device(job)?;
        if self.listing.as_ref().is_none_or(|(rank, _)| *rank != job.rank) {
            let config =
                TrainConfig { model: Some(ModelKind::Biased), epochs: Some(2), ..Self::config(job)? };
            self.listing = Some((job.rank, train(config.check()?, &self.data, &mut *backend, &mut Silent)?));
        }
        let Some((_, model)) = &self.listing else { return Err("no model".into()) };
        let predictor = model.predictor();
        let users: Vec<u32> = (0..model.users.len() as u32).collect();
        let query = TopN { n: 10, ..TopN::default() };
        let mut lists = 0;
        let (counts, wall, cpu) = timed(|| {
            predictor.top_n(&users, &query, &mut *backend, |block| {
                lists += block.len();
                Ok(())
            })
        });
        counts?;
        if lists != users.len() {
            return Err("not all users have a list".into());
        }
        Ok(Done { wall, cpu, ..Done::default() })
    }
}
