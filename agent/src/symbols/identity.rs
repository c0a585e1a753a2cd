//! Which build an ELF file, or a packed symbol file, belongs to, read from its notes and nothing else.
//!
//! The symbolizer could tell as well, but it maps the file and reads its DWARF. Here the file may be a download that was cut
//! off, a kernel module or one of somebody's whole build folder, so it is read by position, a few kilobytes of it, and a
//! file whose sections end behind its end is refused: its notes stand at the front and would survive a broken transfer.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use trace_symbolizer::BuildId;

/// The longest section or segment of notes that is read, in bytes; a build-id has its own of 36, and Go's and the kernel's hold a
/// few hundred.
const NOTES_BYTES_MAX: u64 = 64 * 1024;

/// The longest table of headers or of their names that is read, in bytes: 65,536 sections, which `-ffunction-sections` comes near to.
const TABLE_BYTES_MAX: u64 = 64 * 65_536;

/// The longest packed symbol file that is read, in bytes: that of a program with some 10 GB of debug information.
const PACKED_BYTES_MAX: u64 = 256 << 20;

const NOTE_BUILD_ID: u64 = 3;
const SECTION_SYMBOLS: u64 = 2;
const SECTION_NOTES: u64 = 7;
const SECTION_NO_BITS: u64 = 8;
const SEGMENT_NOTES: u64 = 4;
const FLAG_CODE: u64 = 4;

/// What an ELF file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The build that it belongs to, if its linker wrote that down.
    pub build_id: Option<BuildId>,
    /// Whether it has debug information, or is what `strip` moved the symbols to.
    pub debug: bool,
    /// Whether it has the code.
    pub code: bool,
}

/// Reads who a file is.
///
/// # Errors
///
/// If it cannot be read, is neither an ELF file nor packed symbols, or is shorter than its sections.
pub fn read(file: &File) -> io::Result<Identity> {
    if let Some(packed) = read_packed(file)? {
        return Ok(packed);
    }
    let elf = Elf::open(file)?;
    let sections = elf.sections()?;
    let names = elf.names(&sections)?;
    let bits = |section: &&Section| section.kind != SECTION_NO_BITS;
    if sections.iter().filter(bits).any(|section| section.end().is_none_or(|end| end > elf.bytes)) {
        return Err(invalid("it is shorter than its sections"));
    }
    let code = sections.iter().filter(bits).any(|section| section.flags & FLAG_CODE != 0);
    let symbols = sections.iter().any(|section| section.kind == SECTION_SYMBOLS);
    let dwarf = sections.iter().filter(bits).any(|section| {
        let name = names.get(section.name..).unwrap_or_default();
        name.starts_with(b".debug_info\0") || name.starts_with(b".zdebug_info\0")
    });
    let mut notes: Vec<_> = sections.into_iter().filter(|section| section.kind == SECTION_NOTES).collect();
    if notes.is_empty() {
        notes = elf.segments()?;
    }
    let build_id = notes.iter().find_map(|place| elf.build_id(place));
    Ok(Identity { build_id, debug: dwarf || (symbols && !code), code })
}

/// Reads a packed symbol file, which is small and checked as a whole; `None` if it is none.
fn read_packed(file: &File) -> io::Result<Option<Identity>> {
    let mut head = [0; 8];
    if file.read_exact_at(&mut head, 0).is_err() || !trace_symbolizer::is_packed(&head) {
        return Ok(None);
    }
    let length = file.metadata()?.len();
    if length > PACKED_BYTES_MAX {
        return Err(invalid("it is too long for packed symbols"));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    let build_id = trace_symbolizer::packed_build_id(&bytes).map_err(|problem| invalid(&problem))?;
    Ok(Some(Identity { build_id, debug: true, code: false }))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// A place in the file. What does not fit the machine's word becomes the largest, which lies in no file.
#[derive(Clone, Copy, Debug)]
struct Section {
    name: usize,
    kind: u64,
    flags: u64,
    offset: u64,
    bytes: u64,
    align: u64,
}

impl Section {
    fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.bytes)
    }
}

struct Elf<'a> {
    file: &'a File,
    bytes: u64,
    header: Vec<u8>,
    wide: bool,
    big: bool,
}

