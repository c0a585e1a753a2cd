//! The names of files in a symbol store.
//!
//! ```text
//! ROOT/ab/cdef…/debuginfo        what strip took away, or a program that was not stripped
//! ROOT/ab/cdef…/executable       the program or shared object
//! ROOT/ab/cdef…/packed           names alone, as `symbols pack` writes them
//! ROOT/ab/cdef…/debuginfo.json   what `push` knows of the file: {"name":…,"bytes":…,"sha256":…}
//! ```
//!
//! `ab` is the first byte of the build-id in hexadecimal, `cdef…` the rest. The same names are keys below a prefix of S3 and
//! paths below a URL. A folder as distributions and `debugedit` lay it out is read as well, but not written:
//!
//! ```text
//! ROOT/.build-id/ab/cdef….debug  debuginfo
//! ROOT/.build-id/ab/cdef…        executable
//! ```

use std::fmt;

use trace_symbolizer::BuildId;

/// What of a build is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The file with the debug information.
    Debuginfo,
    /// The program or shared object.
    Executable,
    /// Names alone, as `symbols pack` writes them.
    Packed,
    /// A source file, by its path in the debug information. Only debuginfod servers have them.
    Source(String),
}

/// The kinds that a store holds.
pub const STORED: [Kind; 3] = [Kind::Debuginfo, Kind::Executable, Kind::Packed];

impl Kind {
    /// The kind's name, in paths and in what is printed.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Debuginfo => "debuginfo",
            Self::Executable => "executable",
            Self::Packed => "packed",
            Self::Source(_) => "source",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(path) => write!(f, "source {path}"),
            other => f.write_str(other.word()),
        }
    }
}

/// The first byte of a build-id and the rest of it, in hexadecimal. A build-id has two bytes at least.
#[must_use]
pub fn parted(id: &BuildId) -> (String, String) {
    let mut first = id.to_string();
    let rest = first.split_off(2);
    (first, rest)
}

/// Where a store keeps a file.
#[must_use]
pub fn written(id: &BuildId, kind: &Kind) -> String {
    let (first, rest) = parted(id);
    format!("{first}/{rest}/{}", kind.word())
}

/// Where a store keeps what is known of a file.
#[must_use]
pub fn facts(id: &BuildId, kind: &Kind) -> String {
    format!("{}.json", written(id, kind))
}

/// Everywhere that a file may be in a store, likeliest first.
#[must_use]
pub fn candidates(id: &BuildId, kind: &Kind) -> Vec<String> {
    let (first, rest) = parted(id);
    match kind {
        Kind::Debuginfo => vec![written(id, kind), format!(".build-id/{first}/{rest}.debug")],
        Kind::Executable => vec![written(id, kind), format!(".build-id/{first}/{rest}")],
        Kind::Packed => vec![written(id, kind)],
        Kind::Source(_) => Vec::new(),
    }
}

/// What a name in a store stands for, if it is one of either layout.
#[must_use]
pub fn parse(name: &str) -> Option<(BuildId, Kind)> {
    let (first, rest, kind) = match name.strip_prefix(".build-id/") {
        Some(name) => {
            let (first, rest) = name.split_once('/')?;
            match rest.strip_suffix(".debug") {
                Some(rest) => (first, rest, Kind::Debuginfo),
                None => (first, rest, Kind::Executable),
            }
        }
        None => {
            let mut parts = name.splitn(3, '/');
            let (first, rest, word) = (parts.next()?, parts.next()?, parts.next()?);
            (first, rest, STORED.into_iter().find(|kind| kind.word() == word)?)
        }
    };
    let id: BuildId = (first.len() == 2).then(|| format!("{first}{rest}").parse().ok())??;
    // One name for one file: upper case would be another.
    candidates(&id, &kind).iter().any(|candidate| candidate == name).then_some((id, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_for_what_it_was_made_of() {
        let id: BuildId = "abcdef0123".parse().unwrap();
        assert_eq!(written(&id, &Kind::Packed), "ab/cdef0123/packed");
        for kind in STORED {
            for name in candidates(&id, &kind) {
                assert_eq!(parse(&name), Some((id.clone(), kind.clone())), "{name}");
            }
        }
    }

    #[test]
    fn other_names_stand_for_nothing() {
        let names = [
            "",
            "ab",
            "ab/cd/debuginfo.json",
            "ab/cd/debuginfo/x",
            "AB/CD/debuginfo",
            "abc/d0/debuginfo",
            "../cd/packed",
            ".build-id/ab/cd/ef",
            ".build-id/ab/.debug",
        ];
        for name in names {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
