//! The program's allocator: the system's, and one line with exit code 71 where that refuses.

use std::alloc::{GlobalAlloc, Layout, System};

/// An allocator that hands refusals to somebody who need not return.
pub(crate) struct Reporting<A> {
    inner: A,
    refused: fn(usize),
}

impl Reporting<System> {
    /// The system's allocator. A refusal ends the process, unless who asked minds it.
    pub(crate) const fn new() -> Self {
        Self { inner: System, refused: deltav::cli::refused }
    }
}

impl<A> Reporting<A> {
    fn checked(&self, memory: *mut u8, bytes: usize) -> *mut u8 {
        if memory.is_null() {
            (self.refused)(bytes);
        }
        memory
    }
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one forwards to another")]
// SAFETY: every call goes to `inner` as it came, and what it returns comes back as it was. `refused`
// neither unwinds nor allocates.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Reporting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `inner`.
        self.checked(unsafe { self.inner.alloc(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as for `alloc`; all memory comes from `inner`.
        unsafe { self.inner.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        self.checked(unsafe { self.inner.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`.
        self.checked(unsafe { self.inner.realloc(memory, layout, size) }, size)
    }
}

/// Has an abort for want of memory end as a refusal does: glibc aborts where it can't note a
/// thread's destructors, a driver in C++ where an exception reaches its end. Any other abort stays one.
#[cfg(unix)]
pub(crate) fn mind_aborts() {
    #[expect(unsafe_code, reason = "what runs in a signal handler")]
    // SAFETY: `aborted` and `is_scarce` take no lock for long, and allocate nothing.
    let minded = unsafe {
        signal_hook::low_level::register(signal_hook::consts::SIGABRT, || deltav::cli::aborted(is_scarce()))
    };
    // Without it an abort ends the process as it always did.
    drop(minded);
}

/// Nothing to mind.
#[cfg(not(unix))]
pub(crate) fn mind_aborts() {}

/// Whether the system has no more than a little memory left. Asks it directly: the allocator may be locked.
#[cfg(unix)]
fn is_scarce() -> bool {
    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
    const LITTLE: usize = 8 << 20;
    #[expect(unsafe_code, reason = "maps memory")]
    // SAFETY: the system chooses a free place, and nobody else learns of it before it is free again.
    unsafe {
        match mmap_anonymous(std::ptr::null_mut(), LITTLE, ProtFlags::READ, MapFlags::PRIVATE) {
            Ok(memory) => munmap(memory, LITTLE).is_err(),
            Err(_) => true,
        }
    }
}

#[cfg(test)]
#[expect(unsafe_code, reason = "the allocator's own methods are tested")]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::ptr;

    thread_local! {
        static REFUSED: Cell<usize> = const { Cell::new(0) };
    }

    /// Gives at most so many bytes at a time.
    struct Stingy(usize);

    // SAFETY: forwards to the system, or returns null, which any allocator may.
    unsafe impl GlobalAlloc for Stingy {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's contract.
            if layout.size() > self.0 { ptr::null_mut() } else { unsafe { System.alloc(layout) } }
        }

        unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
            // SAFETY: the caller's contract.
            unsafe { System.dealloc(memory, layout) }
        }
    }

    #[test]
    fn memory_comes_and_goes_as_from_the_system_and_refusals_are_told() {
        let allocator = Reporting { inner: Stingy(64), refused: |bytes| REFUSED.set(bytes) };
        let layout = |bytes| Layout::from_size_align(bytes, 16).unwrap();
        // SAFETY: every layout is valid and not empty, memory is used within it and freed once.
        unsafe {
            let memory = allocator.alloc(layout(32));
            ptr::write_bytes(memory, 7, 32);
            let memory = allocator.realloc(memory, layout(32), 64);
            assert_eq!(std::slice::from_raw_parts(memory, 32), [7; 32]);
            assert_eq!(REFUSED.get(), 0);
            // What does not grow stays as it is.
            assert!(allocator.realloc(memory, layout(64), 80).is_null());
            assert_eq!(REFUSED.get(), 80);
            assert_eq!(std::slice::from_raw_parts(memory, 32), [7; 32]);
            allocator.dealloc(memory, layout(64));

            let zeros = allocator.alloc_zeroed(layout(48));
            assert_eq!(std::slice::from_raw_parts(zeros, 48), [0; 48]);
            allocator.dealloc(zeros, layout(48));
            assert!(allocator.alloc(layout(65)).is_null());
            assert_eq!(REFUSED.get(), 65);
            assert!(allocator.alloc_zeroed(layout(66)).is_null());
            assert_eq!(REFUSED.get(), 66);
        }
    }

    #[test]
    fn the_program_runs_on_it() {
        // With the real one, as any test of this binary; large enough to be mapped anew.
        const HALF: usize = 1 << 18;
        let mut bytes = vec![1_u8; HALF];
        bytes.extend(vec![2_u8; HALF]);
        assert_eq!((bytes[0], bytes[HALF - 1], bytes[HALF], bytes[2 * HALF - 1]), (1, 1, 2, 2));
    }
}
