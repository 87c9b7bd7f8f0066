//! A file with two images.

use std::io;

use crate::sys::memory::Memory;

/// What a power cut may tear a write into.
const WORD: usize = 8;
const SECTOR: usize = 512;
const PAGE: usize = 4096;

/// A file's live bytes, and those that survive a power cut.
#[derive(Debug)]
pub(super) struct FileImage {
    live: Live,
    durable: Vec<u8>,
    /// Bytes that a failed sync did not write: as long as they stay the same they count as clean, and are written by no later one.
    given_up: Vec<Option<u8>>,
}

#[derive(Debug)]
enum Live {
    /// Grows as it is written.
    Bytes(Vec<u8>),
    /// Of a fixed length, and can be mapped.
    Memory { memory: Memory, len: usize },
}

impl FileImage {
    /// An empty file.
    pub(super) fn new() -> Self {
        Self { live: Live::Bytes(Vec::new()), durable: Vec::new(), given_up: Vec::new() }
    }

    /// A file that holds these bytes, durably.
    pub(super) fn with(bytes: Vec<u8>) -> io::Result<Self> {
        let memory = Memory::zeroed(bytes.len())?;
        let live = if memory.write(0, &bytes) {
            Live::Memory { memory, len: bytes.len() }
        } else {
            Live::Bytes(bytes.clone())
        };
        Ok(Self { live, durable: bytes, given_up: Vec::new() })
    }

    pub(super) fn len(&self) -> usize {
        match &self.live {
            Live::Bytes(bytes) => bytes.len(),
            Live::Memory { len, .. } => *len,
        }
    }

    /// The bytes as the program sees them.
    pub(super) fn live(&self) -> Vec<u8> {
        match &self.live {
            Live::Bytes(bytes) => bytes.clone(),
            Live::Memory { memory, len } => {
                let mut bytes = vec![0; *len];
                let inside = memory.read(0, &mut bytes);
                debug_assert!(inside);
                bytes
            }
        }
    }

    /// Makes the file `len` bytes long, for good.
    pub(super) fn allocate(&mut self, len: usize) -> io::Result<()> {
        let memory = Memory::zeroed(len)?;
        let before = self.live();
        if before.len() > len || !memory.write(0, &before) {
            return Err(io::Error::other("the file is longer than that already"));
        }
        self.live = Live::Memory { memory, len };
        Ok(())
    }

    /// Makes the file shorter. What is mapped of it stays as it is.
    #[cfg(feature = "measures")]
    pub(super) fn truncate(&mut self, len: usize) -> io::Result<()> {
        let mut bytes = self.live();
        bytes.truncate(len);
        let memory = Memory::zeroed(bytes.len())?;
        if memory.write(0, &bytes) {
            self.live = Live::Memory { memory, len: bytes.len() };
        }
        Ok(())
    }

    pub(super) fn read(&self, offset: usize, buf: &mut [u8]) -> usize {
        let available = self.len().saturating_sub(offset).min(buf.len());
        let Some(buf) = buf.get_mut(..available).filter(|buf| !buf.is_empty()) else {
            return 0;
        };
        match &self.live {
            Live::Bytes(bytes) => {
                if let Some(from) = bytes.get(offset..offset + available) {
                    buf.copy_from_slice(from);
                }
            }
            Live::Memory { memory, .. } => {
                let inside = memory.read(offset, buf);
                debug_assert!(inside);
            }
        }
        available
    }

    pub(super) fn write(&mut self, offset: usize, buf: &[u8]) -> io::Result<()> {
        let end = offset + buf.len();
        for (given_up, byte) in self.given_up.iter_mut().skip(offset).zip(buf) {
            given_up.take_if(|given_up| given_up != byte);
        }
        match &mut self.live {
            Live::Memory { memory, len } if end <= *len => {
                let mut there = vec![0; buf.len()];
                // What recovery writes anew is published, and referred to by whoever reads it: it is there already.
                if !memory.read(offset, &mut there) || there != buf {
                    let inside = memory.write(offset, buf);
                    debug_assert!(inside);
                }
            }
            Live::Memory { .. } => return Err(io::Error::other("mapped files do not grow")),
            Live::Bytes(bytes) => {
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                if let Some(into) = bytes.get_mut(offset..end) {
                    into.copy_from_slice(buf);
                }
            }
        }
        Ok(())
    }

    /// The next sync writes these bytes, whatever became of earlier ones.
    pub(super) fn take_for_dirty(&mut self, offset: usize, len: usize) {
        self.given_up.iter_mut().skip(offset).take(len).for_each(|byte| *byte = None);
    }

    /// The memory to map, once the file has its final length.
    pub(super) fn memory(&self) -> io::Result<&Memory> {
        match &self.live {
            Live::Memory { memory, .. } => Ok(memory),
            Live::Bytes(_) => Err(io::Error::other("only allocated files can be mapped")),
        }
    }

    /// Everything live becomes durable, but for what an earlier failed sync gave up.
    pub(super) fn sync(&mut self) {
        let live = self.live();
        if self.given_up.is_empty() {
            self.durable = live;
            return;
        }
        self.durable.resize(live.len(), 0);
        self.given_up.resize(live.len(), None);
        for ((live, durable), given_up) in live.into_iter().zip(&mut self.durable).zip(&mut self.given_up) {
            if *given_up != Some(live) {
                (*durable, *given_up) = (live, None);
            }
        }
    }

    /// A sync has failed: the kernel takes the pages for clean.
    pub(super) fn give_up(&mut self) {
        let live = self.live().into_iter().enumerate();
        self.given_up =
            live.map(|(index, byte)| (self.durable.get(index) != Some(&byte)).then_some(byte)).collect();
    }

    /// The file after a power cut: of each sector that is not durable, the old or the new bytes; of its length too.
    pub(super) fn after_power_cut(&self, rng: &mut fastrand::Rng) -> io::Result<Self> {
        let live = self.live();
        let mut bytes = self.durable.clone();
        if live.len() != bytes.len() {
            if rng.bool() {
                bytes.resize(live.len(), 0);
            } else {
                return Self::with(bytes);
            }
        }
        // Pages are written back whole, mostly; a sector may be what is written; and nobody promises that a sector is
        // written whole or not at all.
        let unit = match rng.u32(0..8) {
            0 => WORD,
            1..=4 => SECTOR,
            _ => PAGE,
        };
        let kept_in_64 = rng.u32(0..=64);
        for (durable, live) in bytes.chunks_mut(unit).zip(live.chunks(unit)) {
            if durable != live && rng.u32(0..64) < kept_in_64 {
                durable.copy_from_slice(live);
            }
        }
        Self::with(bytes)
    }
}
