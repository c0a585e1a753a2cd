//! The bytes of a file, mapped, shared and immutable: the only module of this crate with `unsafe`.
//!
//! DWARF readers hold pieces of a file for as long as a module lives, so the bytes are counted by reference and
//! a reader keeps its own count. That lets one value own the map and what was parsed from it.

#![expect(unsafe_code, reason = "mapping a file")]

use std::fmt;
use std::ops::{Deref, Range};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{Error, ErrorKind};
use crate::regular;

/// Bytes that do not move while anybody holds a clone.
#[derive(Clone)]
pub(crate) struct Bytes {
    store: Arc<Store>,
    /// The part of the store that this value shows.
    range: Range<usize>,
}

enum Store {
    Mapped(Mmap),
    Owned(Box<[u8]>),
}

/// Which file a map shows, whatever path led there: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl Bytes {
    /// Maps the regular file at `path`, all of it.
    pub(crate) fn map(path: &Path) -> Result<(Bytes, FileIdentity), Error> {
        let (file, metadata) = regular::open(path)?;
        let identity = FileIdentity { device: metadata.dev(), inode: metadata.ino() };
        // SAFETY: the map is read-only and never handed out mutably. What cannot be guaranteed is that nobody
        // else writes to the file. If somebody does, bytes may differ between two reads: every parser
        // here checks each value as it reads it and keeps slices only, whose length is fixed now. If somebody
        // truncates it, a read past the new end is SIGBUS, which ends the process; the length check below
        // narrows that to a file shortened while it is being symbolized. Symbolizing runs in a worker process
        // where the process matters, see ARCHITECTURE.md.
        let map = unsafe { Mmap::map(&file) }
            .map_err(|error| Error::caused_by(ErrorKind::Unreadable, path, error))?;
        // Questions touch a page here and there; what the system would read ahead is memory for nothing. Where it does not
        // take the advice nothing is lost.
        let _: std::io::Result<()> = map.advise(memmap2::Advice::Random);
        let length =
            file.metadata().map_err(|error| Error::caused_by(ErrorKind::Unreadable, path, error))?.len();
        if u64::try_from(map.len()) != Ok(length) {
            return Err(Error::new(ErrorKind::Changed, path));
        }
        Ok((Bytes::all_of(Store::Mapped(map)), identity))
    }

    /// Bytes that were made here, such as a decompressed section.
    pub(crate) fn owned(bytes: Vec<u8>) -> Bytes {
        Bytes::all_of(Store::Owned(bytes.into()))
    }

    fn all_of(store: Store) -> Bytes {
        let range = 0..store.bytes().len();
        Bytes { store: Arc::new(store), range }
    }

    /// The part of these bytes that starts at `offset`; `None` if it does not lie inside.
    pub(crate) fn part(&self, offset: u64, length: u64) -> Option<Bytes> {
        let end = usize::try_from(offset.checked_add(length)?).ok()?;
        let start = usize::try_from(offset).ok()?;
        (end <= self.len()).then(|| Bytes {
            store: Arc::clone(&self.store),
            range: self.range.start + start..self.range.start + end,
        })
    }
}

impl Store {
    fn bytes(&self) -> &[u8] {
        match self {
            Store::Mapped(map) => map,
            Store::Owned(bytes) => bytes,
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.store.bytes()[self.range.clone()]
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_shows_the_same_bytes_at_the_same_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, b"four").unwrap();
        let (bytes, identity) = Bytes::map(&path).unwrap();
        let clone = bytes.clone();
        assert_eq!((&*clone, clone.as_ptr()), (&b"four"[..], bytes.as_ptr()));
        drop(bytes);
        assert_eq!(&*clone, b"four");

        std::os::unix::fs::symlink(&path, directory.path().join("link")).unwrap();
        assert_eq!(Bytes::map(&directory.path().join("link")).unwrap().1, identity);
    }

    #[test]
    fn a_part_lies_inside_or_is_none() {
        let bytes = Bytes::owned(b"0123456789".to_vec());
        let part = bytes.part(2, 5).unwrap();
        assert_eq!(&*part, b"23456");
        assert_eq!(&*part.part(1, 2).unwrap(), b"34");
        for (offset, length) in [(5, 6), (11, 0), (u64::MAX, 1), (1, u64::MAX)] {
            assert!(bytes.part(offset, length).is_none(), "{offset} {length}");
        }
    }

    #[test]
    fn an_empty_file_is_no_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(&*Bytes::map(file.path()).unwrap().0, b"");
    }

    #[test]
    fn only_regular_files_are_mapped() {
        let directory = tempfile::tempdir().unwrap();
        let kind = |path: &Path| Bytes::map(path).unwrap_err().kind();
        assert_eq!(kind(&directory.path().join("absent")), ErrorKind::NotFound);
        assert_eq!(kind(directory.path()), ErrorKind::NotRegular);
        assert_eq!(kind(Path::new("/dev/null")), ErrorKind::NotRegular);
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(kind(&socket), ErrorKind::NotRegular);
    }
}
