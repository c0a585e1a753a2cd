//! The address ranges of an entry: a pair of attributes, or a list in `.debug_ranges` (DWARF 3 and 4) or
//! `.debug_rnglists` (DWARF 5).
//!
//! What a list says is not judged here. Linkers leave descriptions of functions behind that they dropped; the caller
//! knows where code is.

use gimli::constants::{self as dw, DwRle};

use super::abbrev::Slot;
use super::attributes::{Attributes, Value};
use super::sections::Id;
use super::unit::{Place, is_address_index};
use super::work::Work;

/// Calls `each` with the start and the end of each range of the entry. A list that is damaged ends early; a range
/// that ends before it starts is left out.
#[inline]
pub(crate) fn of_entry(
    place: &Place<'_>,
    attributes: &Attributes,
    work: &Work<'_>,
    each: &mut impl FnMut(u64, u64),
) {
    let low = attributes.get(Slot::LowPc);
    if let (Some(low), Some(high)) = (low, attributes.get(Slot::HighPc)) {
        if let Some((start, end)) = pair(place, low, high) {
            each(start, end);
        }
        return;
    }
    if let Some(list) = attributes.get(Slot::Ranges) {
        of_list(place, list, work, each);
    } else if let Some(start) = low.and_then(|low| place.address(low)) {
        // The standard: the entry has a single address.
        if let Some(end) = start.checked_add(1) {
            each(start, end);
        }
    }
}

/// The range from `low` to `high`, which is an address or a length.
fn pair(place: &Place<'_>, low: Value, high: Value) -> Option<(u64, u64)> {
    let start = place.address(low)?;
    let end = if high.form == dw::DW_FORM_addr || is_address_index(high.form) {
        place.address(high)?
    } else {
        start.checked_add(high.number)?
    };
    (start < end).then_some((start, end))
}

/// The ranges of the list that `value` refers to.
pub(crate) fn of_list(place: &Place<'_>, value: Value, work: &Work<'_>, each: &mut impl FnMut(u64, u64)) {
    let encoding = place.unit.header.encoding;
    let done = if encoding.version >= 5 {
        list_offset(place, value).and_then(|offset| range_list(place, offset, work, each))
    } else {
        let is_split = !std::ptr::eq(place.sections, place.addresses);
        let base = if is_split { place.unit.bases.ranges } else { 0 };
        usize::try_from(value.number.wrapping_add(base))
            .ok()
            .and_then(|offset| range_pairs(place, offset, work, each))
    };
    // A list without an end is as good as what was read of it.
    let _: Option<()> = done;
}

/// Where a list of DWARF 5 starts in `.debug_rnglists`: given itself, or as an index.
fn list_offset(place: &Place<'_>, value: Value) -> Option<usize> {
    if value.form != dw::DW_FORM_rnglistx {
        return usize::try_from(value.number).ok();
    }
    let base = place.unit.bases.range_lists;
    let size = place.unit.header.encoding.offset_size;
    let entry = value.number.checked_mul(u64::from(size))?.checked_add(base)?;
    let offset = place.sections.at(Id::Rnglists, usize::try_from(entry).ok()?).unsigned(size)?;
    usize::try_from(offset.checked_add(base)?).ok()
}

/// Reads a list of DWARF 3 and 4.
fn range_pairs(
    place: &Place<'_>,
    offset: usize,
    work: &Work<'_>,
    each: &mut impl FnMut(u64, u64),
) -> Option<()> {
    let size = place.unit.header.encoding.address_size;
    let select_base = u64::MAX >> (64 - 8 * u32::from(size));
    let mut cursor = place.addresses.at(Id::Ranges, offset);
    let mut base = place.unit.bases.low_pc;
    loop {
        work.spend_range()?;
        let (start, end) = (cursor.unsigned(size)?, cursor.unsigned(size)?);
        match (start, end) {
            (0, 0) => return Some(()),
            (start, end) if start == select_base => base = end,
            (start, end) if start < end => report(base.checked_add(start), base.checked_add(end), each),
            _ => {}
        }
    }
}

/// Reads a list of DWARF 5.
fn range_list(
    place: &Place<'_>,
    offset: usize,
    work: &Work<'_>,
    each: &mut impl FnMut(u64, u64),
) -> Option<()> {
    let size = place.unit.header.encoding.address_size;
    let mut cursor = place.sections.at(Id::Rnglists, offset);
    let mut base = place.unit.bases.low_pc;
    loop {
        work.spend_range()?;
        match DwRle(cursor.u8()?) {
            dw::DW_RLE_end_of_list => return Some(()),
            // An index that leads nowhere costs what depends on it.
            dw::DW_RLE_base_addressx => base = place.indexed_address(cursor.uleb()?)?,
            dw::DW_RLE_base_address => base = cursor.unsigned(size)?,
            dw::DW_RLE_startx_endx => {
                let (start, end) = (cursor.uleb()?, cursor.uleb()?);
                report(place.indexed_address(start), place.indexed_address(end), each);
            }
            dw::DW_RLE_startx_length => {
                let (start, length) = (cursor.uleb()?, cursor.uleb()?);
                let start = place.indexed_address(start);
                report(start, start.and_then(|start| start.checked_add(length)), each);
            }
            dw::DW_RLE_offset_pair => {
                let (start, end) = (cursor.uleb()?, cursor.uleb()?);
                report(base.checked_add(start), base.checked_add(end), each);
            }
            dw::DW_RLE_start_end => {
                let (start, end) = (cursor.unsigned(size)?, cursor.unsigned(size)?);
                report(Some(start), Some(end), each);
            }
            dw::DW_RLE_start_length => {
                let (start, length) = (cursor.unsigned(size)?, cursor.uleb()?);
                report(Some(start), start.checked_add(length), each);
            }
            _ => return None,
        }
    }
}

fn report(start: Option<u64>, end: Option<u64>, each: &mut impl FnMut(u64, u64)) {
    if let (Some(start), Some(end)) = (start, end)
        && start < end
    {
        each(start, end);
    }
}
