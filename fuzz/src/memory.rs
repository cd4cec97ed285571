//! An allocator that counts, and ends the process where a run holds too much at once.
//!
//! What C libraries allocate is not seen: for zstd that is a window, 128 MiB at most, of which as much
//! is touched as there is content.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The most bytes that may be held for an input of `length` bytes: ten times as many, and 64 MB.
pub const fn limit(length: usize) -> usize {
    length.saturating_mul(10).saturating_add(64_000_000)
}

/// Bytes that are allocated now, by all threads.
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// The most that [`LIVE`] may be.
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Runs something that may hold [`limit`]`(length)` bytes more than are held now.
pub fn within<T>(length: usize, run: impl FnOnce() -> T) -> T {
    MOST.store(LIVE.load(Relaxed).saturating_add(limit(length)), Relaxed);
    let done = run();
    MOST.store(usize::MAX, Relaxed);
    done
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts an allocation, before it is made.
fn grow(size: usize) {
    let live = LIVE.fetch_add(size, Relaxed).saturating_add(size);
    let most = MOST.load(Relaxed);
    if live > most {
        // The message allocates, too.
        MOST.store(usize::MAX, Relaxed);
        eprintln!("memory: {size} bytes more make {live}, the limit is {most}\n{}", Backtrace::force_capture());
        // No panic: it could be caught.
        std::process::abort();
    }
}

// SAFETY: passes everything on to the system's allocator, whose contract it shares.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are held while it moves.
        grow(size);
        let moved = unsafe { System.realloc(place, layout, size) };
        LIVE.fetch_sub(if moved.is_null() { size } else { layout.size() }, Relaxed);
        moved
    }
}
