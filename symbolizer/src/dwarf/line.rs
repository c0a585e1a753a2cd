//! Line programs: which row of the line table covers each of some addresses.
//!
//! No table is built. The program runs once past the sorted addresses, each row is compared with the next address,
//! and it ends as soon as every address has its row. A sequence that starts where there is no code (a linker dropped
//! it) or behind the last address is only passed over.

use std::ops::Range;

use gimli::constants::{self as dw, DwForm, DwLne, DwLns};

use crate::elf::CodeRanges;

use super::cursor::Cursor;
use super::sections::Id;
use super::unit::Place;
use super::work::Work;

/// Entry formats of one table at most; compilers write up to five.
const FORMATS_MAX: usize = 64;

/// Files of one table at most. Units of generated code have some ten thousand.
const FILES_MAX: usize = 1 << 20;

/// A row of the line table, as it is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) file: u64,
    /// 0 if the code comes from no line.
    pub(crate) line: u32,
    /// 0 if it stands for the line as a whole.
    pub(crate) column: u32,
    pub(crate) discriminator: u32,
}

/// The header of a line program.
pub(crate) struct Program<'a> {
    version: u16,
    address_size: u8,
    offset_size: u8,
    instruction_bytes_min: u64,
    line_base: i64,
    line_range: u8,
    opcode_base: u8,
    operand_counts: &'a [u8],
    /// Where the tables of directories and files start.
    tables: usize,
    code: Range<usize>,
}

/// The name of a file, and the number of the directory that it is relative to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) directory: u64,
}

/// The directories and files of a line program.
#[derive(Debug, Default)]
pub(crate) struct Files<'a> {
    pub(crate) version: u16,
    pub(crate) directories: Vec<&'a [u8]>,
    pub(crate) files: Vec<File<'a>>,
}