impl<'a> Elf<'a> {
    fn open(file: &'a File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        let mut header = vec![0; 64.min(usize::try_from(bytes).unwrap_or(64))];
        file.read_exact_at(&mut header, 0)?;
        let (wide, big) = match header.get(..6) {
            Some([0x7f, b'E', b'L', b'F', class @ 1..=2, order @ 1..=2]) => (*class == 2, *order == 2),
            _ => return Err(invalid("it is no ELF file")),
        };
        if header.len() < if wide { 64 } else { 52 } {
            return Err(invalid("it is shorter than an ELF header"));
        }
        Ok(Self { file, bytes, header, wide, big })
    }

    /// The number of `size` bytes at `at`; 0 where there is none, as in a file that has no such table.
    fn number(&self, bytes: &[u8], at: usize, size: usize) -> u64 {
        let Some(bytes) = at.checked_add(size).and_then(|end| bytes.get(at..end)) else { return 0 };
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        if self.big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    }

    /// The number that stands at one place in a file of 64 bits, and at another in one of 32.
    fn field(&self, bytes: &[u8], wide: (usize, usize), narrow: (usize, usize)) -> u64 {
        let (at, size) = if self.wide { wide } else { narrow };
        self.number(bytes, at, size)
    }

    fn bytes_at(&self, offset: u64, bytes: u64, max: u64) -> io::Result<Vec<u8>> {
        if bytes > max || offset.checked_add(bytes).is_none_or(|end| end > self.bytes) {
            return Err(invalid("it is shorter than its headers say"));
        }
        let mut read = vec![0; usize::try_from(bytes).map_err(|_| invalid("a table is too long"))?];
        self.file.read_exact_at(&mut read, offset)?;
        Ok(read)
    }

    fn table(&self, offset: u64, entry: u64, count: u64) -> io::Result<Vec<u8>> {
        let bytes = entry.checked_mul(count).ok_or_else(|| invalid("a table is too long"))?;
        self.bytes_at(offset, bytes, TABLE_BYTES_MAX)
    }

    fn sections(&self) -> io::Result<Vec<Section>> {
        let offset = self.field(&self.header, (40, 8), (32, 4));
        let entry = self.field(&self.header, (58, 2), (46, 2));
        let mut count = self.field(&self.header, (60, 2), (48, 2));
        if offset == 0 || entry < if self.wide { 64 } else { 40 } {
            return Ok(Vec::new());
        }
        if count == 0 {
            // More than fit 16 bits: the first section's size says how many.
            let first = self.table(offset, entry, 1)?;
            count = self.field(&first, (32, 8), (20, 4));
        }
        let table = self.table(offset, entry, count)?;
        let entry = usize::try_from(entry).unwrap_or(usize::MAX);
        Ok(table.chunks_exact(entry).map(|header| self.section(header)).collect())
    }

    fn section(&self, header: &[u8]) -> Section {
        Section {
            name: usize::try_from(self.number(header, 0, 4)).unwrap_or(usize::MAX),
            kind: self.number(header, 4, 4),
            flags: self.field(header, (8, 8), (8, 4)),
            offset: self.field(header, (24, 8), (16, 4)),
            bytes: self.field(header, (32, 8), (20, 4)),
            align: self.field(header, (48, 8), (32, 4)),
        }
    }

