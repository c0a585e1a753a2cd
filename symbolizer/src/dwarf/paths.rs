//! The paths of a unit's source files, put together from the parts that the compiler recorded.
//!
//! Compilation directory, directory and name, each after the one before unless it is absolute; `..` and `.` stay as
//! they are. Since DWARF 5 directory 0 is the compilation directory itself, and files are counted from 0.

use super::abbrev::Slot;
use super::line::{File, Files, Program};
use super::unit::Place;

/// Bytes of one path at most: the system's `PATH_MAX`. What is longer names no file.
const PATH_BYTES_MAX: usize = 4_096;

/// The paths of the files that one line program names.
pub(crate) struct Paths<'a> {
    directory: &'a [u8],
    files: Files<'a>,
}

impl<'a> Paths<'a> {
    /// The paths of the files of `program`, which is that of the unit at `place`.
    pub(crate) fn of(place: &Place<'a>, program: &Program<'a>) -> Paths<'a> {
        let directory = place.unit.root.attributes().get(Slot::CompilationDirectory);
        let directory = directory.and_then(|value| place.text(value)).map_or(&b""[..], |text| text.bytes);
        Paths { directory, files: program.files(place) }
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.files.len()
    }

    /// Where the file with the number `file`, as entries and rows give it, stands in the table.
    pub(crate) fn position(&self, file: u64) -> Option<usize> {
        let first = u64::from(self.files.version < 5);
        usize::try_from(file.checked_sub(first)?).ok().filter(|position| *position < self.len())
    }

    /// The path of the file at a position of the table. `None` if it has no name or its path is too long.
    pub(crate) fn path(&self, position: usize) -> Option<Vec<u8>> {
        let File { name, directory } = *self.files.files.get(position)?;
        if name.is_empty() {
            return None;
        }
        let mut path = Vec::new();
        let is_new = self.files.version >= 5;
        if !is_new || directory != 0 {
            push(&mut path, self.directory);
        }
        let first = u64::from(!is_new);
        let listed = directory.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(directory) = listed.and_then(|index| self.files.directories.get(index)) {
            push(&mut path, directory);
        }
        push(&mut path, name);
        (path.len() <= PATH_BYTES_MAX).then_some(path)
    }
}

/// Appends a part of a path, which takes the place of all before it if it is absolute.
fn push(path: &mut Vec<u8>, part: &[u8]) {
    if part.starts_with(b"/") {
        path.clear();
    } else if !path.is_empty() && !path.ends_with(b"/") && !part.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(&part[..part.len().min(PATH_BYTES_MAX + 1)]);
}
