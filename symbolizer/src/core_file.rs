//! Core dumps: which files a process had mapped where, as the kernel notes it in the dump (`NT_FILE`). The addresses of a
//! dump are those of the process; here they become places in files, and [`Module`](crate::Module) answers for those.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::read::elf::{ElfFile, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectKind, elf};

use crate::address::RuntimeAddress;
use crate::error::{Error, ErrorKind};
use crate::mmap::Bytes;

/// Mappings read of one dump at most: what a process may have (`vm.max_map_count`) is 65,530.
const MAPPINGS_MAX: usize = 1 << 17;

/// The files that a process had mapped when it was dumped.
#[derive(Debug)]
pub struct CoreFile {
    mappings: Vec<Mapping>,
}

#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: u64,
    end: u64,
    /// Where in the file the mapping begins, in bytes.
    offset: u64,
    path: PathBuf,
}

impl CoreFile {
    /// Reads the list of mapped files of the dump at `path`.
    ///
    /// # Errors
    /// The file is absent, no regular file, no core dump, or its list is missing or damaged.
    pub fn open(path: &Path) -> Result<CoreFile, Error> {
        let (bytes, _) = Bytes::map(path)?;
        if !bytes.starts_with(&elf::ELFMAG) {
            return Err(Error::new(ErrorKind::NotElf, path));
        }
        let corrupt = |cause: object::Error| Error::caused_by(ErrorKind::Corrupt, path, cause);
        let mappings = match object::File::parse(&*bytes).map_err(corrupt)? {
            object::File::Elf64(file) if file.kind() == ObjectKind::Core => of_file(&file),
            object::File::Elf32(file) if file.kind() == ObjectKind::Core => of_file(&file),
            _ => return Err(Error::new(ErrorKind::NotLinked, path)),
        };
        mappings.map(|mappings| CoreFile { mappings }).ok_or_else(|| Error::new(ErrorKind::Corrupt, path))
    }

    /// The file that was mapped at an address, and where in the file that is, in bytes.
    pub fn find(&self, address: RuntimeAddress) -> Option<(&Path, u64)> {
        let mapping =
            self.mappings.iter().find(|mapping| (mapping.start..mapping.end).contains(&address.0))?;
        Some((&mapping.path, (address.0 - mapping.start).checked_add(mapping.offset)?))
    }
}

fn of_file<H: FileHeader<Endian = Endianness>>(file: &ElfFile<'_, H>) -> Option<Vec<Mapping>> {
    let endian = file.endian();
    let address_size = if file.is_64() { 8 } else { 4 };
    for segment in file.elf_program_headers() {
        let Ok(Some(mut notes)) = segment.notes(endian, file.data()) else { continue };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == elf::ELF_NOTE_CORE && note.n_type(endian) == elf::NT_FILE {
                return mappings(note.desc(), endian == Endianness::Big, address_size);
            }
        }
    }
    None
}

/// Count and page size; start, end and offset in pages of each mapping; the paths, each with a NUL behind it.
fn mappings(note: &[u8], big_endian: bool, address_size: u8) -> Option<Vec<Mapping>> {
    let mut cursor = crate::dwarf::cursor::Cursor::new(note, 0, big_endian);
    let mut number = || cursor.unsigned(address_size);
    let (count, page_size) = (usize::try_from(number()?).ok()?.min(MAPPINGS_MAX), number()?);
    let mut mappings = Vec::new();
    for _ in 0..count {
        let (start, end, pages) = (number()?, number()?, number()?);
        mappings.push(Mapping { start, end, offset: pages.checked_mul(page_size)?, path: PathBuf::new() });
    }
    for mapping in &mut mappings {
        mapping.path = PathBuf::from(OsStr::from_bytes(cursor.text()?));
    }
    Some(mappings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let mut note = Vec::new();
        for number in [2_u64, 4096, 0x40_0000, 0x40_1000, 0, 0x7f00_0000, 0x7f00_2000, 3] {
            note.extend(number.to_le_bytes());
        }
        note.extend(b"/srv/app\0/lib/libc.so.6\0");
        let core = CoreFile { mappings: mappings(&note, false, 8).unwrap() };
        assert_eq!(core.find(RuntimeAddress(0x40_0010)), Some((Path::new("/srv/app"), 0x10)));
        assert_eq!(core.find(RuntimeAddress(0x7f00_1001)), Some((Path::new("/lib/libc.so.6"), 0x4001)));
        assert_eq!(core.find(RuntimeAddress(0x7f00_2000)), None);
        for length in 0..note.len() - 1 {
            assert_eq!(mappings(&note[..length], false, 8), None, "{length}");
        }
    }
}
