//! What can go wrong with a file that should be symbolized. "Nothing is known about this address" is no error
//! but an answer: see [`Missing`](crate::Missing).

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a file could not be used, which file, and the cause where the system or a parser gave one.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {}", path.display())]
pub struct Error {
    kind: ErrorKind,
    path: PathBuf,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, path: &Path) -> Self {
        Error { kind, path: path.to_owned(), source: None }
    }

    pub(crate) fn caused_by(
        kind: ErrorKind,
        path: &Path,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Error { kind, path: path.to_owned(), source: Some(source.into()) }
    }

    /// What went wrong, to match on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The file in question.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No file has this path.
    NotFound,
    /// A directory, FIFO, socket or device.
    NotRegular,
    /// The system refused to open, inspect or map the file.
    Unreadable,
    /// The file's length changed between opening and mapping: somebody is writing it.
    Changed,
    /// The file does not start with the ELF magic number.
    NotElf,
    /// A core dump: its addresses belong to the modules that it names.
    NotLinked,
    /// A packed symbol file, where a program is wanted.
    Packed,
    /// The file starts as ELF, but its headers point outside the file or contradict themselves.
    Corrupt,
    /// The DWARF in the file, or a part of it, cannot be used. The symbol table still answers.
    Dwarf,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::NotFound => "no such file",
            ErrorKind::NotRegular => "not a regular file, name a program or a shared object",
            ErrorKind::Unreadable => "file cannot be read",
            ErrorKind::Changed => "file changed while it was opened, try again once it is written",
            ErrorKind::NotElf => "not an ELF file, name a program or a shared object",
            ErrorKind::NotLinked => "core dump, name the program or shared object instead",
            ErrorKind::Packed => "packed symbols already, name the program that they were made of",
            ErrorKind::Corrupt => "truncated or corrupt ELF file",
            ErrorKind::Dwarf => "debug information cannot be used",
        })
    }
}
