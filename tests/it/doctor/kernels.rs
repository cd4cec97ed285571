//! Every kernel is tried, and one that is wrong is named.

use deltav::backend::cpu::CpuBackend;
use deltav::backend::{Backend, Buffer};
use deltav::doctor::check_kernels;
use deltav::error::Result;
use deltav::kernel::{Access, Dispatch, Element, KERNELS};

use crate::support::devices;

#[test]
fn every_kernel_is_tried_on_every_adapter_and_agrees() {
    for (name, mut device) in devices::gpus() {
        let halves = device.halves();
        let check = check_kernels(&mut *device, Some(2)).unwrap();
        assert_eq!(check.device, name);
        let unused: &[&str] = if halves { &[] } else { &["pack_halves"] };
        assert_eq!(check.unused, unused, "{name}");
        assert_eq!(check.kernels.len() + unused.len(), KERNELS.len());
        for kernel in &check.kernels {
            assert!(kernel.agrees(), "{name}: {kernel:?}");
            assert!(kernel.calls > 0 && kernel.device_seconds > 0.0 && kernel.cpu_seconds > 0.0);
        }
        assert!(check.agrees() && check.worst().unwrap().agrees());
    }
}

/// A CPU that spoils what one kernel writes.
struct Spoiling {
    cpu: CpuBackend,
    kernel: &'static str,
}

impl Spoiling {
    /// Another number in the middle of one buffer.
    fn spoil(&mut self, step: &Dispatch) -> Result<()> {
        let bound = step.kernel().bindings.iter().zip(step.buffers());
        // The last one: some kernels use the first up.
        let written = bound.rev().find(|(binding, _)| binding.access == Access::ReadWrite);
        let &buffer = written.unwrap().1;
        let mut words = vec![0; buffer.len()];
        self.cpu.read(buffer, &mut words)?;
        let changed: &mut dyn FnMut(&mut u32) = match buffer.element() {
            Element::F32 => &mut |word| *word = (f32::from_bits(*word) * 1.5 + 0.5).to_bits(),
            Element::U32 => &mut |word| *word ^= 0x1400_1400,
        };
        words.iter_mut().for_each(changed);
        self.cpu.write(buffer, &words)
    }
}

impl Backend for Spoiling {
    fn describe(&self) -> &str {
        "spoiling"
    }

    fn max_buffer_bytes(&self) -> u64 {
        self.cpu.max_buffer_bytes()
    }

    fn halves(&self) -> bool {
        true
    }

    fn alloc(&mut self, purpose: &str, element: Element, len: usize) -> Result<Buffer> {
        self.cpu.alloc(purpose, element, len)
    }

    fn write(&mut self, buffer: Buffer, words: &[u32]) -> Result<()> {
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
    }

    fn dispatch(&mut self, recording: &[Dispatch]) -> Result<()> {
        for step in recording {
            self.cpu.dispatch(std::slice::from_ref(step))?;
            if step.kernel().name == self.kernel {
                self.spoil(step)?;
            }
        }
        Ok(())
    }
}

#[test]
fn a_kernel_that_is_wrong_is_named_and_no_other() {
    let cpu = || CpuBackend::new(Some(2)).unwrap();
    let check = check_kernels(&mut Spoiling { cpu: cpu(), kernel: "none" }, Some(1)).unwrap();
    assert_eq!(check.worst().unwrap().difference, 0.0);
    for kernel in KERNELS {
        let check = check_kernels(&mut Spoiling { cpu: cpu(), kernel: kernel.name }, Some(1)).unwrap();
        let wrong: Vec<&str> = check.kernels.iter().filter(|c| !c.agrees()).map(|c| c.kernel).collect();
        assert_eq!(wrong, [kernel.name]);
    }
}
