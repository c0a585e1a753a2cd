//! A bound on the work of one lookup, which a hostile table would otherwise make as long as it likes.

/// Steps that one lookup decodes at most. The largest functions of Go's own compiler have some five
/// thousand steps per step program, and a frame takes three programs: this many steps are over thirty
/// frames of such functions, and take some two milliseconds.
const STEPS: u32 = 1 << 19;

/// Steps that are left to a lookup.
#[derive(Debug)]
pub(crate) struct Budget(u32);

impl Budget {
    pub(crate) fn new() -> Budget {
        Budget(STEPS)
    }

    /// Takes one step, `None` when none is left.
    pub(crate) fn take(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }
}
