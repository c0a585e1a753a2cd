//! Units: the header of each, and what its root entry says about reading the rest.

use std::sync::Arc;

use gimli::constants::{self as dw, DwForm, DwLang, DwUt};

use super::abbrev::{Abbreviations, Definition, Encoding, Slot};
use super::attributes::{Attributes, Value};
use super::sections::{Id, Key, Sections};

/// The header of a unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    /// Where the header starts in `.debug_info`.
    pub(crate) start: usize,
    /// Where the root entry starts.
    pub(crate) root: usize,
    /// Where the unit ends.
    pub(crate) end: usize,
    pub(crate) encoding: Encoding,
    pub(crate) kind: DwUt,
    abbreviations: usize,
    /// The id that a skeleton and its split unit share, in DWARF 5.
    split_id: Option<u64>,
}

/// The headers of all units of a file, in order.
pub(crate) struct Headers<'a> {
    sections: &'a Sections,
    next: usize,
}

/// Where the tables begin that the unit indexes into.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bases {
    pub(crate) strings: u64,
    pub(crate) addresses: u64,
    pub(crate) range_lists: u64,
    /// What is added to offsets into `.debug_ranges`, in split DWARF 4.
    pub(crate) ranges: u64,
    /// What ranges are relative to.
    pub(crate) low_pc: u64,
}

/// Where the parts of a split unit start in the sections of a package; 0 in files of their own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Contribution {
    pub(crate) abbreviations: usize,
    pub(crate) strings: u64,
    pub(crate) range_lists: u64,
}

/// A unit, ready to be walked.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    pub(crate) header: Header,
    pub(crate) abbreviations: Arc<Abbreviations>,
    pub(crate) bases: Bases,
    pub(crate) root: Root,
}

/// What the root entry says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Root {
    pub(crate) tag: gimli::DwTag,
    attributes: Attributes,
}

/// A unit together with the files that its values refer to.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    /// The file that holds the unit.
    pub(crate) sections: &'a Sections,
    /// The file that holds its addresses, and in DWARF 4 its ranges: the same, or that of the skeleton.
    pub(crate) addresses: &'a Sections,
    /// The file that several debug files share, if there is one.
    pub(crate) shared: Option<&'a Sections>,
    pub(crate) unit: Arc<Unit>,
}

/// A text in a debug section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) key: Key,
    pub(crate) bytes: &'a [u8],
}

impl Header {
    /// Reads the header at `start`; `None` at the end of the section, or where its length makes no sense, since
    /// nothing behind that can be found.
    ///
    /// A header whose version is not known has no root: `root` is `end`.
    pub(crate) fn read(sections: &Sections, start: usize) -> Option<Header> {
        let mut cursor = sections.at(Id::Info, start);
        let (length, offset_size) = cursor.initial_length()?;
        // A unit that was cut off with its file ends with the section.
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(cursor.left());
        let end = cursor.at() + length;
        let version = cursor.u16()?;
        let mut kind = dw::DW_UT_compile;
        let (abbreviations, address_size);
        if version >= 5 {
            kind = DwUt(cursor.u8()?);
            address_size = cursor.u8()?;
            abbreviations = cursor.unsigned(offset_size)?;
        } else {
            abbreviations = cursor.unsigned(offset_size)?;
            address_size = cursor.u8()?;
        }
        let mut split_id = None;
        match kind {
            dw::DW_UT_skeleton | dw::DW_UT_split_compile => split_id = Some(cursor.u64()?),
            dw::DW_UT_type | dw::DW_UT_split_type => cursor.skip(8 + usize::from(offset_size))?,
            _ => {}
        }
        let known = (2..=5).contains(&version) && matches!(address_size, 1 | 2 | 4 | 8);
        Some(Header {
            start,
            root: if known { cursor.at().min(end) } else { end },
            end,
            encoding: Encoding { version, address_size, offset_size },
            kind,
            abbreviations: usize::try_from(abbreviations).unwrap_or(usize::MAX),
            split_id,
        })
    }

