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
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Names<'a> {
    /// The name for the linker, mangled where the language does that.
    pub(crate) linkage: Option<Text<'a>>,
    /// The name in the source, without what it is part of.
    pub(crate) plain: Option<Text<'a>>,
}

/// The names of the function whose entry is at offset `entry` of `.debug_info`. What cannot be read is not known.
pub(crate) fn of_entry<'a>(dwarf: &'a Dwarf, place: &Place<'a>, entry: usize, work: &Work<'_>) -> Names<'a> {
    let mut names = Names::default();
    let mut here = (place.clone(), entry);
    let mut attributes = Attributes::NONE;
    for _ in 0..HOPS_MAX {
        let (place, entry) = &here;
        if read(place, *entry, &mut attributes).is_none() {
            break;
        }
        let text = |slot| {
            let text: Option<Text<'a>> = attributes.get(slot).and_then(|value| place.text(value));
            text.filter(|text| !text.bytes.is_empty())
        };
        names.linkage = names.linkage.or_else(|| text(Slot::LinkageName));
        names.plain = names.plain.or_else(|| text(Slot::Name));
        if names.linkage.is_some() {
            break;
        }
        let reference = attributes.get(Slot::Origin).or_else(|| attributes.get(Slot::Specification));
        let Some(next) = reference.and_then(|reference| follow(dwarf, place, reference, work)) else { break };
        here = next;
    }
    names
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
