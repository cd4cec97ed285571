//! `deltav doctor`: whether this machine trains, and why its GPU does not.

mod heard;
mod page;

use clap::Args;
use serde::Serialize;

use self::page::Page;
use super::args::threads;
use super::events::SCHEMA;
use super::streams::Streams;
use crate::backend::cpu::CpuBackend;
use crate::backend::{Adapter, AdapterKind, Backend, DeviceChoice, OpenOptions, adapters, open, pick};
use crate::doctor::{
    Command, DeviceCheck, Diagnosis, Facts, KernelCheck, Surroundings, check_kernels, diagnose,
    training_speed,
};
use crate::error::{Error, Result};

/// Say whether this machine trains, why there is no GPU, and what to type; try every kernel
#[derive(Debug, Args)]
#[command(after_help = "\
Looks at the system's drivers, then runs every kernel on every device and compares with the CPU.
Ends with one verdict: `ready`, or the one thing to fix. Exits with 0 where the device of
--device trains, and with 69 where it does not.")]
pub(super) struct Doctor {
    /// The device that is to train: auto, gpu, gpu:N (see `deltav devices`), cpu or software
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,

    /// Threads of the CPU [default: one a core]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = threads)]
    threads: Option<usize>,

    /// JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// A device and what came of trying it.
struct Tried {
    /// `gpu:0`, or `cpu`.
    name: String,
    /// In words.
    device: String,
    software: bool,
    speed: Result<f64>,
    /// `None` for the CPU, which the others are compared with.
    check: Option<Result<DeviceCheck>>,
}

impl Tried {
    /// Why it can't train, if it can't.
    fn trouble(&self) -> Option<String> {
        let failed = |error: &Error| Some(error.to_string());
        match (&self.check, &self.speed) {
            (Some(Err(error)), _) | (_, Err(error)) => failed(error),
            (Some(Ok(check)), _) => check
                .worst()
                .filter(|worst| !worst.agrees())
                .map(|worst| format!("kernel {} computes something else than the CPU", worst.kernel)),
            (None, Ok(_)) => None,
        }
    }
}

/// The last line: what follows of it all.
#[derive(Debug, Serialize)]
struct Verdict {
    ready: bool,
    /// What trains, as `--device` would name it; `None` where nothing that was asked for does.
    device: Option<String>,
    /// In a sentence.
    what: String,
    /// Why there is no GPU to train on.
    no_gpu: Option<Diagnosis>,
}

#[derive(Serialize)]
struct FactsLine<'a> {
    schema: u32,
    facts: &'a Facts,
}

#[derive(Serialize)]
struct KernelLine<'a> {
    schema: u32,
    device: &'a str,
    kernel: &'a str,
    calls: u32,
    difference: Option<f64>,
    agrees: bool,
    device_seconds: f64,
    cpu_seconds: f64,
}

#[derive(Serialize)]
struct DeviceLine<'a> {
    schema: u32,
    device: &'a str,
    name: &'a str,
    software: bool,
    ratings_per_second: Option<f64>,
    trouble: Option<String>,
}

#[derive(Serialize)]
struct VerdictLine<'a> {
    schema: u32,
    verdict: &'a Verdict,
}

impl Doctor {
    pub(super) fn run(self, streams: &mut Streams) -> Result<()> {
        let (adapters, loader) = heard::asked(adapters);
        let facts = Surroundings::here().facts(loader);
        let no_gpu = diagnose(&facts, &adapters);
        if self.json {
            streams.json(&FactsLine { schema: SCHEMA, facts: &facts })?;
        } else {
            Page(streams).facts(&facts, &adapters)?;
        }
        streams.finish()?;
        let chosen = pick(self.device, &adapters, 0);
        let cpu = self.tried_cpu()?;
        let mut gpus = Vec::new();
        for (number, adapter) in adapters.iter().enumerate() {
            let is_chosen = matches!(chosen, Ok(Some(one)) if one == number);
            if is_chosen || self.device == DeviceChoice::Auto {
                gpus.push(self.tried(number, adapter));
            }
        }
        let verdict = verdict(self.device, chosen, &cpu, &gpus, no_gpu);
        if self.json {
            lines(streams, &cpu, &gpus)?;
            streams.json(&VerdictLine { schema: SCHEMA, verdict: &verdict })?;
        } else {
            let mut page = Page(streams);
            page.kernels(&cpu, &gpus)?;
            page.verdict(&verdict)?;
        }
        let remedy = match &verdict.no_gpu {
            Some(no_gpu) if verdict.device.is_none() => spoken(no_gpu),
            _ => "update the GPU's driver, or pass --device cpu".to_owned(),
        };
        if verdict.ready { Ok(()) } else { Err(Error::device(verdict.what, remedy)) }
    }

    fn tried_cpu(&self) -> Result<Tried> {
        let mut backend = CpuBackend::new(self.threads)?;
        let device = match backend.threads() {
            1 => "the CPU with 1 thread".to_owned(),
            many => format!("the CPU with {many} threads"),
        };
        let speed = training_speed(&mut backend);
        Ok(Tried { name: "cpu".to_owned(), device, software: false, speed, check: None })
    }

