//! Abbreviations, compiled for what a walk does with an entry: skip it, or read the few attributes that lead to frames.
//!
//! Nine of ten entries are passed over, so what counts is how fast. For each abbreviation it is worked out once how
//! long its entry is, if that is a constant; else which steps lead over it, with neighbours of fixed size made one.

use std::ops::Range;

use gimli::constants::{self as dw, DwAt, DwForm, DwTag};

use super::cursor::Cursor;

/// Abbreviations of one table at most. Units of large programs have some hundreds.
const ABBREVIATIONS_MAX: usize = 1 << 16;

/// Abbreviations that a table is expected to have.
const ABBREVIATIONS_USUAL: usize = 256;

/// Steps of one table at most: each takes two bytes of the section or more.
const STEPS_MAX: usize = 1 << 20;

/// What the size of a form depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoding {
    pub(crate) version: u16,
    /// Bytes of an address.
    pub(crate) address_size: u8,
    /// Bytes of an offset: 4, or 8 in 64-bit DWARF.
    pub(crate) offset_size: u8,
}

/// What an entry is to a walk that looks for code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A function with code of its own.
    Function,
    /// A function that was inlined here.
    Inlined,
    /// A block of a function.
    Block,
    /// A namespace or the like, which holds functions.
    Scope,
    /// A type, or a function without code: only a nested function can hide in it.
    Other,
}

/// The attributes that a walk reads. Each names a slot of [`Attributes`](super::attributes::Attributes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Slot {
    Sibling,
    LowPc,
    HighPc,
    Ranges,
    Origin,
    Specification,
    Name,
    LinkageName,
    CallFile,
    CallLine,
    CallColumn,
    DeclarationFile,
    DeclarationLine,
    StatementList,
    CompilationDirectory,
    StringOffsetsBase,
    AddressBase,
    RangeListsBase,
    GnuRangesBase,
    SplitName,
    SplitId,
    Language,
    Discriminator,
}

/// How many slots there are.
pub(crate) const SLOTS: usize = Slot::Discriminator as usize + 1;

impl Slot {
    fn of(attribute: DwAt) -> Option<Slot> {
        Some(match attribute {
            dw::DW_AT_sibling => Slot::Sibling,
            dw::DW_AT_low_pc => Slot::LowPc,
            dw::DW_AT_high_pc => Slot::HighPc,
            dw::DW_AT_ranges => Slot::Ranges,
            dw::DW_AT_abstract_origin => Slot::Origin,
            dw::DW_AT_specification => Slot::Specification,
            dw::DW_AT_name => Slot::Name,
            dw::DW_AT_linkage_name | dw::DW_AT_MIPS_linkage_name => Slot::LinkageName,
            dw::DW_AT_call_file => Slot::CallFile,
            dw::DW_AT_call_line => Slot::CallLine,
            dw::DW_AT_call_column => Slot::CallColumn,
            dw::DW_AT_decl_file => Slot::DeclarationFile,
            dw::DW_AT_decl_line => Slot::DeclarationLine,
            dw::DW_AT_stmt_list => Slot::StatementList,
            dw::DW_AT_comp_dir => Slot::CompilationDirectory,
            dw::DW_AT_str_offsets_base => Slot::StringOffsetsBase,
            dw::DW_AT_addr_base | dw::DW_AT_GNU_addr_base => Slot::AddressBase,
            dw::DW_AT_rnglists_base => Slot::RangeListsBase,
            dw::DW_AT_GNU_ranges_base => Slot::GnuRangesBase,
            dw::DW_AT_dwo_name | dw::DW_AT_GNU_dwo_name => Slot::SplitName,
            dw::DW_AT_GNU_dwo_id => Slot::SplitId,
            dw::DW_AT_language => Slot::Language,
            dw::DW_AT_GNU_discriminator => Slot::Discriminator,
            _ => return None,
        })
    }
}

/// One step over an entry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    /// Bytes that do not matter.
    Skip(u32),
    /// A value of no fixed size that does not matter.
    Pass(DwForm),
    /// A value to keep.
    Read(Slot, DwForm),
    /// A value to keep that stands in the abbreviation.
    Keep(Slot, i64),
}

/// One abbreviation.
#[derive(Debug, Clone)]
pub(crate) struct Abbreviation {
    pub(crate) tag: DwTag,
    pub(crate) kind: Kind,
    pub(crate) has_children: bool,
    /// The entry says where the next one beside it starts.
    pub(crate) has_sibling: bool,
    /// The bytes of an entry, without its code, if they are always the same.
    pub(crate) size: Option<u32>,
    skip: Range<u32>,
    read: Range<u32>,
}

/// The abbreviations of a unit.
#[derive(Debug, Default)]
pub(crate) struct Abbreviations {
    /// By code minus 1, which is how compilers number them.
    dense: Vec<Abbreviation>,
    /// The others, sorted by code.
    sparse: Vec<(u64, Abbreviation)>,
    steps: Vec<Step>,
    /// The steps over one entry, while its abbreviation is read.
    skip: Vec<Step>,
    /// The bytes of the section that were read.
    pub(crate) bytes: usize,
}

