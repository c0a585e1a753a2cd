//! The record of a function: its name and where its step programs and data are.

use crate::budget::Budget;
use crate::bytes::string_at;
use crate::header::{Header, Version};
use crate::pcvalue::value_at;

/// One function's record, of which only what is asked for is decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    header: Header<'a>,
    /// Offset of the record in the table.
    place: usize,
    /// From the record on to the end of the records.
    bytes: &'a [u8],
}

/// Where a function's data is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FunctionData {
    /// As an offset from the module's function data, since Go 1.18.
    Offset(u64),
    /// As the address in a word of the table, unless the loader writes another there.
    Pointer { place: usize, stored: u64 },
}

impl<'a> Record<'a> {
    pub(crate) fn new(header: &Header<'a>, index: usize) -> Option<Record<'a>> {
        let offset = header.record(index)?;
        let bytes = header.records.get(offset..)?;
        Some(Record { header: *header, place: header.records_place.checked_add(offset)?, bytes })
    }

    /// Bytes of the entry address or offset that a record starts with.
    fn entry(&self) -> usize {
        if self.header.version >= Version::Go118 { 4 } else { self.header.format.pointer }
    }

    /// The `index`th 32-bit field after the entry: name, arguments, deferreturn, pcsp, file, line,
    /// number of per-instruction data, files of the unit.
    fn field(&self, index: usize) -> Option<u32> {
        self.header.format.u32(self.bytes, self.entry() + 4 * index)
    }

    /// Bytes of the fixed part.
    fn size(&self) -> usize {
        self.entry()
            + match self.header.version {
                Version::Go12 => 32,
                Version::Go116 | Version::Go118 => 36,
                Version::Go120 => 40,
            }
    }

    pub(crate) fn name(&self) -> Option<&'a str> {
        self.header.name(self.field(0)?)
    }

    /// Which of the functions that the runtime treats specially it is; zero for ordinary ones.
    pub(crate) fn kind(&self) -> Option<u8> {
        self.bytes.get(self.size() - 4).copied()
    }

    /// First line of the function, the one of `func`, which tables have since Go 1.20.
    pub(crate) fn start_line(&self) -> Option<u32> {
        (self.header.version == Version::Go120).then(|| self.field(8))?.filter(|&line| line != 0)
    }

    /// File and line at a distance from the start of the function.
    pub(crate) fn position(&self, distance: u64, budget: &mut Budget) -> Option<(&'a str, u32)> {
        let file = self.value(self.field(4)?, distance, budget)?;
        let line = self.value(self.field(5)?, distance, budget)?;
        Some((self.file(file)?, line))
    }

    fn file(&self, number: u32) -> Option<&'a str> {
        let unit = if self.header.version == Version::Go12 { 0 } else { self.field(7)? };
        let index = usize::try_from(unit.checked_add(number)?).ok()?;
        let offset = self.header.format.u32(self.header.units, index.checked_mul(4)?)?;
        string_at(self.header.files, usize::try_from(offset).ok()?)
    }

    /// Value of the per-instruction data with a number.
    pub(crate) fn data_value(&self, number: usize, distance: u64, budget: &mut Budget) -> Option<u32> {
        if number >= self.data_count()? {
            return None;
        }
        let program = self.header.format.u32(self.bytes, self.size() + 4 * number)?;
        self.value(program, distance, budget)
    }

    fn data_count(&self) -> Option<usize> {
        usize::try_from(self.field(6)?).ok()
    }

    fn value(&self, program: u32, distance: u64, budget: &mut Budget) -> Option<u32> {
        if program == 0 {
            return None;
        }
        let steps = self.header.steps.get(usize::try_from(program).ok()?..)?;
        value_at(steps, distance, self.header.quantum, budget)
    }

    /// The function data with a number, if the function has it.
    pub(crate) fn function_data(&self, number: usize) -> Option<FunctionData> {
        let count = usize::from(*self.bytes.get(self.size() - 1)?);
        if number >= count {
            return None;
        }
        let end = self.size().checked_add(self.data_count()?.checked_mul(4)?)?;
        if self.header.version >= Version::Go118 {
            let offset = self.header.format.u32(self.bytes, end.checked_add(4 * number)?)?;
            return (offset != u32::MAX).then_some(FunctionData::Offset(u64::from(offset)));
        }
        let pointer = self.header.format.pointer;
        let start = end.checked_next_multiple_of(pointer)?.checked_add(pointer * number)?;
        let stored = self.header.format.word(self.bytes, start)?;
        Some(FunctionData::Pointer { place: self.place.checked_add(start)?, stored })
    }
}

impl<'a> Header<'a> {
    /// The name at an offset in the names.
    pub(crate) fn name(&self, offset: u32) -> Option<&'a str> {
        string_at(self.names, usize::try_from(offset).ok()?)
    }
}