impl<'a> Program<'a> {
    /// Reads the header at `offset` of `.debug_line`. `None` if it is damaged or of an unknown version.
    pub(crate) fn read(place: &Place<'a>, offset: usize) -> Option<Program<'a>> {
        let sections = place.addresses;
        let mut cursor = sections.at(Id::Line, offset);
        let (length, offset_size) = cursor.initial_length()?;
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(cursor.left());
        let end = cursor.at() + length;
        let version = cursor.u16().filter(|version| (2..=5).contains(version))?;
        let mut address_size = place.unit.header.encoding.address_size;
        if version >= 5 {
            address_size = cursor.u8()?;
            let _segment_selector_size = cursor.u8()?;
        }
        let header_length = usize::try_from(cursor.unsigned(offset_size)?).ok()?;
        let start = cursor.at().checked_add(header_length).filter(|start| *start <= end)?;
        let instruction_bytes_min = u64::from(cursor.u8()?);
        if version >= 4 {
            // Operations per instruction: more than one on VLIW machines only.
            cursor.u8()?;
        }
        let _default_is_statement = cursor.u8()?;
        let line_base = i64::from(cursor.u8()?.cast_signed());
        let line_range = cursor.u8()?;
        let opcode_base = cursor.u8()?;
        let operand_counts = cursor.take(usize::from(opcode_base.saturating_sub(1)))?;
        Some(Program {
            version,
            address_size,
            offset_size,
            instruction_bytes_min,
            line_base,
            line_range,
            opcode_base,
            operand_counts,
            tables: cursor.at(),
            code: start..end,
        })
    }

    /// Finds the row of each of `addresses`, which are sorted. Where several sequences cover an address the first
    /// one has it. What is damaged ends the sequence, or the program, and leaves the rest without rows.
    pub(crate) fn rows(
        &self,
        place: &Place<'a>,
        addresses: &[u64],
        code: &CodeRanges,
        work: &Work<'_>,
    ) -> Vec<Option<Row>> {
        let mut run = Run {
            program: self,
            code,
            addresses,
            rows: vec![None; addresses.len()],
            left: addresses.len(),
            registers: Registers::new(),
            sequence: Sequence::Before,
            next: 0,
            boundaries: None,
        };
        let cursor = place.addresses.at(Id::Line, self.code.start);
        // A program that breaks off has told what it could.
        let _: Option<()> = run.run(cursor, work);
        run.rows
    }

    /// Where rows of live sequences begin and end, in no order.
    pub(crate) fn boundaries(&self, place: &Place<'a>, code: &CodeRanges, work: &Work<'_>) -> Vec<u64> {
        let mut run = Run {
            program: self,
            code,
            addresses: &[],
            rows: Vec::new(),
            // The program runs to its end.
            left: 1,
            registers: Registers::new(),
            sequence: Sequence::Before,
            next: 0,
            boundaries: Some(Vec::new()),
        };
        let cursor = place.addresses.at(Id::Line, self.code.start);
        let _: Option<()> = run.run(cursor, work);
        run.boundaries.unwrap_or_default()
    }

    /// Reads the tables of directories and files. What is damaged ends them.
    pub(crate) fn files(&self, place: &Place<'a>) -> Files<'a> {
        let mut files = Files { version: self.version, ..Files::default() };
        let mut cursor = place.addresses.at(Id::Line, self.tables);
        let _: Option<()> = if self.version >= 5 {
            self.read_tables(place, &mut cursor, &mut files)
        } else {
            read_old_tables(&mut cursor, &mut files)
        };
        files
    }

    fn read_tables(&self, place: &Place<'a>, cursor: &mut Cursor<'a>, files: &mut Files<'a>) -> Option<()> {
        self.read_table(place, cursor, |file| files.directories.push(file.name))?;
        self.read_table(place, cursor, |file| files.files.push(file))
    }

    fn read_table(
        &self,
        place: &Place<'a>,
        cursor: &mut Cursor<'a>,
        mut each: impl FnMut(File<'a>),
    ) -> Option<()> {
        let formats_count = usize::from(cursor.u8()?).min(FORMATS_MAX);
        let mut formats = [(0, DwForm(0)); FORMATS_MAX];
        for format in &mut formats[..formats_count] {
            *format = (cursor.uleb()?, DwForm(u16::try_from(cursor.uleb()?).ok()?));
        }
        let count = usize::try_from(cursor.uleb()?).ok()?.min(FILES_MAX);
        for _ in 0..count {
            let before = cursor.at();
            let mut file = File { name: b"", directory: 0 };
            for (content, form) in &formats[..formats_count] {
                match gimli::DwLnct(u16::try_from(*content).unwrap_or(0)) {
                    dw::DW_LNCT_path => file.name = self.text(place, cursor, *form)?,
                    dw::DW_LNCT_directory_index => file.directory = self.number(cursor, *form)?,
                    _ => self.pass(cursor, *form)?,
                }
            }
            // A table of nothing may claim any length.
            if cursor.at() == before {
                break;
            }
            each(file);
        }
        Some(())
    }

    fn text(&self, place: &Place<'a>, cursor: &mut Cursor<'a>, form: DwForm) -> Option<&'a [u8]> {
        let section = match form {
            dw::DW_FORM_string => return cursor.text(),
            dw::DW_FORM_line_strp => Id::LineStr,
            dw::DW_FORM_strp => Id::Str,
            _ => {
                self.pass(cursor, form)?;
                return Some(b"");
            }
        };
        let offset = usize::try_from(cursor.unsigned(self.offset_size)?).ok()?;
        Some(place.addresses.at(section, offset).text().unwrap_or_default())
    }

    fn number(&self, cursor: &mut Cursor<'a>, form: DwForm) -> Option<u64> {
        match form {
            dw::DW_FORM_udata => cursor.uleb(),
            dw::DW_FORM_data1 => cursor.unsigned(1),
            dw::DW_FORM_data2 => cursor.unsigned(2),
            dw::DW_FORM_data4 => cursor.unsigned(4),
            dw::DW_FORM_data8 => cursor.unsigned(8),
            _ => {
                self.pass(cursor, form)?;
                Some(0)
            }
        }
    }

    /// Goes past a value of one of the forms that the standard allows here.
    fn pass(&self, cursor: &mut Cursor<'a>, form: DwForm) -> Option<()> {
        match form {
            dw::DW_FORM_data1 | dw::DW_FORM_flag | dw::DW_FORM_strx1 => cursor.skip(1),
            dw::DW_FORM_data2 | dw::DW_FORM_strx2 => cursor.skip(2),
            dw::DW_FORM_strx3 => cursor.skip(3),
            dw::DW_FORM_data4 | dw::DW_FORM_strx4 => cursor.skip(4),
            dw::DW_FORM_data8 => cursor.skip(8),
            dw::DW_FORM_data16 => cursor.skip(16),
            dw::DW_FORM_udata | dw::DW_FORM_sdata | dw::DW_FORM_strx => cursor.skip_leb(),
            dw::DW_FORM_string => cursor.text().map(drop),
            dw::DW_FORM_strp | dw::DW_FORM_line_strp | dw::DW_FORM_sec_offset | dw::DW_FORM_strp_sup => {
                cursor.skip(usize::from(self.offset_size))
            }
            dw::DW_FORM_block => {
                let length = cursor.uleb()?;
                cursor.skip(usize::try_from(length).ok()?)
            }
            _ => None,
        }
    }
}

/// The tables of DWARF 2 to 4: directories, then files, each up to an empty name.
fn read_old_tables<'a>(cursor: &mut Cursor<'a>, files: &mut Files<'a>) -> Option<()> {
    while files.directories.len() < FILES_MAX {
        let directory = cursor.text()?;
        if directory.is_empty() {
            break;
        }
        files.directories.push(directory);
    }
    while files.files.len() < FILES_MAX {
        let name = cursor.text()?;
        if name.is_empty() {
            break;
        }
        let directory = cursor.uleb()?;
        let (_modified, _length) = (cursor.uleb()?, cursor.uleb()?);
        files.files.push(File { name, directory });
    }
    Some(())
}

/// The state of the machine that a line program is written for.
#[derive(Debug, Clone, Copy)]
struct Registers {
    address: u64,
    row: Row,
}

impl Registers {
    const fn new() -> Registers {
        Registers { address: 0, row: Row { file: 1, line: 1, column: 0, discriminator: 0 } }
    }
}

/// What is known of the sequence that runs.
#[derive(Debug, Clone, Copy)]
enum Sequence {
    /// It has no row yet.
    Before,
    /// It may cover addresses: its last row, and where that starts.
    Live(Row, u64),
    /// It cannot matter.
    Passed,
}

struct Run<'a> {
    program: &'a Program<'a>,
    code: &'a CodeRanges,
    addresses: &'a [u64],
    rows: Vec<Option<Row>>,
    /// How many addresses have no row.
    left: usize,
    registers: Registers,
    sequence: Sequence,
    /// The first of `addresses` that does not lie before the last row.
    next: usize,
    /// Where rows begin and end, if that is all that is wanted.
    boundaries: Option<Vec<u64>>,
}