impl Abbreviations {
    /// Reads the table at `offset` of `.debug_abbrev`. What is damaged ends it.
    pub(crate) fn read(section: &[u8], offset: usize, encoding: Encoding) -> Abbreviations {
        let mut table = Abbreviations {
            dense: Vec::with_capacity(ABBREVIATIONS_USUAL),
            steps: Vec::with_capacity(4 * ABBREVIATIONS_USUAL),
            skip: Vec::with_capacity(ABBREVIATIONS_USUAL),
            ..Abbreviations::default()
        };
        // The byte order matters to no number in this section.
        let mut cursor = Cursor::new(section, offset, false);
        while table.dense.len() + table.sparse.len() < ABBREVIATIONS_MAX && table.steps.len() < STEPS_MAX {
            if table.read_one(&mut cursor, encoding).is_none() {
                break;
            }
        }
        table.skip = Vec::new();
        table.sparse.sort_by_key(|(code, _)| *code);
        table.bytes = cursor.at().saturating_sub(offset);
        table
    }

    /// The abbreviation with this `code`.
    #[inline]
    pub(crate) fn get(&self, code: u64) -> Option<&Abbreviation> {
        let index = usize::try_from(code.wrapping_sub(1)).ok()?;
        self.dense.get(index).or_else(|| self.get_sparse(code))
    }

    #[cold]
    fn get_sparse(&self, code: u64) -> Option<&Abbreviation> {
        let index = self.sparse.binary_search_by_key(&code, |(code, _)| *code).ok()?;
        Some(&self.sparse[index].1)
    }

    /// The steps over an entry of no constant size.
    #[inline]
    pub(crate) fn steps_over(&self, abbreviation: &Abbreviation) -> &[Step] {
        self.steps.get(range(&abbreviation.skip)).unwrap_or_default()
    }

    /// The steps over an entry of which attributes are kept.
    #[inline]
    pub(crate) fn steps_through(&self, abbreviation: &Abbreviation) -> &[Step] {
        self.steps.get(range(&abbreviation.read)).unwrap_or_default()
    }

    /// Reads one abbreviation and gives its code; `None` at the end of the table.
    fn read_one(&mut self, cursor: &mut Cursor<'_>, encoding: Encoding) -> Option<u64> {
        let code = cursor.uleb().filter(|code| *code != 0)?;
        let tag = DwTag(u16::try_from(cursor.uleb()?).ok()?);
        let has_children = cursor.u8()? != 0;
        let keeps = Keeps::of(tag, has_children);
        let (mut has_sibling, mut has_code) = (false, false);
        let start = self.steps.len();
        self.skip.clear();
        while let Some((slot, form, constant)) = next_attribute(cursor)? {
            has_sibling |= slot == Some(Slot::Sibling);
            has_code |= matches!(slot, Some(Slot::LowPc | Slot::Ranges));
            let size = fixed_size(form, encoding);
            pass(&mut self.skip, 0, form, size);
            match slot.filter(|slot| keeps.keep(*slot)) {
                Some(slot) if form == dw::DW_FORM_implicit_const => {
                    self.steps.push(Step::Keep(slot, constant));
                }
                Some(slot) => self.steps.push(Step::Read(slot, form)),
                None if keeps == Keeps::Nothing => {}
                None => pass(&mut self.steps, start, form, size),
            }
            if self.skip.len() > STEPS_MAX {
                return None;
            }
        }
        let size = match self.skip[..] {
            [] => Some(0),
            [Step::Skip(size)] => Some(size),
            _ => None,
        };
        let read = position(start)..position(self.steps.len());
        if size.is_none() {
            self.steps.extend_from_slice(&self.skip);
        }
        let skip = read.end..position(self.steps.len());
        let abbreviation =
            Abbreviation { tag, kind: kind(tag, has_code), has_children, has_sibling, size, skip, read };
        if code == self.dense.len() as u64 + 1 {
            self.dense.push(abbreviation);
        } else {
            self.sparse.push((code, abbreviation));
        }
        Some(code)
    }
}

/// The definition of an abbreviation, to read a single entry with.
pub(crate) struct Definition<'a> {
    pub(crate) tag: DwTag,
    /// Before the first attribute.
    pub(crate) attributes: Cursor<'a>,
}

