//! The frame of the file: header, section table, checksums. What the sections hold is written down in the
//! modules that write them; `FORMAT.md` has it all in one place.
//!
//! All numbers are little-endian. The header:
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 8 | magic, `7f 54 41 53 59 4d 53 0a` |
//! | 8 | 2 | format version, 1 |
//! | 10 | 2 | architecture: ELF `e_machine` |
//! | 12 | 4 | flags: 1 inlines are complete, 2 columns are kept, 4 linkage names are kept |
//! | 16 | 8 | lowest address that is known |
//! | 24 | 8 | end of the highest range that is known |
//! | 32 | 8 | length of the file |
//! | 40 | 1 | address alignment: all ranges begin and end at multiples of 2 to this power |
//! | 41 | 1 | bytes of the build-id, at most 64 |
//! | 42 | 2 | sections |
//! | 44 | 4 | zero |
//! | 48 | 64 | build-id, filled up with zeros |
//! | 112 | 32 each | section table |
//! | after it | 4 | CRC-32 of everything before |
//!
//! An entry of the section table:
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 4 | tag |
//! | 4 | 4 | flags: 1 a reader that does not know the tag must refuse the file; others skip the section |
//! | 8 | 8 | offset in the file |
//! | 16 | 8 | length in bytes |
//! | 24 | 4 | CRC-32 of the section |
//! | 28 | 4 | zero |

use crate::error::PackError;

/// The first bytes of every file. Not text, so that nothing takes it for a text file.
pub const MAGIC: [u8; 8] = *b"\x7fTASYMS\n";

/// The version of the format that this crate writes, and the only one that it reads.
pub const VERSION: u16 = 1;

/// The longest build-id in bytes that is kept; linkers make 8 to 32.
pub const MAX_BUILD_ID: usize = 64;

/// Header flag: every inlined frame was found.
pub(crate) const COMPLETE_INLINES: u32 = 1;
/// Header flag: frames have columns.
pub(crate) const HAS_COLUMNS: u32 = 2;
/// Header flag: functions have linkage names.
pub(crate) const HAS_LINKAGE_NAMES: u32 = 4;

const HEADER: usize = 112;
const ENTRY: usize = 32;
const REQUIRED: u32 = 1;

/// Sections that a reader accepts. It bounds what opening costs.
const MAX_SECTIONS: usize = 256;

/// The sections of this version, in the order of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub(crate) enum Section {
    /// Start and length (8 bytes each) of every section of the program that holds code.
    Text,
    /// Prefix codes.
    Models,
    /// Where each block of ranges begins.
    RangeIndex,
    /// Blocks of ranges.
    Ranges,
    /// Where each group of functions begins.
    FunctionIndex,
    /// Functions.
    Functions,
    /// Where each group of strings begins.
    StringIndex,
    /// Strings as symbols.
    Strings,
    /// Where each group of words begins.
    WordIndex,
    /// Words.
    Words,
    /// Rules: pairs of symbols.
    Rules,
}

/// The number of sections of this version.
pub(crate) const SECTION_COUNT: usize = 11;

const TAGS: [&[u8; 4]; SECTION_COUNT] =
    [b"TEXT", b"MODL", b"RIDX", b"RNGS", b"FIDX", b"FUNC", b"SIDX", b"STRS", b"WIDX", b"WORD", b"RULE"];

/// The facts in the header.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileHeader {
    pub(crate) architecture: u16,
    pub(crate) flags: u32,
    pub(crate) low: u64,
    pub(crate) high: u64,
    pub(crate) shift: u8,
    pub(crate) build_id: Vec<u8>,
}

/// Puts header and sections together.
pub(crate) fn assemble(header: &FileHeader, sections: &[Vec<u8>; SECTION_COUNT]) -> Vec<u8> {
    let table_end = HEADER + ENTRY * SECTION_COUNT + 4;
    let total = table_end + sections.iter().map(Vec::len).sum::<usize>();
    let mut file = Vec::with_capacity(total);
    file.extend(MAGIC);
    file.extend(VERSION.to_le_bytes());
    file.extend(header.architecture.to_le_bytes());
    file.extend(header.flags.to_le_bytes());
    file.extend(header.low.to_le_bytes());
    file.extend(header.high.to_le_bytes());
    file.extend((total as u64).to_le_bytes());
    file.extend([header.shift, header.build_id.len() as u8]);
    file.extend((SECTION_COUNT as u16).to_le_bytes());
    file.extend([0; 4]);
    file.extend(&header.build_id);
    file.resize(HEADER, 0);
    let mut offset = table_end as u64;
    for (tag, section) in TAGS.iter().zip(sections) {
        file.extend(*tag);
        file.extend(REQUIRED.to_le_bytes());
        file.extend(offset.to_le_bytes());
        file.extend((section.len() as u64).to_le_bytes());
        file.extend(crc32fast::hash(section).to_le_bytes());
        file.extend([0; 4]);
        offset += section.len() as u64;
    }
    let checksum = crc32fast::hash(&file);
    file.extend(checksum.to_le_bytes());
    for section in sections {
        file.extend(section);
    }
    file
}

