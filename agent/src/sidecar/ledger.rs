//! What files are owed: each is acknowledged in its own order, in whatever order the sink takes what was found in it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::receive::checkpoint::{Checkpoints, Position};

/// The checkpoints, and what stands between them and where the files were read to.
pub(super) struct Ledger {
    checkpoints: Checkpoints,
    files: HashMap<Arc<Path>, Open>,
    is_changed: bool,
}

/// What was found in one file and is not settled, and what was found behind it.
#[derive(Default)]
struct Open {
    /// The number of the first entry.
    first: u64,
    /// Where reading goes on behind each, and whether it is settled.
    entries: VecDeque<(Position, bool)>,
}

/// Something that was found in a file.
#[derive(Debug)]
pub(super) struct Entry {
    path: Arc<Path>,
    number: u64,
}

impl Ledger {
    pub(super) fn new(checkpoints: Checkpoints) -> Self {
        Self { checkpoints, files: HashMap::new(), is_changed: false }
    }

    /// The checkpoints, for an input that begins.
    pub(super) fn checkpoints(&mut self) -> &mut Checkpoints {
        &mut self.checkpoints
    }

    /// Notes something behind which reading goes on at `next`.
    pub(super) fn enter(&mut self, path: &Arc<Path>, next: Position) -> Entry {
        let open = self.files.entry(Arc::clone(path)).or_default();
        let number = open.first + open.entries.len() as u64;
        open.entries.push_back((next, false));
        Entry { path: Arc::clone(path), number }
    }

    /// Notes that the sink has it, or will never take it. The file's checkpoint goes to the first entry that is not settled.
    pub(super) fn settle(&mut self, entry: &Entry) {
        let Some(open) = self.files.get_mut(&entry.path) else { return };
        let index = usize::try_from(entry.number.saturating_sub(open.first)).unwrap_or(usize::MAX);
        if let Some((_, is_settled)) = open.entries.get_mut(index) {
            *is_settled = true;
        }
        while let Some((next, true)) = open.entries.front().copied() {
            open.entries.pop_front();
            open.first += 1;
            self.checkpoints.set(&entry.path, next);
            self.is_changed = true;
        }
    }

    /// Writes the checkpoints down if any has moved.
    ///
    /// # Errors
    ///
    /// If they cannot be written; then a restart sends some events once more.
    pub(super) fn save(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_changed) { self.checkpoints.save() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_waits_for_everything_before_it() {
        let mut ledger = Ledger::new(Checkpoints::default());
        let at = |offset| Position { device: 1, inode: 2, generation: 0, offset };
        let paths: [Arc<Path>; 2] = [Path::new("a").into(), Path::new("b").into()];
        let first: Vec<Entry> = (1..=3).map(|offset| ledger.enter(&paths[0], at(offset))).collect();
        let other = ledger.enter(&paths[1], at(9));
        let offset = |ledger: &mut Ledger, path: &Path| {
            ledger.checkpoints().position(path).map(|position| position.offset)
        };
        ledger.settle(&first[1]);
        ledger.settle(&other);
        assert_eq!((offset(&mut ledger, &paths[0]), offset(&mut ledger, &paths[1])), (None, Some(9)));
        ledger.settle(&first[0]);
        assert_eq!(offset(&mut ledger, &paths[0]), Some(2));
        // Settled again, or long gone: nothing happens.
        ledger.settle(&first[0]);
        ledger.settle(&first[2]);
        assert_eq!(offset(&mut ledger, &paths[0]), Some(3));
        assert!(ledger.save().is_ok() && !ledger.is_changed);
    }
}
