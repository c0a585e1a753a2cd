//! What one question may cost.
//!
//! DWARF is a program for its reader: a few kilobytes can make it read the same list once per entry, or the same line
//! program once per unit. An honest file has each list and each row read a few times at most, so what may be read is
//! a multiple of what there is. When it is spent, what was found stands, and the rest is not known.

use std::cell::Cell;

/// How often an honest question reads the same byte of a file, generously. Compressed sections hold some six times
/// what they take.
const READINGS_MAX: u64 = 16;

/// What may be read of the smallest file.
const READS_MIN: u64 = 1 << 20;

/// How many entries are walked, or rows run, between two looks at whether to go on.
const STRIDE: u64 = 1 << 12;

/// What is left for one question.
pub(crate) struct Work<'a> {
    ranges_left: Cell<u64>,
    rows_left: Cell<u64>,
    abbreviation_bytes_left: Cell<u64>,
    /// Entries and rows until the next look.
    stride_left: Cell<u64>,
    /// Whether there is time to go on.
    go_on: &'a dyn Fn() -> bool,
    stopped: Cell<bool>,
}

impl<'a> Work<'a> {
    /// A question that goes on as long as `go_on` says yes.
    pub(crate) fn new(go_on: &'a dyn Fn() -> bool) -> Work<'a> {
        Work {
            ranges_left: Cell::new(0),
            rows_left: Cell::new(0),
            abbreviation_bytes_left: Cell::new(0),
            stride_left: Cell::new(0),
            go_on,
            stopped: Cell::new(false),
        }
    }

    /// Allows for a file of this many bytes to be read.
    pub(crate) fn allow(&self, file_bytes: usize) {
        let more = (file_bytes as u64).saturating_mul(READINGS_MAX).saturating_add(READS_MIN);
        for left in [&self.ranges_left, &self.rows_left, &self.abbreviation_bytes_left] {
            left.set(left.get().saturating_add(more));
        }
    }

    /// One range of a list.
    #[inline]
    pub(crate) fn spend_range(&self) -> Option<()> {
        spend(&self.ranges_left, 1)
    }

    /// Rows of a line program.
    #[inline]
    pub(crate) fn spend_rows(&self, rows: u64) -> Option<()> {
        spend(&self.rows_left, rows)?;
        self.step(rows)
    }

    /// Bytes of abbreviations.
    pub(crate) fn spend_abbreviations(&self, bytes: usize) -> Option<()> {
        spend(&self.abbreviation_bytes_left, bytes as u64)
    }

    /// Entries that were walked. Each byte of `.debug_info` is walked a known number of times, so only time can be up.
    #[inline]
    pub(crate) fn step(&self, steps: u64) -> Option<()> {
        match self.stride_left.get().checked_sub(steps) {
            Some(left) => self.stride_left.set(left),
            None => {
                self.stride_left.set(STRIDE);
                self.stopped.set(self.stopped.get() || !(self.go_on)());
            }
        }
        (!self.stopped.get()).then_some(())
    }

    /// Whether time was up.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.get()
    }
}

#[inline]
fn spend(left: &Cell<u64>, amount: u64) -> Option<()> {
    left.set(left.get().checked_sub(amount)?);
    Some(())
}
