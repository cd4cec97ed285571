//! Buffers that stay on the host, and the two pages of the device that they take turns in.
//!
//! Such a buffer belongs to one page, the one after the page of the buffer before it. A submission
//! begins where a step needs what its page does not hold: so the host fills one page while the
//! device works on the other, and the device sees both in the order of the recording.

use std::collections::HashMap;
use std::ops::Range;

use super::device::Device;
use crate::error::Result;
use crate::kernel::Dispatch;

/// Pages: one that is worked on, and one that is filled.
const PAGES: usize = 2;

/// What stays on the host.
#[derive(Debug)]
struct Streamed {
    words: Vec<u32>,
    page: usize,
}

/// The buffers on the host, by their number, and the pages.
#[derive(Debug, Default)]
pub(super) struct Pages {
    streamed: HashMap<u32, Streamed>,
    pages: [Option<wgpu::Buffer>; PAGES],
    /// The buffer that each page holds.
    loaded: [Option<u32>; PAGES],
    next: usize,
}

/// Steps that are submitted together, and the buffers that are brought in before them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) steps: Range<usize>,
    pub(super) loads: Vec<u32>,
}

impl Pages {
    /// Keeps a buffer's elements; the page that it will be seen in, and the buffers that were to be seen
    /// in a page that it outgrew.
    ///
    /// # Errors
    /// As [`Device::buffer`].
    pub(super) fn keep(
        &mut self,
        id: u32,
        purpose: &str,
        words: Vec<u32>,
        device: &Device,
        usage: wgpu::BufferUsages,
    ) -> Result<(wgpu::Buffer, Vec<u32>)> {
        let page = self.next;
        let bytes = words.len() as u64 * 4;
        let mut outgrown = Vec::new();
        let buffer = match self.pages[page].as_ref().filter(|held| held.size() >= bytes) {
            Some(held) => held.clone(),
            None => {
                if let Some(small) = self.pages[page].take() {
                    device.let_go(&small);
                }
                outgrown
                    .extend(self.streamed.iter().filter(|(_, held)| held.page == page).map(|(&id, _)| id));
                self.loaded[page] = None;
                let made = device.buffer(purpose, bytes, usage)?;
                self.pages[page] = Some(made.clone());
                made
            }
        };
        self.next = (page + 1) % PAGES;
        self.streamed.insert(id, Streamed { words, page });
        Ok((buffer, outgrown))
    }

    /// The elements of a buffer, if it is one that stays on the host.
    pub(super) fn words(&self, id: u32) -> Option<&[u32]> {
        self.streamed.get(&id).map(|held| &*held.words)
    }

    /// Drops the buffers numbered from `first` on, and the pages with the last of them.
    pub(super) fn release(&mut self, first: u32, device: &Device) {
        self.streamed.retain(|&id, _| id < first);
        self.loaded = [None; PAGES];
        if self.streamed.is_empty() {
            for page in self.pages.iter_mut().filter_map(Option::take) {
                device.let_go(&page);
            }
            self.next = 0;
        }
    }

    /// Whether a buffer is one of those.
    pub(super) fn holds(&self, id: u32) -> bool {
        self.streamed.contains_key(&id)
    }

    /// Cuts a recording into pieces of at most `most` work each, a submission each, and before every
    /// step that needs what its page does not hold; none is without a step. What is to be loaded
    /// counts as loaded.
    pub(super) fn cut(&mut self, recording: &[Dispatch], most: u64) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut sum = 0u64;
        for (i, step) in recording.iter().enumerate() {
            let mut loads = Vec::new();
            for buffer in step.buffers() {
                let Some(held) = self.streamed.get(&buffer.id()) else { continue };
                if self.loaded[held.page] != Some(buffer.id()) {
                    self.loaded[held.page] = Some(buffer.id());
                    loads.push(buffer.id());
                }
            }
            sum = sum.saturating_add(step.work());
            match pieces.last_mut() {
                Some(last) if sum <= most && loads.is_empty() => last.steps.end = i + 1,
                _ => {
                    sum = step.work();
                    pieces.push(Piece { steps: i..i + 1, loads });
                }
            }
        }
        pieces
    }

    /// Forgets what the pages hold: after a failure, nobody knows.
    pub(super) fn forget(&mut self) {
        self.loaded = [None; PAGES];
    }
}