impl<'a> Definition<'a> {
    /// Finds the abbreviation `code` of the table at `offset` of `.debug_abbrev`: for the root of a unit it is nearly
    /// always the first.
    pub(crate) fn find(section: &'a [u8], offset: usize, code: u64) -> Option<Definition<'a>> {
        let mut cursor = Cursor::new(section, offset, false);
        for _ in 0..ABBREVIATIONS_MAX {
            let found = cursor.uleb().filter(|code| *code != 0)?;
            let tag = DwTag(u16::try_from(cursor.uleb()?).ok()?);
            let _has_children = cursor.u8()?;
            if found == code {
                return Some(Definition { tag, attributes: cursor });
            }
            skip_attributes(&mut cursor)?;
        }
        None
    }
}

/// Goes past the attributes of a definition. Compilers put the root's behind some tens of others.
#[inline]
fn skip_attributes(cursor: &mut Cursor<'_>) -> Option<()> {
    loop {
        let (attribute, form) = (cursor.uleb()?, cursor.uleb()?);
        if form == u64::from(dw::DW_FORM_implicit_const.0) {
            cursor.skip_leb()?;
        } else if attribute | form == 0 {
            return Some(());
        }
    }
}

/// The next attribute of a definition: the slot that it has, its form, and the constant that stands there. `Some(None)`
/// at the end of the definition, `None` at the end of the section.
#[inline]
pub(crate) fn next_attribute(cursor: &mut Cursor<'_>) -> Option<Option<(Option<Slot>, DwForm, i64)>> {
    let attribute = cursor.uleb()?;
    let form = DwForm(u16::try_from(cursor.uleb()?).ok()?);
    let constant = if form == dw::DW_FORM_implicit_const { cursor.sleb()? } else { 0 };
    if attribute == 0 && form.0 == 0 {
        return Some(None);
    }
    // Attributes of vendors may have large numbers; none of them is read.
    let slot = u16::try_from(attribute).ok().and_then(|attribute| Slot::of(DwAt(attribute)));
    Some(Some((slot, form, constant)))
}

/// Which attributes of an entry are ever read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Nothing,
    /// Where the next entry beside it starts.
    Sibling,
    All,
}

impl Keeps {
    fn of(tag: DwTag, has_children: bool) -> Keeps {
        match tag {
            dw::DW_TAG_subprogram
            | dw::DW_TAG_entry_point
            | dw::DW_TAG_inlined_subroutine
            | dw::DW_TAG_compile_unit
            | dw::DW_TAG_partial_unit
            | dw::DW_TAG_skeleton_unit => Keeps::All,
            _ if has_children => Keeps::Sibling,
            _ => Keeps::Nothing,
        }
    }

    #[inline]
    fn keep(self, slot: Slot) -> bool {
        match self {
            Keeps::Nothing => false,
            Keeps::Sibling => slot == Slot::Sibling,
            Keeps::All => true,
        }
    }
}

/// Appends the step past a value to those that begin at `start`.
#[inline]
fn pass(steps: &mut Vec<Step>, start: usize, form: DwForm, size: Option<u32>) {
    let is_first = steps.len() == start;
    match size {
        Some(0) => {}
        Some(size) => match steps.last_mut() {
            Some(Step::Skip(bytes)) if !is_first => *bytes = bytes.saturating_add(size),
            _ => steps.push(Step::Skip(size)),
        },
        None => steps.push(Step::Pass(form)),
    }
}

/// The length of the list of steps, which is far below 2^32: it is bounded.
fn position(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

fn kind(tag: DwTag, has_code: bool) -> Kind {
    match tag {
        dw::DW_TAG_subprogram | dw::DW_TAG_entry_point if has_code => Kind::Function,
        dw::DW_TAG_inlined_subroutine => Kind::Inlined,
        dw::DW_TAG_lexical_block | dw::DW_TAG_try_block | dw::DW_TAG_catch_block | dw::DW_TAG_with_stmt => {
            Kind::Block
        }
        dw::DW_TAG_namespace
        | dw::DW_TAG_module
        | dw::DW_TAG_compile_unit
        | dw::DW_TAG_partial_unit
        | dw::DW_TAG_skeleton_unit
        | dw::DW_TAG_common_block => Kind::Scope,
        _ => Kind::Other,
    }
}

/// The bytes of a value of `form`; `None` if they depend on the value.
fn fixed_size(form: DwForm, encoding: Encoding) -> Option<u32> {
    let bytes = match form {
        dw::DW_FORM_flag_present | dw::DW_FORM_implicit_const => 0,
        dw::DW_FORM_data1 | dw::DW_FORM_ref1 | dw::DW_FORM_flag | dw::DW_FORM_strx1 | dw::DW_FORM_addrx1 => 1,
        dw::DW_FORM_data2 | dw::DW_FORM_ref2 | dw::DW_FORM_strx2 | dw::DW_FORM_addrx2 => 2,
        dw::DW_FORM_strx3 | dw::DW_FORM_addrx3 => 3,
        dw::DW_FORM_data4
        | dw::DW_FORM_ref4
        | dw::DW_FORM_strx4
        | dw::DW_FORM_addrx4
        | dw::DW_FORM_ref_sup4 => 4,
        dw::DW_FORM_data8 | dw::DW_FORM_ref8 | dw::DW_FORM_ref_sig8 | dw::DW_FORM_ref_sup8 => 8,
        dw::DW_FORM_data16 => 16,
        dw::DW_FORM_addr => encoding.address_size,
        // DWARF 2 gave it the size of an address.
        dw::DW_FORM_ref_addr if encoding.version <= 2 => encoding.address_size,
        dw::DW_FORM_ref_addr
        | dw::DW_FORM_strp
        | dw::DW_FORM_line_strp
        | dw::DW_FORM_strp_sup
        | dw::DW_FORM_sec_offset
        | dw::DW_FORM_GNU_ref_alt
        | dw::DW_FORM_GNU_strp_alt => encoding.offset_size,
        _ => return None,
    };
    Some(u32::from(bytes))
}
