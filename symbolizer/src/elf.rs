//! What an ELF file says about itself, short of its symbols and its DWARF: where its code is, which build-id it
//! has, which debug file it points to, and the bytes of a named section.

use std::ffi::OsString;
use std::io::Read;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use object::read::CompressionFormat;
use object::{Object, ObjectKind, ObjectSection, ObjectSegment, SectionFlags, SegmentFlags, elf};

use crate::build_id::BuildId;
use crate::error::{Error, ErrorKind};
use crate::mmap::{Bytes, FileIdentity};
use crate::relocate;

/// Decompressed bytes of one file's sections together at most. The largest `.debug_info` of a program that fits a function
/// (10 GB image, 250 MB archive) is far smaller; a header can claim 2^64.
pub(crate) const DECOMPRESSED_BYTES_MAX: u64 = 1 << 30;

/// Decompressed bytes per compressed byte at most. Deflate cannot do better than 1,032, zstd reaches 40,000, and
/// debug information comes to 2 to 6.
const DECOMPRESSION_RATIO_MAX: u64 = 1_000;

/// Bytes of decompressed MiniDebugInfo at most: the symbol tables of the largest programs.
const MINI_DEBUG_BYTES_MAX: u64 = 256 << 20;

/// KiB of memory that decompressing MiniDebugInfo may take: `xz -9` needs 65 MiB.
const XZ_MEMORY_KIB_MAX: u32 = 80 << 10;

/// One ELF file, mapped and checked as far as its headers go.
///
/// [`object`]'s view borrows the bytes and costs microseconds to make, so it is made anew where it is needed, and
/// this value owns all that it refers to.
#[derive(Debug, Clone)]
pub(crate) struct Elf {
    path: PathBuf,
    identity: FileIdentity,
    bytes: Bytes,
}

/// What `.gnu_debuglink` says: the name of the debug file, without a directory, and the CRC-32 of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DebugLink {
    pub(crate) name: OsString,
    pub(crate) crc32: u32,
}

impl Elf {
    /// Maps `path` and reads its headers.
    pub(crate) fn open(path: &Path) -> Result<Elf, Error> {
        let (bytes, identity) = Bytes::map(path)?;
        Elf::from_bytes(path, identity, bytes)
    }

    /// Reads the headers of what stands in `bytes`, which come from the file at `path`.
    pub(crate) fn from_bytes(path: &Path, identity: FileIdentity, bytes: Bytes) -> Result<Elf, Error> {
        if !bytes.starts_with(&elf::ELFMAG) {
            return Err(Error::new(ErrorKind::NotElf, path));
        }
        let view = object::File::parse(&*bytes)
            .map_err(|error| Error::caused_by(ErrorKind::Corrupt, path, error))?;
        if view.kind() == ObjectKind::Core {
            return Err(Error::new(ErrorKind::NotLinked, path));
        }
        drop(view);
        Ok(Elf { path: path.to_owned(), identity, bytes })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn identity(&self) -> FileIdentity {
        self.identity
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The machine that the file is for: `e_machine`.
    pub(crate) fn machine(&self) -> u16 {
        // Elf32_Ehdr and Elf64_Ehdr agree up to here: 16 bytes of identification, a half-word for the kind.
        let Some(&[_, _, _, _, _, data, ..]) = self.bytes.get(..18) else { return 0 };
        let half: [u8; 2] = self.bytes.get(18..20).and_then(|half| half.try_into().ok()).unwrap_or_default();
        if data == elf::ELFDATA2MSB.0 { u16::from_be_bytes(half) } else { u16::from_le_bytes(half) }
    }

    /// The parsed headers, which `open` found to be sound.
    ///
    /// An error only if the file was overwritten since.
    pub(crate) fn view(&self) -> Result<object::File<'_>, Error> {
        object::File::parse(&*self.bytes)
            .map_err(|error| Error::caused_by(ErrorKind::Corrupt, &self.path, error))
    }
}

/// The build-id, if there is one. Damaged notes count as none.
pub(crate) fn build_id(view: &object::File<'_>) -> Option<BuildId> {
    view.build_id().ok().flatten().and_then(BuildId::new)
}

/// The debug link, if there is one. A damaged one counts as none.
pub(crate) fn debug_link(view: &object::File<'_>) -> Option<DebugLink> {
    let (name, crc32) = view.gnu_debuglink().ok().flatten()?;
    Some(DebugLink { name: OsString::from_vec(name.to_owned()), crc32 })
}

/// What `.gnu_debugaltlink` says: the path of the file that `dwz` moved to what several debug files have in common, and
/// its build-id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedLink {
    pub(crate) path: PathBuf,
    pub(crate) build_id: BuildId,
}

/// The link to the shared file, if there is one. A damaged one counts as none.
pub(crate) fn shared_link(view: &object::File<'_>) -> Option<SharedLink> {
    let (path, build_id) = view.gnu_debugaltlink().ok().flatten()?;
    let path = PathBuf::from(OsString::from_vec(path.to_owned()));
    Some(SharedLink { path, build_id: BuildId::new(build_id)? })
}

/// The symbol table of MiniDebugInfo: an ELF file of its own, compressed as a section. A damaged one counts as none.
pub(crate) fn mini_debug(elf: &Elf, view: &object::File<'_>) -> Option<Elf> {
    let section = view.section_by_name(".gnu_debugdata")?;
    let compressed = section.data().ok()?;
    let most = u64::try_from(compressed.len()).ok()?.saturating_mul(DECOMPRESSION_RATIO_MAX);
    let mut bytes = Vec::new();
    let reader = lzma_rust2::XzReader::new_mem_limit(compressed, true, XZ_MEMORY_KIB_MAX);
    reader.take(most.min(MINI_DEBUG_BYTES_MAX)).read_to_end(&mut bytes).ok()?;
    Elf::from_bytes(elf.path(), elf.identity, Bytes::owned(bytes)).ok()
}

