//! Why a packed file cannot be used.

use std::fmt;

/// Why a packed file cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PackError {
    /// The file does not begin as a packed symbol file does.
    NotPacked,
    /// The file has a version of the format that this reader does not know.
    Version(u16),
    /// The file, or a section of it, ends too early.
    Truncated,
    /// A checksum does not fit; of what is named.
    Checksum(&'static str),
    /// The file cannot be understood without a section that this reader does not know.
    UnknownSection([u8; 4]),
    /// A section of every file is not there.
    MissingSection,
    /// The file names more sections than any file has.
    TooManySections,
}

impl fmt::Display for PackError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPacked => out.write_str("not a packed symbol file"),
            Self::Version(version) => write!(out, "packed symbol file of the unknown version {version}"),
            Self::Truncated => out.write_str("packed symbol file is truncated"),
            Self::Checksum(what) => write!(out, "packed symbol file is damaged: checksum of {what}"),
            Self::UnknownSection(tag) => {
                write!(out, "packed symbol file needs a newer reader: section {}", tag.escape_ascii())
            }
            Self::MissingSection => out.write_str("packed symbol file lacks a section"),
            Self::TooManySections => out.write_str("packed symbol file has too many sections"),
        }
    }
}

impl std::error::Error for PackError {}
