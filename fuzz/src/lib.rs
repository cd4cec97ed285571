//! The fuzz targets' functions, and a limit for what they allocate at once.

use std::alloc::{GlobalAlloc, Layout, System};

#[path = "../../tests/it/support/fuzz.rs"]
mod targets;

pub use targets::*;

/// Keeps caught panics from ending the fuzzer: those that are not caught still do, with their message.
pub fn quiet() {
    std::panic::set_hook(Box::new(|info| {
        let decoder = info.location().is_some_and(|at| at.file().contains("/parquet-"));
        if !decoder {
            eprintln!("{info}");
        }
    }));
}

/// Far more than a fuzzer's small inputs need. Sizes that a file merely states end here.
const MOST_BYTES: usize = 128 << 20;

struct Limited;

#[global_allocator]
static ALLOCATOR: Limited = Limited;

fn check(size: usize) {
    if size > MOST_BYTES {
        // No panic: it could be caught. No message: it could allocate.
        std::process::abort();
    }
}

// SAFETY: passes everything on to the system's allocator, whose contract it shares.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        unsafe { System.realloc(place, layout, size) }
    }
}