    /// The names of the sections; empty if there are none.
    fn names(&self, sections: &[Section]) -> io::Result<Vec<u8>> {
        let index = self.field(&self.header, (62, 2), (50, 2));
        match usize::try_from(index).ok().and_then(|index| sections.get(index)) {
            Some(names) if names.kind != SECTION_NO_BITS => {
                self.bytes_at(names.offset, names.bytes, TABLE_BYTES_MAX)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn segments(&self) -> io::Result<Vec<Section>> {
        let offset = self.field(&self.header, (32, 8), (28, 4));
        let entry = self.field(&self.header, (54, 2), (42, 2));
        let count = self.field(&self.header, (56, 2), (44, 2));
        if offset == 0 || entry < if self.wide { 56 } else { 32 } {
            return Ok(Vec::new());
        }
        let table = self.table(offset, entry, count)?;
        let entry = usize::try_from(entry).unwrap_or(usize::MAX);
        let segment = |header: &[u8]| Section {
            name: 0,
            kind: self.number(header, 0, 4),
            flags: 0,
            offset: self.field(header, (8, 8), (4, 4)),
            bytes: self.field(header, (32, 8), (16, 4)),
            align: self.field(header, (48, 8), (28, 4)),
        };
        Ok(table.chunks_exact(entry).map(segment).filter(|segment| segment.kind == SEGMENT_NOTES).collect())
    }

    /// The build-id among the notes of a place. Notes that make no sense have none.
    fn build_id(&self, place: &Section) -> Option<BuildId> {
        let notes = self.bytes_at(place.offset, place.bytes, NOTES_BYTES_MAX).ok()?;
        let align = if place.align == 8 { 8 } else { 4 };
        let mut at = 0;
        // Each turn passes a header, so it ends.
        while notes.len().checked_sub(at)? >= 12 {
            let size = |field| usize::try_from(self.number(&notes, at + field, 4)).unwrap_or(usize::MAX);
            let (name_bytes, bytes) = (size(0), size(4));
            let name_at = at + 12;
            let name = notes.get(name_at..name_at.checked_add(name_bytes)?)?;
            let value_at = name_at.checked_add(name_bytes)?.checked_next_multiple_of(align)?;
            let value = notes.get(value_at..value_at.checked_add(bytes)?)?;
            if name == b"GNU\0" && self.number(&notes, at + 8, 4) == NOTE_BUILD_ID {
                return BuildId::new(value);
            }
            at = value_at.checked_add(bytes)?.checked_next_multiple_of(align)?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// The smallest file with a build-id: a header, a segment of notes, the note.
    fn tiny(id: &[u8], wide: bool, big: bool) -> Vec<u8> {
        let number = |value: usize, bytes: usize| {
            let order = value.to_be_bytes();
            let mut order = order[8 - bytes..].to_vec();
            if !big {
                order.reverse();
            }
            order
        };
        let word = if wide { 8 } else { 4 };
        let (header, segment) = if wide { (64, 56) } else { (52, 32) };
        let mut elf = vec![0_u8; header + segment];
        let mut put = |at: usize, bytes: Vec<u8>| elf[at..at + bytes.len()].copy_from_slice(&bytes);
        put(0, b"\x7fELF".to_vec());
        put(4, vec![1 + u8::from(wide), 1 + u8::from(big)]);
        // Where the segments are, how large one is, how many there are.
        put(if wide { 32 } else { 28 }, number(header, word));
        put(if wide { 54 } else { 42 }, number(segment, 2));
        put(if wide { 56 } else { 44 }, number(1, 2));
        // Its kind, where its bytes are, how many, how aligned.
        put(header, number(4, 4));
        put(header + if wide { 8 } else { 4 }, number(header + segment, word));
        put(header + if wide { 32 } else { 16 }, number(16 + id.len(), word));
        put(header + if wide { 48 } else { 28 }, number(4, word));
        elf.extend([4, id.len(), 3].into_iter().flat_map(|value| number(value, 4)));
        elf.extend(b"GNU\0");
        elf.extend(id);
        elf
    }

    fn of(bytes: &[u8]) -> io::Result<Identity> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        read(&file)
    }

    const MACHINES: [(bool, bool); 4] = [(true, false), (true, true), (false, false), (false, true)];

    #[test]
    fn a_build_id_is_read_on_every_machine_from_a_segment_where_there_are_no_sections() {
        for (wide, big) in MACHINES {
            let identity = of(&tiny(&[0xab; 20], wide, big)).unwrap();
            assert_eq!(identity.build_id.unwrap().as_bytes(), [0xab; 20], "{wide} {big}");
            assert!(!identity.debug && !identity.code);
        }
    }

    #[test]
    fn the_test_program_is_code_with_debug_information() {
        let path = std::env::current_exe().unwrap();
        let module = trace_symbolizer::Module::open(&path, &trace_symbolizer::Search::default()).unwrap();
        let identity = read(&File::open(&path).unwrap()).unwrap();
        assert_eq!(identity, Identity { build_id: module.build_id().cloned(), debug: true, code: true });
    }

    #[test]
    fn a_file_that_was_cut_off_is_refused() {
        let path = std::env::current_exe().unwrap();
        let mut file = File::open(path).unwrap();
        let mut start = vec![0; 100_000];
        io::Read::read_exact(&mut file, &mut start).unwrap();
        assert!(of(&start).is_err());
        assert!(of(b"").is_err());
        assert!(of(b"\x7fELF\x02\x01").is_err());
        assert_eq!(of(b"<html>not found</html>").unwrap_err().to_string(), "it is no ELF file");
    }

    #[test]
    fn no_bytes_make_it_panic_or_run_on() {
        for (wide, big) in MACHINES {
            let whole = tiny(&[0xab; 20], wide, big);
            for at in 0..whole.len() {
                for byte in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut bytes = whole.clone();
                    bytes[at] = byte;
                    let _ = of(&bytes);
                    let _ = of(&bytes[..at]);
                }
            }
        }
    }
}
