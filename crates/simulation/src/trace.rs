//! The trace of a run as one number: two runs of a seed must agree on it (I31).

use std::io::{self, Write};

/// FNV-1a, 64 bits.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    hash: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }
}

impl Trace {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(crate) fn number(&mut self, number: u64) {
        // One step for a whole number: the trace is taken of every event.
        self.hash = (self.hash ^ number)
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(29);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

/// Anything that can be written can be part of the trace.
impl Write for Trace {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
