//! The head of the table: which of the four formats it has, and where its parts are.

use crate::bytes::Format;
use crate::memory::Endian;

/// Format of the table, by the release that introduced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// Go 1.2 to 1.15: one blob, absolute addresses.
    Go12,
    /// Go 1.16 and 1.17: separate tables of names, files and steps.
    Go116,
    /// Go 1.18 and 1.19: addresses as 32-bit offsets from the start of the text.
    Go118,
    /// Go 1.20 and later: first lines of functions, smaller inline trees.
    Go120,
}

/// Size of magic, two zero bytes, quantum and pointer size, in bytes.
const FIXED: usize = 8;

/// The parts of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a> {
    pub(crate) version: Version,
    pub(crate) format: Format,
    /// Bytes of the smallest instruction: addresses in step programs count these.
    pub(crate) quantum: u64,
    /// Number of functions.
    pub(crate) count: usize,
    /// Start of the text, zero where the linker writes none (Go 1.26) or leaves it to the loader.
    pub(crate) text_start: u64,
    pub(crate) names: &'a [u8],
    /// Per compilation unit, offsets of its files in `files`.
    pub(crate) units: &'a [u8],
    pub(crate) files: &'a [u8],
    pub(crate) steps: &'a [u8],
    /// Function records, at offsets that the function table holds.
    pub(crate) records: &'a [u8],
    /// Offset of the records in the table.
    pub(crate) records_place: usize,
    /// Offset of the function table in the table.
    functions_place: usize,
    /// The function table: (address, record) pairs and the end of the last function.
    pub(crate) functions: &'a [u8],
}

impl<'a> Header<'a> {
    pub(crate) fn parse(table: &'a [u8]) -> Option<Header<'a>> {
        let (version, endian) = magic(table.get(..4)?.try_into().ok()?)?;
        let &[0, 0, quantum @ (1 | 2 | 4), pointer @ (4 | 8)] = table.get(4..FIXED)? else {
            return None;
        };
        let format = Format { endian, pointer: usize::from(pointer) };
        let word = |index: usize| format.word(table, FIXED + index * format.pointer);
        let part = |index: usize| table.get(usize::try_from(word(index)?).ok()?..);
        let count = usize::try_from(word(0)?).ok()?;
        let mut header = Header {
            version,
            format,
            quantum: u64::from(quantum),
            count,
            text_start: 0,
            names: table,
            units: &[],
            files: table,
            steps: table,
            records: table,
            records_place: 0,
            functions_place: FIXED + usize::from(pointer),
            functions: &[],
        };
        if version == Version::Go12 {
            header.functions = table.get(FIXED + format.pointer..)?;
        } else {
            let first = if version == Version::Go116 { 2 } else { 3 };
            if first == 3 {
                header.text_start = word(2)?;
            }
            header.names = part(first)?;
            header.units = part(first + 1)?;
            header.files = part(first + 2)?;
            header.steps = part(first + 3)?;
            header.records = part(first + 4)?;
            header.functions = header.records;
            header.records_place = usize::try_from(word(first + 4)?).ok()?;
            header.functions_place = header.records_place;
        }
        header.cut(table)
    }

    /// Bounds the function table, and for Go 1.2 finds the table of files behind it.
    fn cut(mut self, table: &'a [u8]) -> Option<Header<'a>> {
        let length = self.count.checked_mul(2)?.checked_add(1)?.checked_mul(self.field())?;
        if self.count == 0 {
            return None;
        }
        if self.version == Version::Go12 {
            let offset = self.format.u32(self.functions, length)?;
            self.units = table.get(usize::try_from(offset).ok()?..)?;
        }
        self.functions = self.functions.get(..length)?;
        Some(self)
    }

    /// Bytes of a field of the function table.
    pub(crate) fn field(&self) -> usize {
        if self.version >= Version::Go118 { 4 } else { self.format.pointer }
    }

    /// The `index`th field of the function table.
    fn functab(&self, index: usize) -> Option<u64> {
        let offset = index.checked_mul(self.field())?;
        if self.field() == 4 {
            self.format.u32(self.functions, offset).map(u64::from)
        } else {
            self.format.word(self.functions, offset)
        }
    }

    /// Start of the function as the table has it: an address before Go 1.18, an offset in the text
    /// since. The index one past the last function gives that one's end.
    pub(crate) fn start(&self, index: usize) -> Option<u64> {
        self.functab(index.checked_mul(2)?)
    }

    /// Offset in the table of what [`Header::start`] gives.
    pub(crate) fn start_place(&self, index: usize) -> Option<usize> {
        index.checked_mul(2)?.checked_mul(self.field())?.checked_add(self.functions_place)
    }

    /// Offset of the record of the function among the records.
    pub(crate) fn record(&self, index: usize) -> Option<usize> {
        let field = index.checked_mul(2)?.checked_add(1)?;
        usize::try_from(self.functab(field)?).ok().filter(|_| index < self.count)
    }
}

fn magic(bytes: [u8; 4]) -> Option<(Version, Endian)> {
    let version = |number: u32| match number {
        0xffff_fffb => Some(Version::Go12),
        0xffff_fffa => Some(Version::Go116),
        0xffff_fff0 => Some(Version::Go118),
        0xffff_fff1 => Some(Version::Go120),
        _ => None,
    };
    let little = version(u32::from_le_bytes(bytes)).map(|found| (found, Endian::Little));
    little.or_else(|| version(u32::from_be_bytes(bytes)).map(|found| (found, Endian::Big)))
}
