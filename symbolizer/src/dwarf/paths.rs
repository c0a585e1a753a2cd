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

#[cfg(test)]
mod tests {
    use super::*;

    fn path(version: u16, compiled_in: &'static [u8], directory: u64, name: &'static [u8]) -> String {
        let directories = match version {
            5 => vec![&b"/build"[..], b"sub", b"/usr/include"],
            _ => vec![&b"sub"[..], b"/usr/include"],
        };
        let files = Files { version, directories, files: vec![File { name, directory }] };
        String::from_utf8(Paths { directory: compiled_in, files }.path(0).unwrap()).unwrap()
    }

    #[test]
    fn a_path_is_put_together_from_where_it_was_compiled() {
        assert_eq!(path(4, b"/build", 0, b"a.c"), "/build/a.c");
        assert_eq!(path(4, b"/build/", 1, b"../a.c"), "/build/sub/../a.c");
        assert_eq!(path(4, b"/build", 2, b"a.h"), "/usr/include/a.h");
        assert_eq!(path(4, b"/build", 1, b"/abs/a.c"), "/abs/a.c");
        assert_eq!(path(5, b"/build", 0, b"a.c"), "/build/a.c");
        assert_eq!(path(5, b"/build", 1, b"a.c"), "/build/sub/a.c");
        // A folder that is not listed is not invented.
        assert_eq!(path(4, b".", 9, b"a.c"), "./a.c");
    }

    #[test]
    fn files_are_counted_from_0_since_dwarf_5() {
        let paths = |version| Paths {
            directory: b"",
            files: Files { version, directories: Vec::new(), files: vec![File { name: b"a", directory: 0 }] },
        };
        assert_eq!((paths(4).position(0), paths(4).position(1)), (None, Some(0)));
        assert_eq!((paths(5).position(0), paths(5).position(1)), (Some(0), None));
    }
}
