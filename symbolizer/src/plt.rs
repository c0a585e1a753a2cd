//! Names of the stubs through which a program calls shared objects: `puts@plt`, as debuggers call them.
//!
//! No symbol covers a stub. But it jumps through a slot of the global offset table, and the relocation that fills the
//! slot names the function. So the jump is read, which holds for every layout of the table that linkers make.

use std::collections::HashMap;
use std::ops::Range;

use object::{Architecture, Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, RelocationTarget};

use crate::demangle::NAME_BYTES_MAX;
use crate::elf::{self, Elf};

/// Bytes of a stub, in every layout but the short one of `.plt.got`.
const STUB_BYTES: u64 = 16;

/// Bytes of a section of stubs that are read at most: a million stubs.
const STUBS_BYTES_MAX: usize = 16 << 20;

/// A stub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stub {
    pub(crate) name: Box<str>,
    pub(crate) start: u64,
}

/// The stub at each of `addresses`.
pub(crate) fn find(elf: &Elf, addresses: &[u64]) -> Vec<Option<Stub>> {
    let mut found = vec![None; addresses.len()];
    let Ok(view) = elf.view() else { return found };
    let sections: Vec<_> = view.sections().filter(is_stubs).collect();
    let holds = |section: &object::Section<'_, '_>, address: u64| {
        elf::extent(section.address(), section.size()).contains(&address)
    };
    let is_asked =
        |section: &&object::Section<'_, '_>| addresses.iter().any(|address| holds(section, *address));
    let asked: Vec<_> = sections.iter().filter(is_asked).collect();
    if asked.is_empty() {
        return found;
    }
    let slots = slots(&view);
    for section in asked {
        let Ok(data) = section.data() else { continue };
        let jumps = jumps(view.architecture(), section.address(), &data[..data.len().min(STUBS_BYTES_MAX)]);
        for (address, found) in addresses.iter().zip(&mut found) {
            let after = jumps.partition_point(|(stub, _)| stub.start <= *address);
            let jump = after.checked_sub(1).and_then(|index| jumps.get(index));
            if let Some((stub, slot)) = jump.filter(|(stub, _)| stub.contains(address))
                && let Some(name) = slots.get(slot)
            {
                *found = Some(Stub { name: format!("{name}@plt").into(), start: stub.start });
            }
        }
    }
    found
}

/// Appends where stubs may begin and end.
pub(crate) fn boundaries(elf: &Elf, boundaries: &mut Vec<u64>) {
    let Ok(view) = elf.view() else { return };
    for section in view.sections().filter(is_stubs) {
        let size = section.size().min(STUBS_BYTES_MAX as u64);
        let starts = (0..size).step_by(STUB_BYTES as usize / 2);
        boundaries.extend(starts.map(|offset| section.address().saturating_add(offset)));
    }
}

fn is_stubs(section: &object::Section<'_, '_>) -> bool {
    section.name().is_ok_and(|name| name.starts_with(".plt")) && elf::is_executable(section.flags())
}

/// Which function each slot of the global offset table is filled with.
fn slots(view: &object::File<'_>) -> HashMap<u64, String> {
    let Some(table) = view.dynamic_symbol_table() else { return HashMap::new() };
    let name = |(slot, relocation): (u64, object::Relocation)| {
        let RelocationTarget::Symbol(symbol) = relocation.target() else { return None };
        let symbol = table.symbol_by_index(symbol).ok()?;
        let name = symbol.name_bytes().ok()?;
        let name = String::from_utf8_lossy(&name[..name.len().min(NAME_BYTES_MAX)]).into_owned();
        (!name.is_empty()).then_some((slot, name))
    };
    view.dynamic_relocations().into_iter().flatten().filter_map(name).collect()
}

/// Each stub of a section at `address`, and the slot that it jumps through.
fn jumps(architecture: Architecture, address: u64, code: &[u8]) -> Vec<(Range<u64>, u64)> {
    match architecture {
        Architecture::X86_64 | Architecture::X86_64_X32 => x86_64_jumps(address, code),
        Architecture::Aarch64 => aarch64_jumps(address, code),
        _ => Vec::new(),
    }
}

/// `jmp *offset(%rip)`, with a prefix or none, behind `endbr64` or not. A stub begins at a multiple of its size.
fn x86_64_jumps(address: u64, code: &[u8]) -> Vec<(Range<u64>, u64)> {
    const JUMP: [u8; 2] = [0xff, 0x25];
    let mut jumps: Vec<(Range<u64>, u64)> = Vec::new();
    let mut at = 0;
    while let Some(place) = code.get(at..).and_then(|rest| memchr::memmem::find(rest, &JUMP)) {
        let jump = at + place;
        at = jump + 2;
        let Some(offset) = code.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()) else { break };
        let next = address.wrapping_add(at as u64 + 4);
        let slot = next.wrapping_add_signed(i64::from(i32::from_le_bytes(offset)));
        // `.plt.got` has stubs of 8 bytes, which start at the jump.
        let start = address.wrapping_add(jump as u64);
        let aligned = start - start % STUB_BYTES;
        let start = if start.is_multiple_of(STUB_BYTES / 2) { start } else { aligned };
        if let Some((before, _)) = jumps.last_mut() {
            before.end = before.end.min(start);
        }
        jumps.push((start..aligned.saturating_add(STUB_BYTES), slot));
    }
    jumps
}

/// `adrp x16, page` and `ldr x17, [x16, offset]`, behind `bti c` or not.
fn aarch64_jumps(address: u64, code: &[u8]) -> Vec<(Range<u64>, u64)> {
    let words: Vec<u32> =
        code.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
    let mut jumps: Vec<(Range<u64>, u64)> = Vec::new();
    for (index, pair) in words.windows(2).enumerate() {
        let (page, load) = (pair[0], pair[1]);
        if page & 0x9f00_001f != 0x9000_0010 || load & 0xffc0_03ff != 0xf940_0211 {
            continue;
        }
        let place = address.wrapping_add(4 * index as u64);
        // 21 bits: the two lowest stand apart; sign-extended.
        let pages = (page >> 29 & 3) | (page >> 5 & 0x7_ffff) << 2;
        let pages = i64::from((pages << 11).cast_signed() >> 11);
        let slot = (place & !0xfff)
            .wrapping_add_signed(pages << 12)
            .wrapping_add(u64::from(load >> 10 & 0xfff) << 3);
        let start = place - place % STUB_BYTES;
        jumps.push((start..start.saturating_add(STUB_BYTES), slot));
    }
    jumps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As GNU ld wrote them, and as objdump and readelf show them.
    #[test]
    fn a_stub_names_the_slot_that_it_jumps_through() {
        let plain = [0xff, 0x25, 0xe2, 0x2f, 0, 0, 0x68, 0, 0, 0, 0, 0xe9, 0xe0, 0xff, 0xff, 0xff];
        assert_eq!(jumps(Architecture::X86_64, 0x1030, &plain), [(0x1030..0x1040, 0x4018)]);
        let marked = [0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25, 0xa5, 0x2f, 0, 0, 0x0f, 0x1f, 0x44, 0, 0];
        assert_eq!(jumps(Architecture::X86_64, 0x1080, &marked), [(0x1080..0x1090, 0x4030)]);
        let words: [u32; 4] = [0xb000_0170, 0xf940_2611, 0x9101_2210, 0xd61f_0220];
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(jumps(Architecture::Aarch64, 0x3e70, &code), [(0x3e70..0x3e80, 0x30048)]);
        assert_eq!(jumps(Architecture::X86_64, 0, &plain[..4]), []);
    }
}