/// A section as the table has it.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) tag: [u8; 4],
    pub(crate) data: &'a [u8],
    pub(crate) checksum: u32,
}

/// What opening a file gives.
pub(crate) struct Opened<'a> {
    pub(crate) header: FileHeader,
    pub(crate) checksum: u32,
    pub(crate) sections: [&'a [u8]; SECTION_COUNT],
}

/// Reads and verifies the header and finds the sections, which are not touched.
pub(crate) fn open(bytes: &[u8]) -> Result<Opened<'_>, PackError> {
    if !bytes.starts_with(&MAGIC) {
        return Err(PackError::NotPacked);
    }
    let version = u16_at(bytes, 8).ok_or(PackError::Truncated)?;
    if version != VERSION {
        return Err(PackError::Version(version));
    }
    let table_end = table_end(bytes)?;
    let checksum = u32_at(bytes, table_end).ok_or(PackError::Truncated)?;
    if crc32fast::hash(bytes.get(..table_end).unwrap_or_default()) != checksum {
        return Err(PackError::Checksum("header"));
    }
    if u64_at(bytes, 32) != Some(bytes.len() as u64) {
        return Err(PackError::Truncated);
    }
    let mut sections = [None; SECTION_COUNT];
    for (entry, flags) in entries(bytes)? {
        match TAGS.iter().position(|tag| **tag == entry.tag) {
            Some(place) => sections[place] = Some(entry.data),
            None if flags & REQUIRED != 0 => return Err(PackError::UnknownSection(entry.tag)),
            None => {}
        }
    }
    let mut found = [&[][..]; SECTION_COUNT];
    for (slot, section) in found.iter_mut().zip(sections) {
        *slot = section.ok_or(PackError::MissingSection)?;
    }
    let id_length = usize::from(bytes.get(41).copied().unwrap_or(0)).min(MAX_BUILD_ID);
    let header = FileHeader {
        architecture: u16_at(bytes, 10).unwrap_or(0),
        flags: u32_at(bytes, 12).unwrap_or(0),
        low: u64_at(bytes, 16).unwrap_or(0),
        high: u64_at(bytes, 24).unwrap_or(0),
        shift: bytes.get(40).copied().unwrap_or(0).min(63),
        build_id: bytes.get(48..48 + id_length).unwrap_or_default().to_vec(),
    };
    Ok(Opened { header, checksum, sections: found })
}

/// Verifies the checksums of all sections, those of unknown tags too.
pub(crate) fn check(bytes: &[u8]) -> Result<(), PackError> {
    for (entry, _) in entries(bytes)? {
        if crc32fast::hash(entry.data) != entry.checksum {
            let known = TAGS.iter().find(|tag| ***tag == entry.tag).and_then(|tag| str::from_utf8(*tag).ok());
            return Err(PackError::Checksum(known.unwrap_or("unknown section")));
        }
    }
    Ok(())
}

/// The end of the section table.
fn table_end(bytes: &[u8]) -> Result<usize, PackError> {
    let count = usize::from(u16_at(bytes, 42).ok_or(PackError::Truncated)?);
    if count > MAX_SECTIONS { Err(PackError::TooManySections) } else { Ok(HEADER + ENTRY * count) }
}

/// The section table, each entry with its flags.
fn entries(bytes: &[u8]) -> Result<Vec<(Entry<'_>, u32)>, PackError> {
    (HEADER..table_end(bytes)?)
        .step_by(ENTRY)
        .map(|at| {
            let tag = *bytes.get(at..).and_then(<[u8]>::first_chunk::<4>)?;
            let start = usize::try_from(u64_at(bytes, at + 8)?).ok()?;
            let length = usize::try_from(u64_at(bytes, at + 16)?).ok()?;
            let data = bytes.get(start..start.checked_add(length)?)?;
            Some((Entry { tag, data, checksum: u32_at(bytes, at + 24)? }, u32_at(bytes, at + 4)?))
        })
        .collect::<Option<_>>()
        .ok_or(PackError::Truncated)
}

/// The two bytes at an offset.
#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

/// The four bytes at an offset.
#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

/// The eight bytes at an offset.
#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}