    fn tried(&self, number: usize, adapter: &Adapter) -> Tried {
        let opened = || -> Result<Box<dyn Backend>> {
            let options = OpenOptions { threads: self.threads, ..OpenOptions::default() };
            Ok(open(DeviceChoice::Gpu(Some(number)), &options)?.backend)
        };
        let check = opened().and_then(|mut backend| check_kernels(&mut *backend, self.threads));
        let speed = opened().and_then(|mut backend| training_speed(&mut *backend));
        Tried {
            name: format!("gpu:{number}"),
            device: adapter.name.clone(),
            software: adapter.kind == AdapterKind::Software,
            speed,
            check: Some(check),
        }
    }
}

/// A remedy with what to type first, as the end of a line.
fn spoken(diagnosis: &Diagnosis) -> String {
    match diagnosis.commands.first() {
        Some(Command { line, .. }) => format!("{}: {line}", diagnosis.remedy),
        None => diagnosis.remedy.clone(),
    }
}

fn lines(streams: &mut Streams, cpu: &Tried, gpus: &[Tried]) -> Result<()> {
    for tried in std::iter::once(cpu).chain(gpus) {
        let checks: &[KernelCheck] = match &tried.check {
            Some(Ok(check)) => &check.kernels,
            _ => &[],
        };
        for check in checks {
            streams.json(&KernelLine {
                schema: SCHEMA,
                device: &tried.name,
                kernel: check.kernel,
                calls: check.calls,
                difference: Some(check.difference).filter(|difference| difference.is_finite()),
                agrees: check.agrees(),
                device_seconds: check.device_seconds,
                cpu_seconds: check.cpu_seconds,
            })?;
        }
        streams.json(&DeviceLine {
            schema: SCHEMA,
            device: &tried.name,
            name: &tried.device,
            software: tried.software,
            ratings_per_second: tried.speed.as_ref().ok().copied(),
            trouble: tried.trouble(),
        })?;
    }
    Ok(())
}

/// What follows: whether that trains which was asked for, on what, and why on no GPU.
fn verdict(
    choice: DeviceChoice,
    chosen: Result<Option<usize>>,
    cpu: &Tried,
    gpus: &[Tried],
    no_gpu: Option<Diagnosis>,
) -> Verdict {
    let wants_cpu = choice == DeviceChoice::Cpu;
    let tried = match chosen {
        Ok(None) => cpu,
        Ok(Some(number)) => {
            let name = format!("gpu:{number}");
            gpus.iter().find(|tried| tried.name == name).unwrap_or(cpu)
        }
        Err(error) => {
            let what = match (&no_gpu, choice) {
                (Some(no_gpu), DeviceChoice::Gpu(None)) => no_gpu.what.clone(),
                _ => error.to_string(),
            };
            return Verdict { ready: false, device: None, what, no_gpu };
        }
    };
    let no_gpu = no_gpu.filter(|_| !wants_cpu);
    let on =
        if tried.name == "cpu" { tried.device.clone() } else { format!("{} ({})", tried.device, tried.name) };
    match tried.trouble() {
        None => Verdict {
            ready: true,
            device: Some(tried.name.clone()),
            what: format!("trains on {on}"),
            no_gpu: no_gpu.filter(|_| tried.name == "cpu"),
        },
        Some(trouble) => {
            Verdict { ready: false, device: None, what: format!("{on} can't train: {trouble}"), no_gpu: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Cause;

    fn tried(name: &str, difference: Option<f64>) -> Tried {
        let check = difference.map(|difference| {
            let kernel =
                KernelCheck { kernel: "copy", calls: 1, difference, device_seconds: 1e-6, cpu_seconds: 1e-6 };
            Ok(DeviceCheck { device: name.to_owned(), kernels: vec![kernel], unused: Vec::new() })
        });
        Tried { name: name.to_owned(), device: format!("D {name}"), software: false, speed: Ok(1e6), check }
    }

    fn no_gpu() -> Diagnosis {
        Diagnosis {
            cause: Cause::NoGpu,
            what: "none".to_owned(),
            remedy: "buy one".to_owned(),
            commands: Vec::new(),
        }
    }

    #[test]
    fn the_verdict_is_about_the_device_that_was_asked_for() {
        let cpu = tried("cpu", None);
        let good = verdict(DeviceChoice::Auto, Ok(Some(0)), &cpu, &[tried("gpu:0", Some(1e-6))], None);
        assert_eq!((good.ready, good.device.as_deref()), (true, Some("gpu:0")));
        assert_eq!(good.what, "trains on D gpu:0 (gpu:0)");

        let wrong = [tried("gpu:0", Some(0.5))];
        let bad = verdict(DeviceChoice::Auto, Ok(Some(0)), &cpu, &wrong, None);
        assert!(!bad.ready && bad.what.contains("kernel copy computes something else"), "{}", bad.what);
        // The same adapter harms nobody who trains on the CPU, and needs no GPU.
        let bad = verdict(DeviceChoice::Cpu, Ok(None), &cpu, &wrong, Some(no_gpu()));
        assert!(bad.ready && bad.no_gpu.is_none());

        let fallen = verdict(DeviceChoice::Auto, Ok(None), &cpu, &[], Some(no_gpu()));
        assert!(fallen.ready && fallen.no_gpu.is_some());
        let refused = pick(DeviceChoice::Gpu(None), &[], 0);
        let refused = verdict(DeviceChoice::Gpu(None), refused, &cpu, &[], Some(no_gpu()));
        assert_eq!((refused.ready, refused.what.as_str()), (false, "none"));
    }
}
