//! Two devices as one: a run's calls are played on the CPU, and some of each kernel on another
//! device as well, from the same buffers, and what both wrote is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use half::f16;

use crate::backend::cpu::CpuBackend;
use crate::backend::{Backend, Buffer};
use crate::error::{Error, Result};
use crate::kernel::template::Mapping;
use crate::kernel::{Access, Dispatch, Element, Kernel};

/// Calls of a kernel that are compared in one run.
const CALLS: u32 = 4;

/// Repetitions of a call while it is timed, at most, and seconds that are enough.
const MOST: usize = 64;
const ENOUGH: f64 = 0.004;

/// The part of a list's places in which f32 scores may have brought other items.
const TIES: f64 = 0.01;

/// Bindings that a kernel leaves half-done: it uses them up.
const SCRATCH: [(&str, &str); 1] = [("cholesky", "systems")];

/// Numbers from here on stand for "nothing", as the free places of a list do.
const NOTHING: f32 = 1e38;

/// What a comparison of one kernel showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelCheck {
    /// The kernel's name.
    pub kernel: &'static str,
    /// Calls that were compared.
    pub calls: u32,
    /// The largest difference of an element, relative to the largest element of its buffer;
    /// infinite where one is not finite, or where integers differ.
    pub difference: f64,
    /// Seconds of a call on the device, of several in a row.
    pub device_seconds: f64,
    /// Seconds of a call on the CPU.
    pub cpu_seconds: f64,
}

/// A backend that computes on the CPU, and compares with another device.
pub(super) struct Pair<'a> {
    cpu: CpuBackend,
    device: &'a mut dyn Backend,
    /// Buffers whose elements the device does not have.
    stale: BTreeSet<u32>,
    checks: BTreeMap<&'static str, KernelCheck>,
    /// Calls of each kernel that were compared in this run.
    compared: BTreeMap<&'static str, u32>,
}

impl<'a> Pair<'a> {
    /// `device` holds no buffers: both number theirs from 0.
    pub(super) fn new(cpu: CpuBackend, device: &'a mut dyn Backend) -> Self {
        Self { cpu, device, stale: BTreeSet::new(), checks: BTreeMap::new(), compared: BTreeMap::new() }
    }

    /// Another run begins: its first calls are compared, too.
    pub(super) fn next_run(&mut self) {
        self.compared.clear();
        self.release(0);
    }

    pub(super) fn into_checks(self) -> BTreeMap<&'static str, KernelCheck> {
        self.checks
    }

    fn words(&mut self, buffer: Buffer) -> Result<Vec<u32>> {
        let mut words = vec![0; buffer.len()];
        self.cpu.read(buffer, &mut words)?;
        Ok(words)
    }

    /// Plays a call on both, from the CPU's buffers, and leaves the CPU's results.
    fn compare(&mut self, step: &Dispatch) -> Result<()> {
        for &buffer in step.buffers() {
            if self.stale.remove(&buffer.id()) {
                let words = self.words(buffer)?;
                self.device.write(buffer, &words)?;
            }
        }
        let call = std::slice::from_ref(step);
        self.device.dispatch(call)?;
        self.cpu.dispatch(call)?;
        let mut worst = 0.0f64;
        let mut kept = Vec::new();
        for (name, buffer) in written(step) {
            let expected = self.words(buffer)?;
            let mut actual = vec![0; buffer.len()];
            self.device.read(buffer, &mut actual)?;
            if !SCRATCH.contains(&(step.kernel().name, name)) {
                worst = worst.max(difference(step.kernel(), buffer.element(), &actual, &expected));
            }
            kept.push((buffer, expected));
            self.stale.insert(buffer.id());
        }
        let name = step.kernel().name;
        if let Some(check) = self.checks.get_mut(name) {
            check.calls += 1;
            check.difference = check.difference.max(worst);
            return Ok(());
        }
        let [device_seconds, cpu_seconds] = [timed(step, self.device)?, timed(step, &mut self.cpu)?];
        for (buffer, words) in kept {
            self.cpu.write(buffer, &words)?;
        }
        let check = KernelCheck { kernel: name, calls: 1, difference: worst, device_seconds, cpu_seconds };
        self.checks.insert(name, check);
        Ok(())
    }

    /// Both have it, under one number.
    fn both(&self, ours: Buffer, theirs: Buffer) -> Result<Buffer> {
        let same = ours == theirs;
        let apart = || Error::Internal("two devices number their buffers differently".to_owned());
        same.then_some(ours).ok_or_else(apart)
    }
}

