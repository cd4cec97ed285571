//! Devices that are lost, hang or run out of memory in the middle of a run: a
//! typed error at once, and at whatever is asked of them afterwards.

use std::time::Duration;

use deltav::backend::gpu::{GpuBackend, GpuOptions};
use deltav::backend::{Backend, Buffer, alloc_f32, read_f32};
use deltav::config::TrainConfig;
use deltav::event::Silent;
use deltav::kernel::copy::CopyValues;
use deltav::kernel::{Dispatch, Element};
use deltav::train::{Dataset, train};
use deltav::{Error, Result};

use crate::support::{devices, problems};

fn config(optimizer: &str) -> TrainConfig {
    let options =
        if optimizer == "line-search" { vec![("warm-up".to_owned(), "1".to_owned())] } else { Vec::new() };
    TrainConfig {
        optimizer: optimizer.to_owned(),
        rank: 3,
        epochs: Some(3),
        options,
        ..TrainConfig::default()
    }
}

fn data() -> Dataset {
    let (train, valid) = problems::random(30, 25, 0.4, 41).split(0.2, 1).unwrap();
    Dataset { train, valid: Some(valid), test: None }
}

/// A GPU whose device is lost right before its n-th verb.
struct Losing {
    inner: GpuBackend,
    verbs: u64,
    at: u64,
}

impl Losing {
    fn verb(&mut self) -> &mut GpuBackend {
        self.verbs += 1;
        if self.verbs == self.at {
            self.inner.lose_device();
        }
        &mut self.inner
    }
}

impl Backend for Losing {
    fn describe(&self) -> &str {
        self.inner.describe()
    }

    fn max_buffer_bytes(&self) -> u64 {
        self.inner.max_buffer_bytes()
    }

    fn alloc(&mut self, purpose: &str, element: Element, len: usize) -> Result<Buffer> {
        self.verb().alloc(purpose, element, len)
    }

    fn write(&mut self, buffer: Buffer, words: &[u32]) -> Result<()> {
        self.verb().write(buffer, words)
    }

    fn read(&mut self, buffer: Buffer, words: &mut [u32]) -> Result<()> {
        self.verb().read(buffer, words)
    }

    fn allocated(&self) -> u32 {
        self.inner.allocated()
    }

    fn release(&mut self, first: u32) {
        self.inner.release(first);
    }

    fn dispatch(&mut self, recording: &[Dispatch]) -> Result<()> {
        self.verb().dispatch(recording)
    }
}

/// One line about the device, with its remedy.
fn is_device_error(error: &Error, says: &str, what: &str) {
    let text = error.to_string();
    assert_eq!(error.exit_code(), 69, "{what}: {text}");
    assert!(text.contains(says) && text.contains("--device cpu") && !text.contains('\n'), "{what}: {text}");
}

/// Every verb, each of which must fail so.
fn every_verb_fails(gpu: &mut dyn Backend, known: [Buffer; 2], says: &str) {
    let [values, copied] = known;
    let step = CopyValues { values, copied }.dispatch().unwrap();
    for round in 0..2 {
        let mut words = vec![0; values.len()];
        is_device_error(&gpu.read(values, &mut words).unwrap_err(), says, "read");
        is_device_error(&gpu.write(values, &words).unwrap_err(), says, "write");
        is_device_error(&gpu.dispatch(std::slice::from_ref(&step)).unwrap_err(), says, "dispatch");
        is_device_error(&gpu.alloc("more", Element::F32, 10).unwrap_err(), says, &format!("alloc, {round}"));
    }
}

fn two(gpu: &mut dyn Backend, len: usize) -> [Buffer; 2] {
    let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
    [alloc_f32(gpu, "values", &values).unwrap(), gpu.alloc("copied", Element::F32, len).unwrap()]
}

#[test]
fn a_lost_device_fails_whatever_is_asked_of_it() {
    for adapter in devices::adapters() {
        // At rest, with commands recorded, with a write queued.
        for case in 0..3 {
            let mut gpu = devices::gpu(&adapter, &GpuOptions::default());
            let known = two(&mut gpu, 1000);
            if case > 0 {
                gpu.dispatch(&[CopyValues { values: known[0], copied: known[1] }.dispatch().unwrap()])
                    .unwrap();
            }
            if case > 1 {
                gpu.write(known[0], &vec![7; 1000]).unwrap();
            }
            gpu.lose_device();
            every_verb_fails(&mut gpu, known, "the device was lost");
            gpu.release(0);
            assert_eq!(gpu.allocated(), 0);
        }
    }
}

#[test]
fn training_ends_where_the_device_is_lost() {
    let data = data();
    for adapter in devices::adapters() {
        for optimizer in ["line-search", "sgd"] {
            let open = |at| Losing { inner: devices::gpu(&adapter, &GpuOptions::default()), verbs: 0, at };
            let run =
                |backend: &mut Losing| train(config(optimizer).check().unwrap(), &data, backend, &mut Silent);
            let mut healthy = open(u64::MAX);
            run(&mut healthy).unwrap();
            let verbs = healthy.verbs;
            for at in (1..=verbs).step_by(3).chain([verbs]) {
                let mut losing = open(at);
                let error = run(&mut losing).unwrap_err();
                is_device_error(&error, "the device was lost", &format!("{optimizer}, verb {at} of {verbs}"));
                assert_eq!(losing.allocated(), 0);
            }
        }
    }
}

#[test]
fn a_submission_that_does_not_finish_is_an_error_and_nothing_waits_for_it() {
    let len = 1 << 22;
    for adapter in devices::adapters() {
        let options = GpuOptions {
            timeout: Some(Duration::ZERO),
            staging_bytes: Some(1 << 26),
            ..GpuOptions::default()
        };
        let mut gpu = devices::gpu(&adapter, &options);
        let known = two(&mut gpu, len);
        let step = CopyValues { values: known[0], copied: known[1] }.dispatch().unwrap();
        gpu.dispatch(&vec![step; 50]).unwrap();
        let error = read_f32(&mut gpu, known[1]).unwrap_err();
        is_device_error(&error, "did not finish", "read");
        every_verb_fails(&mut gpu, known, "did not finish");
    }
}

#[test]
fn memory_that_ends_is_told_with_what_was_needed() {
    let data = data();
    for adapter in devices::adapters() {
        let run = |most: Option<u64>| {
            let mut gpu =
                devices::gpu(&adapter, &GpuOptions { max_memory_bytes: most, ..GpuOptions::default() });
            let result = train(config("line-search").check().unwrap(), &data, &mut gpu, &mut Silent);
            assert_eq!(gpu.allocated(), 0);
            // What was released can be had again.
            let again = train(config("gd").check().unwrap(), &data, &mut gpu, &mut Silent);
            (result, again.is_ok())
        };
        let (whole, _) = run(None);
        let mut most = 1 << 10;
        let fits = loop {
            assert!(most < 1 << 24, "a few kB fit 16 MiB");
            match run(Some(most)) {
                (Ok(model), again) => {
                    assert!(again);
                    break model;
                }
                (Err(error), _) => {
                    let text = error.to_string();
                    assert_eq!(error.exit_code(), 71, "{text}");
                    assert!(
                        text.contains("bytes needed")
                            && text.contains("with the ratings streamed")
                            && text.contains("bytes are free"),
                        "{text}"
                    );
                    let Error::OutOfMemory { needed, .. } = error else { panic!("{text}") };
                    assert!(needed > most, "{text}");
                }
            }
            most += most / 3;
        };
        assert_eq!(fits, whole.unwrap());
    }
}
