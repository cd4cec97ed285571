//! Blocks of whole lines.

use std::mem::take;

use memchr::memrchr;

use super::super::formats::LONGEST;
use super::super::source::{End, Source};
use super::Left;
use crate::error::Result;

/// Whole lines; only the last of a file may lack its end.
pub(super) struct Block {
    bytes: Vec<u8>,
    length: usize,
}

impl Block {
    /// Its text.
    pub(super) fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The blocks of a source, one after the other.
pub(super) struct Blocks<'a> {
    source: Source<'a>,
    line_end: u8,
    /// Bytes to read at a time.
    size: usize,
    /// What was read of the next block.
    begun: Vec<u8>,
    end: Option<End>,
    /// Buffers that are free again.
    spare: Vec<Vec<u8>>,
}

impl<'a> Blocks<'a> {
    /// Blocks of about `size` bytes, or of one line if that is longer.
    pub(super) fn new(source: Source<'a>, line_end: u8, size: usize) -> Self {
        Self { source, line_end, size: size.max(1), begun: Vec::new(), end: None, spare: Vec::new() }
    }

    /// Whether nothing is left to be read.
    pub(super) fn is_at_end(&self) -> bool {
        self.end.is_some()
    }

    /// Reads the next block; `None` at the end, or where reading fails.
    pub(super) fn advance(&mut self) -> Option<Block> {
        if self.is_at_end() {
            return None;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        let mut length = self.begun.len();
        let mut room = length + self.size;
        if bytes.len() < room {
            bytes.resize(room, 0);
        }
        bytes.get_mut(..length)?.copy_from_slice(&self.begun);
        self.begun.clear();
        loop {
            (length, self.end) = self.source.fill(bytes.get_mut(..room)?, length);
            if matches!(self.end, Some(End::Input)) {
                return (length > 0).then_some(Block { bytes, length });
            }
            let text = bytes.get(..length)?;
            match memrchr(self.line_end, text) {
                Some(last) => {
                    let (lines, begun) = text.split_at_checked(last + 1)?;
                    let length = lines.len();
                    self.begun.extend_from_slice(begun);
                    return Some(Block { bytes, length });
                }
                // Whoever parses it refuses it.
                None if length > LONGEST => return Some(Block { bytes, length }),
                None if self.is_at_end() => return None,
                None => {
                    room *= 2;
                    bytes.resize(room, 0);
                }
            }
        }
    }

    /// Takes a block back whose text is no longer needed.
    pub(super) fn give_back(&mut self, block: Block) {
        self.spare.push(block.bytes);
    }

    /// Ends: with what is left where there is such behind so many lines, or where reading failed.
    ///
    /// # Errors
    /// As the source, where reading failed and nothing is left before.
    pub(super) fn finish(mut self, left: Option<Vec<u8>>, lines: u64) -> Result<Option<Left<'a>>> {
        let failed = match self.end.take() {
            Some(End::Failed(error)) => Some(error),
            _ => None,
        };
        match (left, failed) {
            (None, None) => Ok(None),
            (None, Some(error)) => Err(self.source.failure(error)),
            (Some(mut left), failed) => {
                left.append(&mut take(&mut self.begun));
                Ok(Some(Left { source: self.source.put_back(left, failed), lines }))
            }
        }
    }
}