/// The bindings that a call writes, by name.
fn written(step: &Dispatch) -> impl Iterator<Item = (&'static str, Buffer)> {
    let bound = step.kernel().bindings.iter().zip(step.buffers());
    let written = bound.filter(|(binding, _)| binding.access == Access::ReadWrite);
    written.map(|(binding, buffer)| (binding.name, *buffer))
}

/// Seconds of a call, of several in a row: others may disturb a measurement, nobody speeds it up.
fn timed(step: &Dispatch, backend: &mut dyn Backend) -> Result<f64> {
    let clock = step.buffers().iter().min_by_key(|buffer| buffer.len());
    let Some(&clock) = clock else { return Ok(0.0) };
    let mut words = vec![0; clock.len()];
    let (mut repeats, mut least) = (1, f64::INFINITY);
    loop {
        let recording = vec![step.clone(); repeats];
        let start = Instant::now();
        backend.dispatch(&recording)?;
        backend.read(clock, &mut words)?;
        let seconds = start.elapsed().as_secs_f64();
        least = least.min(seconds / repeats as f64);
        if seconds >= ENOUGH && repeats > 1 || repeats >= MOST {
            return Ok(least);
        }
        repeats *= 4;
    }
}

/// How far what a kernel wrote is from what its twin wrote: see [`KernelCheck::difference`].
fn difference(kernel: &Kernel, element: Element, actual: &[u32], expected: &[u32]) -> f64 {
    match element {
        Element::F32 => relative(
            actual.iter().map(|&bits| f32::from_bits(bits)),
            expected.iter().map(|&bits| f32::from_bits(bits)),
        ),
        Element::U32 if kernel.name == "pack_halves" => relative(halves(actual), halves(expected)),
        // The items of lists: where scores tie but for rounding, either may stand first or last.
        Element::U32 => {
            let sorted = |words: &[u32]| {
                let mut words = words.to_vec();
                words.sort_unstable();
                words
            };
            let (actual, expected) = (sorted(actual), sorted(expected));
            let others = actual.iter().zip(&expected).filter(|(a, b)| a != b).count();
            let few = kernel.name == "best_items" && others as f64 <= TIES * expected.len() as f64;
            if others == 0 || few { 0.0 } else { f64::INFINITY }
        }
    }
}

/// Both numbers of a word. The f32 tails among them are copies: their halves are equal or both wrong.
fn halves(words: &[u32]) -> impl Iterator<Item = f32> + Clone {
    let of = |bits: u32| f16::from_bits(bits as u16).to_f32();
    words.iter().flat_map(move |&word| [of(word), of(word >> 16)])
}

fn relative(actual: impl Iterator<Item = f32>, expected: impl Iterator<Item = f32> + Clone) -> f64 {
    let counts = |x: f32| x.is_finite() && x.abs() < NOTHING;
    let scale = expected.clone().filter(|&x| counts(x)).fold(0.0f64, |max, x| max.max(f64::from(x).abs()));
    let mut worst = 0.0f64;
    for (a, b) in actual.zip(expected) {
        if a.to_bits() == b.to_bits() || (a == 0.0 && b == 0.0) {
            continue;
        }
        if !(counts(a) && counts(b)) || scale == 0.0 {
            return f64::INFINITY;
        }
        worst = worst.max((f64::from(a) - f64::from(b)).abs() / scale);
    }
    worst
}