    /// Where the unit's abbreviations start.
    pub(crate) fn abbreviations(&self, contribution: Contribution) -> usize {
        self.abbreviations.saturating_add(contribution.abbreviations)
    }

    /// Whether the unit may describe code of its own: type units do not, and partial ones are parts of others.
    pub(crate) fn may_own_code(&self) -> bool {
        self.root < self.end
            && !matches!(self.kind, dw::DW_UT_type | dw::DW_UT_split_type | dw::DW_UT_partial)
    }

    /// Reads the root entry with the abbreviations of the unit.
    pub(crate) fn root_by(&self, sections: &Sections, abbreviations: &Abbreviations) -> Option<Root> {
        let mut cursor = sections.at(Id::Info, self.root);
        let abbreviation = abbreviations.get(cursor.uleb()?)?;
        let mut attributes = Attributes::NONE;
        attributes.read(&mut cursor, abbreviations, abbreviation, self.encoding)?;
        Some(Root { tag: abbreviation.tag, attributes })
    }

    /// Reads the root entry with the one abbreviation that it needs.
    pub(crate) fn root(&self, sections: &Sections, contribution: Contribution) -> Option<Root> {
        let mut cursor = sections.at(Id::Info, self.root);
        let code = cursor.uleb()?;
        let offset = self.abbreviations(contribution);
        let definition = Definition::find(sections.get(Id::Abbrev), offset, code)?;
        let attributes = Attributes::read_once(&mut cursor, definition.attributes, self.encoding)?;
        Some(Root { tag: definition.tag, attributes })
    }
}

impl<'a> Headers<'a> {
    pub(crate) fn of(sections: &'a Sections) -> Headers<'a> {
        Headers { sections, next: 0 }
    }
}

impl Iterator for Headers<'_> {
    type Item = Header;

    fn next(&mut self) -> Option<Header> {
        let header = Header::read(self.sections, self.next)?;
        // A header is some bytes long, so this goes on and ends.
        self.next = header.end;
        Some(header)
    }
}

impl Root {
    /// Where the tables begin that the unit indexes into.
    pub(crate) fn bases(&self, header: &Header, contribution: Contribution) -> Bases {
        let number = |slot| self.attributes.number(slot);
        // Split units have no attributes for these: each has one contribution, behind a header where there is one.
        let is_split = header.kind == dw::DW_UT_split_compile;
        let header_size = |short, long| if header.encoding.offset_size == 8 { long } else { short };
        let strings =
            number(Slot::StringOffsetsBase).unwrap_or(if is_split { header_size(8, 16) } else { 0 });
        let range_lists =
            number(Slot::RangeListsBase).unwrap_or(if is_split { header_size(12, 20) } else { 0 });
        Bases {
            strings: strings.wrapping_add(contribution.strings),
            addresses: number(Slot::AddressBase).unwrap_or(0),
            range_lists: range_lists.wrapping_add(contribution.range_lists),
            ranges: number(Slot::GnuRangesBase).unwrap_or(0),
            low_pc: 0,
        }
    }

    pub(crate) fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Whether the unit's own functions stand in another file.
    pub(crate) fn is_skeleton(&self) -> bool {
        self.attributes.get(Slot::SplitName).is_some()
    }

    /// The id that a skeleton and its split unit share: in the header since DWARF 5, an attribute before.
    pub(crate) fn split_id(&self, header: &Header) -> Option<u64> {
        header.split_id.or_else(|| self.attributes.number(Slot::SplitId))
    }

    /// Whether the root gives ranges for the unit.
    pub(crate) fn has_ranges(&self) -> bool {
        let has = |slot| self.attributes.get(slot).is_some();
        has(Slot::Ranges) || has(Slot::HighPc)
    }

    /// Where the unit's line program starts in `.debug_line`.
    pub(crate) fn line_program(&self) -> Option<usize> {
        usize::try_from(self.attributes.number(Slot::StatementList)?).ok()
    }