impl Run<'_> {
    fn run(&mut self, mut cursor: Cursor<'_>, work: &Work<'_>) -> Option<()> {
        let Program { opcode_base, line_range, line_base, instruction_bytes_min, .. } = *self.program;
        let mut paid = cursor.at();
        while self.left > 0 && cursor.at() < self.program.code.end {
            if cursor.at() - paid >= 1 << 10 {
                work.spend_rows((cursor.at() - paid) as u64)?;
                paid = cursor.at();
            }
            let opcode = cursor.u8()?;
            if opcode >= opcode_base {
                let adjusted = opcode - opcode_base;
                if let (Some(steps), Some(lines)) =
                    (adjusted.checked_div(line_range), adjusted.checked_rem(line_range))
                {
                    self.advance(u64::from(steps).wrapping_mul(instruction_bytes_min));
                    self.add_to_line(line_base + i64::from(lines));
                }
                self.row();
                continue;
            }
            match DwLns(opcode) {
                DwLns(0) => self.extended(&mut cursor)?,
                dw::DW_LNS_copy => self.row(),
                dw::DW_LNS_advance_pc => {
                    let count = cursor.uleb()?;
                    self.advance(count.wrapping_mul(instruction_bytes_min));
                }
                dw::DW_LNS_advance_line => {
                    let lines = cursor.sleb()?;
                    self.add_to_line(lines);
                }
                dw::DW_LNS_set_file => self.registers.row.file = cursor.uleb()?,
                dw::DW_LNS_set_column => {
                    self.registers.row.column = u32::try_from(cursor.uleb()?).unwrap_or(u32::MAX);
                }
                dw::DW_LNS_const_add_pc => {
                    if let Some(steps) = (255 - opcode_base).checked_div(line_range) {
                        self.advance(u64::from(steps).wrapping_mul(instruction_bytes_min));
                    }
                }
                dw::DW_LNS_fixed_advance_pc => {
                    let bytes = cursor.u16()?;
                    self.advance(u64::from(bytes));
                }
                dw::DW_LNS_negate_stmt
                | dw::DW_LNS_set_basic_block
                | dw::DW_LNS_set_prologue_end
                | dw::DW_LNS_set_epilogue_begin => {}
                _ => {
                    let operands = self.program.operand_counts.get(usize::from(opcode) - 1)?;
                    for _ in 0..*operands {
                        cursor.skip_leb()?;
                    }
                }
            }
        }
        Some(())
    }

    fn extended(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let length = usize::try_from(cursor.uleb()?).ok()?;
        let end = cursor.at().checked_add(length)?;
        if length == 0 {
            return Some(());
        }
        match DwLne(cursor.u8()?) {
            dw::DW_LNE_end_sequence => {
                self.end_sequence();
            }
            dw::DW_LNE_set_address => {
                // The size of what is there, which some assemblers choose otherwise than the header says.
                let size = u8::try_from(length - 1).ok().filter(|size| matches!(size, 1..=8));
                self.registers.address = cursor.unsigned(size.unwrap_or(self.program.address_size))?;
                if let Sequence::Live(_, start) = self.sequence
                    && self.registers.address < start
                {
                    self.next = self.addresses.partition_point(|address| *address < self.registers.address);
                }
            }
            dw::DW_LNE_set_discriminator => {
                self.registers.row.discriminator = u32::try_from(cursor.uleb()?).unwrap_or(u32::MAX);
            }
            // DW_LNE_define_file is not written by any compiler, and others are vendors'.
            _ => {}
        }
        cursor.seek(end);
        Some(())
    }

    /// Moves on by `bytes`. An address that wraps ends what the sequence can tell.
    #[inline]
    fn advance(&mut self, bytes: u64) {
        match self.registers.address.checked_add(bytes) {
            Some(address) => self.registers.address = address,
            None => self.sequence = Sequence::Passed,
        }
    }

    #[inline]
    fn add_to_line(&mut self, lines: i64) {
        let line = i64::from(self.registers.row.line).wrapping_add(lines);
        // Wraps as the 32-bit register of every other reader does.
        self.registers.row.line = line as u32;
    }

    /// A row starts at the registers' address and the one before it ends there.
    #[inline]
    fn row(&mut self) {
        match self.sequence {
            Sequence::Passed => {}
            Sequence::Live(row, start) => {
                self.cover(row, start, self.registers.address);
                self.note_boundary(row != self.registers.row);
                self.sequence = Sequence::Live(self.registers.row, self.registers.address);
            }
            Sequence::Before => self.start_sequence(),
        }
        self.registers.row.discriminator = 0;
    }

    fn start_sequence(&mut self) {
        let start = self.registers.address;
        self.next = self.addresses.partition_point(|address| *address < start);
        let matters = self.next < self.addresses.len() || self.boundaries.is_some();
        self.sequence = if matters && self.code.starts_in(start) {
            self.note_boundary(true);
            Sequence::Live(self.registers.row, start)
        } else {
            Sequence::Passed
        };
    }

    /// Gives the addresses from `start` up to `end` their row.
    #[inline]
    fn cover(&mut self, row: Row, start: u64, end: u64) {
        while let Some(&address) = self.addresses.get(self.next)
            && address < end
        {
            // Rows that go back leave addresses behind that they do not cover.
            if address >= start && self.rows[self.next].is_none() {
                self.rows[self.next] = Some(row);
                self.left -= 1;
            }
            self.next += 1;
        }
        if end < start {
            self.next = self.addresses.partition_point(|address| *address < end);
        }
    }

    #[inline]
    fn note_boundary(&mut self, is_one: bool) {
        if let Some(boundaries) = self.boundaries.as_mut().filter(|_| is_one) {
            boundaries.push(self.registers.address);
        }
    }

    fn end_sequence(&mut self) {
        if let Sequence::Live(row, start) = self.sequence {
            self.cover(row, start, self.registers.address);
            self.note_boundary(true);
        }
        self.sequence = Sequence::Before;
        self.registers = Registers::new();
    }
}