impl Backend for Pair<'_> {
    fn describe(&self) -> &str {
        self.device.describe()
    }

    fn max_buffer_bytes(&self) -> u64 {
        self.device.max_buffer_bytes().min(self.cpu.max_buffer_bytes())
    }

    fn max_loop(&self) -> u64 {
        self.device.max_loop()
    }

    fn max_work(&self) -> u64 {
        self.device.max_work()
    }

    fn lanes(&self) -> usize {
        self.device.lanes().max(self.cpu.lanes())
    }

    fn long_row(&self) -> usize {
        self.device.long_row()
    }

    fn max_row(&self, lanes: usize) -> u64 {
        self.device.max_row(lanes)
    }

    fn set_mapping(&mut self, mapping: Option<Mapping>) {
        self.device.set_mapping(mapping);
    }

    fn halves(&self) -> bool {
        self.device.halves()
    }

    fn alloc(&mut self, purpose: &str, element: Element, len: usize) -> Result<Buffer> {
        let ours = self.cpu.alloc(purpose, element, len)?;
        let theirs = self.device.alloc(purpose, element, len)?;
        self.stale.insert(ours.id());
        self.both(ours, theirs)
    }

    fn write(&mut self, buffer: Buffer, words: &[u32]) -> Result<()> {
        self.stale.insert(buffer.id());
        self.cpu.write(buffer, words)
    }

    fn read(&mut self, buffer: Buffer, words: &mut [u32]) -> Result<()> {
        self.cpu.read(buffer, words)
    }

    fn allocated(&self) -> u32 {
        self.cpu.allocated()
    }

    fn release(&mut self, first: u32) {
        self.cpu.release(first);
        self.device.release(first);
        self.stale.split_off(&first);
    }

    fn dispatch(&mut self, recording: &[Dispatch]) -> Result<()> {
        for step in recording {
            let compared = self.compared.entry(step.kernel().name).or_default();
            *compared += 1;
            if *compared <= CALLS {
                self.compare(step)?;
            } else {
                self.cpu.dispatch(std::slice::from_ref(step))?;
                self.stale.extend(written(step).map(|(_, buffer)| buffer.id()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{best_items, copy, pack_halves};

    fn f32s(values: &[f32]) -> Vec<u32> {
        values.iter().map(|x| x.to_bits()).collect()
    }

    fn of(actual: &[f32], expected: &[f32]) -> f64 {
        difference(&copy::KERNEL, Element::F32, &f32s(actual), &f32s(expected))
    }

    #[test]
    fn a_difference_is_relative_to_the_largest_element() {
        assert_eq!(of(&[1.0, -4.0], &[1.0, -4.0]), 0.0);
        assert_eq!(of(&[1.5, -4.0], &[1.0, -4.0]), 0.125);
        assert_eq!(of(&[0.0], &[-0.0]), 0.0);
        // A free place says nothing of the others' size.
        assert_eq!(of(&[1.5, f32::MIN], &[1.0, f32::MIN]), 0.5);
        for wrong in [f32::NAN, f32::INFINITY, f32::MIN] {
            assert_eq!(of(&[wrong, 1.0], &[1.0, 1.0]), f64::INFINITY);
        }
        assert_eq!(of(&[1e-9], &[0.0]), f64::INFINITY);
    }

    #[test]
    fn items_of_tied_scores_may_change_places_and_halves_are_numbers() {
        let lists = |actual: &[u32]| difference(&best_items::KERNEL, Element::U32, actual, &[3, 1, 2, 0]);
        assert_eq!([lists(&[1, 3, 2, 0]), lists(&[9, 3, 2, 0])], [0.0, f64::INFINITY]);
        let word = |low: f32, high: f32| {
            u32::from(f16::from_f32(low).to_bits()) | u32::from(f16::from_f32(high).to_bits()) << 16
        };
        let pack = |actual| difference(&pack_halves::KERNEL, Element::U32, &[actual], &[word(1.0, 2.0)]);
        assert_eq!([pack(word(1.0, 2.0)), pack(word(1.5, 2.0))], [0.0, 0.25]);
    }
}