    /// Whether a function of the unit has no other name than its plain one.
    pub(crate) fn is_c(&self) -> bool {
        let language = self.attributes.number(Slot::Language).and_then(|number| u16::try_from(number).ok());
        matches!(
            language.map(DwLang),
            Some(
                dw::DW_LANG_C89
                    | dw::DW_LANG_C
                    | dw::DW_LANG_C99
                    | dw::DW_LANG_C11
                    | dw::DW_LANG_C17
                    | dw::DW_LANG_Go
            )
        )
    }
}

impl Unit {
    /// The unit behind `header`, with `abbreviations`, which are those of the header.
    pub(crate) fn new(
        header: Header,
        root: Root,
        abbreviations: Arc<Abbreviations>,
        contribution: Contribution,
    ) -> Unit {
        Unit { header, abbreviations, bases: root.bases(&header, contribution), root }
    }

    /// Whether an entry at this offset is one of the unit's.
    pub(crate) fn holds(&self, entry: usize) -> bool {
        (self.header.root..self.header.end).contains(&entry)
    }

    /// The id that the unit shares with its other half.
    pub(crate) fn split_id(&self) -> Option<u64> {
        self.root.split_id(&self.header)
    }
}

impl<'a> Place<'a> {
    /// Lets the unit's tables begin elsewhere.
    pub(crate) fn rebase(&mut self, bases: Bases) {
        Arc::make_mut(&mut self.unit).bases = bases;
    }

    /// The address that a value of an address form stands for.
    #[inline]
    pub(crate) fn address(&self, value: Value) -> Option<u64> {
        match value.form {
            dw::DW_FORM_addr => Some(value.number),
            form if is_address_index(form) => self.indexed_address(value.number),
            _ => None,
        }
    }

    /// The address number `index` of the unit's contribution to `.debug_addr`.
    pub(crate) fn indexed_address(&self, index: u64) -> Option<u64> {
        let size = self.unit.header.encoding.address_size;
        let offset = index.checked_mul(u64::from(size))?.checked_add(self.unit.bases.addresses)?;
        self.addresses.at(Id::Addr, usize::try_from(offset).ok()?).unsigned(size)
    }

    /// The text that a value of a string form stands for.
    pub(crate) fn text(&self, value: Value) -> Option<Text<'a>> {
        let (sections, section, offset) = match value.form {
            dw::DW_FORM_string => (self.sections, Id::Info, value.number),
            dw::DW_FORM_strp => (self.sections, Id::Str, value.number),
            dw::DW_FORM_line_strp => (self.sections, Id::LineStr, value.number),
            dw::DW_FORM_GNU_strp_alt | dw::DW_FORM_strp_sup => (self.shared?, Id::Str, value.number),
            dw::DW_FORM_strx
            | dw::DW_FORM_strx1
            | dw::DW_FORM_strx2
            | dw::DW_FORM_strx3
            | dw::DW_FORM_strx4
            | dw::DW_FORM_GNU_str_index => {
                let size = self.unit.header.encoding.offset_size;
                let entry =
                    value.number.checked_mul(u64::from(size))?.checked_add(self.unit.bases.strings)?;
                let offset = self.sections.at(Id::StrOffsets, usize::try_from(entry).ok()?).unsigned(size)?;
                (self.sections, Id::Str, offset)
            }
            _ => return None,
        };
        let offset = usize::try_from(offset).ok()?;
        let bytes = sections.at(section, offset).text()?;
        Some(Text { key: Key::new(sections.id(), section, offset), bytes })
    }
}

/// Whether a value of `form` is an index into `.debug_addr`.
pub(crate) fn is_address_index(form: DwForm) -> bool {
    matches!(
        form,
        dw::DW_FORM_addrx
            | dw::DW_FORM_addrx1
            | dw::DW_FORM_addrx2
            | dw::DW_FORM_addrx3
            | dw::DW_FORM_addrx4
            | dw::DW_FORM_GNU_addr_index
    )
}