/// Whether the file has debug information of its own. A stripped file has no such section; a debug file that
/// was cut off has one without bytes.
pub(crate) fn has_dwarf(view: &object::File<'_>) -> bool {
    view.section_by_name(".debug_info")
        .and_then(|section| section.data().ok())
        .is_some_and(|bytes| !bytes.is_empty())
}

/// Whether there is a `.symtab`, which a program does not need to run and `strip` removes.
pub(crate) fn has_symbol_table(view: &object::File<'_>) -> bool {
    view.symbol_table().is_some()
}

/// The bytes of the section `name`, no bytes if there is no such section. If they must be decompressed, that is
/// taken off `decompressed_bytes_left`, which starts as [`DECOMPRESSED_BYTES_MAX`].
pub(crate) fn section(
    elf: &Elf,
    view: &object::File<'_>,
    name: &str,
    decompressed_bytes_left: &mut u64,
) -> Result<Bytes, String> {
    let in_section = |problem: &dyn std::fmt::Display| format!("section {name}: {problem}");
    let Some(section) = view.section_by_name(name) else {
        return Ok(Bytes::owned(Vec::new()));
    };
    let stored = section.compressed_file_range().map_err(|error| in_section(&error))?;
    if stored.format == CompressionFormat::None {
        let part = elf.bytes.part(stored.offset, stored.compressed_size);
        let part = part.ok_or_else(|| in_section(&"lies past the end of the file"))?;
        return Ok(match view.kind() {
            ObjectKind::Relocatable => relocated(view, &section, part.to_vec()),
            _ => part,
        });
    }
    let ratio_max = stored.compressed_size.saturating_mul(DECOMPRESSION_RATIO_MAX);
    if stored.uncompressed_size > ratio_max.min(*decompressed_bytes_left) {
        return Err(in_section(&format_args!(
            "{} compressed bytes claim to hold {}",
            stored.compressed_size, stored.uncompressed_size
        )));
    }
    *decompressed_bytes_left -= stored.uncompressed_size;
    let data = stored.data(&**elf.bytes()).map_err(|error| in_section(&error))?;
    let bytes =
        decompress(data.data, data.format, stored.uncompressed_size).map_err(|error| in_section(&error))?;
    Ok(match view.kind() {
        ObjectKind::Relocatable => relocated(view, &section, bytes),
        _ => Bytes::owned(bytes),
    })
}

/// A section of a relocatable object as the linker would have completed it.
fn relocated(view: &object::File<'_>, section: &object::Section<'_, '_>, mut bytes: Vec<u8>) -> Bytes {
    relocate::apply(view, section, &mut bytes);
    Bytes::owned(bytes)
}

/// Exactly `length` bytes out of a compressed section, however many more it would give.
fn decompress(data: &[u8], format: CompressionFormat, length: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
    match format {
        CompressionFormat::Zlib => flate2::read::ZlibDecoder::new(data).read_exact(&mut bytes)?,
        CompressionFormat::Zstandard => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(data).map_err(std::io::Error::other);
            decoder?.read_exact(&mut bytes)?;
        }
        _ => return Err(std::io::Error::other("compressed in a way that is not known")),
    }
    Ok(bytes)
}

/// Where a module has code: its executable sections, or its executable segments if it has no section headers.
#[derive(Debug)]
pub(crate) struct CodeRanges(Vec<Range<u64>>);

impl CodeRanges {
    pub(crate) fn of(view: &object::File<'_>) -> CodeRanges {
        let only = match view.kind() {
            ObjectKind::Relocatable => relocate::code_section(view),
            _ => None,
        };
        let is_code = |section: &object::Section<'_, '_>| {
            is_executable(section.flags()) && only.is_none_or(|only| only == section.index())
        };
        let sections = view.sections().filter(is_code);
        let mut ranges: Vec<_> = sections.map(|section| extent(section.address(), section.size())).collect();
        if ranges.is_empty() {
            let executable = |flags| {
                matches!(flags, SegmentFlags::Elf { p_type, p_flags }
                    if p_type == elf::PT_LOAD && p_flags.contains(elf::PF_X))
            };
            let segments = view.segments().filter(|segment| executable(segment.flags()));
            ranges = segments.map(|segment| extent(segment.address(), segment.size())).collect();
        }
        CodeRanges(ranges)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }

    /// Whether code may start at `address`. What linkers dropped starts at 0 or thereabouts, or at the end of the
    /// address space. Never true for `u64::MAX`: ranges end before it.
    pub(crate) fn starts_in(&self, address: u64) -> bool {
        self.0.iter().any(|range| range.contains(&address))
    }
}

/// Whether a section holds code that is loaded.
pub(crate) fn is_executable(flags: SectionFlags) -> bool {
    matches!(flags, SectionFlags::Elf { sh_flags, .. }
        if sh_flags.contains(elf::SHF_ALLOC) && sh_flags.contains(elf::SHF_EXECINSTR))
}

/// `size` bytes from `start`, cut off at the end of the address space.
pub(crate) fn extent(start: u64, size: u64) -> Range<u64> {
    start..start.saturating_add(size)
}
