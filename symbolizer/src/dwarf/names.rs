//! The names of a function's entry.
//!
//! An entry that has code seldom has a name. It refers to the abstract function that it is an instance of, that one to
//! its declaration in a class, and each of them may stand in another unit, or in the file that several debug files
//! share.

use gimli::constants as dw;

use super::Dwarf;
use super::abbrev::Slot;
use super::attributes::{Attributes, Value};
use super::sections::Id;
use super::unit::{Place, Text};
use super::work::Work;

/// References followed from one entry at most. Compilers and `dwz` make three; a cycle is made to hurt.
const HOPS_MAX: usize = 16;

/// What a function is called and where it was declared.
#[derive(Clone, Default)]
pub(crate) struct Names<'a> {
    /// The name for the linker, mangled where the language does that.
    pub(crate) linkage: Option<Text<'a>>,
    /// The name in the source, without what it is part of.
    pub(crate) plain: Option<Text<'a>>,
    /// The line that declares it.
    pub(crate) line: Option<u32>,
    /// The number of the file that declares it, and the unit that numbers files so.
    pub(crate) file: Option<(Place<'a>, u64)>,
    /// Where the entry itself says that its code starts.
    pub(crate) low_pc: Option<u64>,
}

/// The names of the function whose entry is at offset `entry` of `.debug_info`. What cannot be read is not known.
/// `wants_declaration` says that references are followed for that alone, too.
pub(crate) fn of_entry<'a>(
    dwarf: &'a Dwarf,
    place: &Place<'a>,
    entry: usize,
    wants_declaration: bool,
    work: &Work<'_>,
) -> Names<'a> {
    let mut names = Names::default();
    let mut here = (place.clone(), entry);
    let mut attributes = Attributes::NONE;
    for hop in 0..HOPS_MAX {
        let (place, entry) = &here;
        if read(place, *entry, &mut attributes).is_none() {
            break;
        }
        let text = |slot| {
            let text: Option<Text<'a>> = attributes.get(slot).and_then(|value| place.text(value));
            text.filter(|text| !text.bytes.is_empty())
        };
        names.linkage = names.linkage.or_else(|| text(Slot::LinkageName));
        names.plain = names.plain.or_else(|| text(Slot::Name).map(without_part));
        let line = attributes.number(Slot::DeclarationLine).and_then(|line| u32::try_from(line).ok());
        names.line = names.line.or(line);
        let file = attributes.number(Slot::DeclarationFile);
        names.file = names.file.or_else(|| file.map(|file| (place.clone(), file)));
        if hop == 0 {
            names.low_pc = attributes.get(Slot::LowPc).and_then(|low_pc| place.address(low_pc));
        }
        let is_declared = names.line.is_some() && names.plain.is_some();
        if names.linkage.is_some() && (is_declared || !wants_declaration) {
            break;
        }
        let reference = attributes.get(Slot::Origin).or_else(|| attributes.get(Slot::Specification));
        let Some(next) = reference.and_then(|reference| follow(dwarf, place, reference, work)) else { break };
        here = next;
    }
    names
}

/// In strict DWARF 2 a function in two pieces has two entries, and GCC makes up a name for the second.
fn without_part(name: Text<'_>) -> Text<'_> {
    const PART: &[u8] = b"__second_sect_of_";
    match name.bytes.strip_prefix(PART) {
        Some(bytes) if !bytes.is_empty() => Text { key: name.key.behind(PART.len()), bytes },
        _ => name,
    }
}

/// Reads the entry at offset `entry`, which lies in the unit of `place`.
fn read(place: &Place<'_>, entry: usize, attributes: &mut Attributes) -> Option<()> {
    let unit = &place.unit;
    let mut cursor = place.sections.at(Id::Info, entry);
    let code = cursor.uleb()?;
    let abbreviation = unit.abbreviations.get(code)?;
    attributes.read(&mut cursor, &unit.abbreviations, abbreviation, unit.header.encoding)
}

/// Where a reference leads.
fn follow<'a>(
    dwarf: &'a Dwarf,
    place: &Place<'a>,
    reference: Value,
    work: &Work<'_>,
) -> Option<(Place<'a>, usize)> {
    let number = usize::try_from(reference.number).ok()?;
    let header = &place.unit.header;
    match reference.form {
        dw::DW_FORM_ref1 | dw::DW_FORM_ref2 | dw::DW_FORM_ref4 | dw::DW_FORM_ref8 | dw::DW_FORM_ref_udata => {
            let entry = header.start.checked_add(number)?;
            (header.root..header.end).contains(&entry).then(|| (place.clone(), entry))
        }
        dw::DW_FORM_ref_addr if (header.root..header.end).contains(&number) => Some((place.clone(), number)),
        dw::DW_FORM_ref_addr => Some((dwarf.place_at(place, place.sections, number, work)?, number)),
        dw::DW_FORM_GNU_ref_alt | dw::DW_FORM_ref_sup4 | dw::DW_FORM_ref_sup8 => {
            Some((dwarf.place_at(place, place.shared?, number, work)?, number))
        }
        _ => None,
    }
}
