//! Relocatable objects: what the linker would have filled into their debug sections.
//!
//! Every section of an object starts at address 0, so an address means something in one of them only: `.text`, as
//! everybody takes it. What refers to code of another section is sent to the end of the address space, where nothing
//! is looked up.

use object::{Object, ObjectSection, ObjectSymbol, RelocationKind, RelocationTarget, SectionIndex};

use crate::elf;

/// The section whose addresses are meant.
const CODE: &str = ".text";

/// The index of the section whose addresses are meant.
pub(crate) fn code_section<'a>(view: &'a impl Object<'a>) -> Option<SectionIndex> {
    view.section_by_name(CODE).map(|section| section.index())
}

/// Fills in what the relocations of `section` say about its `bytes`. Kinds that debug sections do not need are left
/// out, and so is what lies outside.
pub(crate) fn apply(view: &object::File<'_>, section: &object::Section<'_, '_>, bytes: &mut [u8]) {
    let code = code_section(view);
    for (offset, relocation) in section.relocations() {
        let RelocationTarget::Symbol(symbol) = relocation.target() else { continue };
        let Ok(symbol) = view.symbol_by_index(symbol) else { continue };
        let size = usize::from(relocation.size() / 8);
        let place =
            usize::try_from(offset).ok().and_then(|offset| bytes.get_mut(offset..offset.checked_add(size)?));
        let Some(place) = place.filter(|_| relocation.kind() == RelocationKind::Absolute) else { continue };
        let stored = if relocation.has_implicit_addend() { read(place, view.is_little_endian()) } else { 0 };
        let elsewhere = symbol.section_index().filter(|index| Some(*index) != code).is_some_and(|index| {
            view.section_by_index(index).is_ok_and(|section| elf::is_executable(section.flags()))
        });
        let value = if elsewhere {
            u64::MAX
        } else {
            symbol.address().wrapping_add(relocation.addend().cast_unsigned()).wrapping_add(stored)
        };
        write(place, value, view.is_little_endian());
    }
}

fn read(place: &[u8], is_little_endian: bool) -> u64 {
    let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    if is_little_endian { place.iter().rev().fold(0, push) } else { place.iter().fold(0, push) }
}

fn write(place: &mut [u8], value: u64, is_little_endian: bool) {
    let length = place.len();
    for (index, byte) in place.iter_mut().enumerate() {
        let shift = if is_little_endian { index } else { length - 1 - index };
        *byte = value.checked_shr(8 * shift as u32).unwrap_or(0) as u8;
    }
}
