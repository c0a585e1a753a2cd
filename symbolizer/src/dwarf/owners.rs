//! Which units may describe which addresses.
//!
//! `.debug_aranges` says so for the units that it names, and is believed where it says yes: it may be absent (clang
//! leaves it out), name some units only (rustc), or not all the code of a unit. So the roots of the units that it does
//! not name are read as well while an address has no owner, then those of the others. A unit whose root tells no
//! ranges may own whatever nobody else does. No index is made: each range is looked up among the sorted addresses. Only
//! for few addresses that are asked for again and again there is a [map](super::unit_map).

use super::Dwarf;
use super::ranges;
use super::sections::{Id, Sections};
use super::unit::{Contribution, Headers, Place};
use super::work::Work;

/// A unit that may describe addresses. An address may have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    /// Where the unit's header starts.
    pub(crate) unit: usize,
    /// The first of the addresses, and the one behind the last.
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// How far to look for owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Until each address has one.
    Usual,
    /// In the roots of all units.
    AllRoots,
}

/// Owners kept at most. Each is a range of a unit that holds an address.
const OWNERS_MAX: usize = 1 << 22;

/// As many addresses are looked at one by one: the bits of a word.
const FEW: usize = 64;

/// The owners of addresses.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    /// In the order of the units in the file.
    pub(crate) claims: Vec<Owner>,
    /// Units that do not tell what they own.
    pub(crate) silent: Vec<usize>,
    /// The addresses without an owner, which may be those of a silent unit.
    pub(crate) unowned: Vec<usize>,
}

/// The owners of `addresses`, which are sorted.
pub(crate) fn of(dwarf: &Dwarf, addresses: &[u64], effort: Effort, work: &Work<'_>) -> Owners {
    if addresses.len() <= FEW
        && let Some(map) = dwarf.unit_map(work)
    {
        return map.owners(addresses);
    }
    let is_thorough = effort == Effort::AllRoots;
    let mut search = Search { addresses, is_thorough, owners: Vec::new(), silent: Vec::new(), owned: 0 };
    let mut named = Vec::new();
    if !is_thorough {
        named = search.read_index(dwarf.main());
        named.sort_unstable();
        named.dedup();
    }
    if !search.unowned().is_empty() {
        read_roots(dwarf, work, &mut search, |start| named.binary_search(&start).is_err());
    }
    if !named.is_empty() && !search.unowned().is_empty() {
        read_roots(dwarf, work, &mut search, |start| named.binary_search(&start).is_ok());
    }
    let unowned = search.unowned();
    let Search { owners: mut claims, mut silent, .. } = search;
    claims.sort_unstable();
    claims.dedup();
    silent.sort_unstable();
    Owners { claims, silent, unowned }
}

/// What becomes of the ranges that the roots of units tell.
pub(crate) trait RangeSink {
    /// The unit at `unit` has code from `start` to `end`.
    fn range(&mut self, unit: usize, start: u64, end: u64);

    /// The unit at `unit` does not tell where its code is.
    fn silent(&mut self, unit: usize);

    /// Whether nothing more need be read.
    fn is_complete(&self) -> bool;
}

/// Reads the roots of the units whose start is `wanted`.
pub(crate) fn read_roots(
    dwarf: &Dwarf,
    work: &Work<'_>,
    sink: &mut impl RangeSink,
    wanted: impl Fn(usize) -> bool,
) {
    let sections = dwarf.main();
    for header in Headers::of(sections).filter(|header| header.may_own_code() && wanted(header.start)) {
        if work.step(1).is_none() || sink.is_complete() {
            return;
        }
        let Some(root) = header.root(sections, Contribution::default()) else { continue };
        if root.tag == gimli::DW_TAG_partial_unit {
            continue;
        }
        if root.has_ranges() {
            let place: Place<'_> = dwarf.root_place(header, root);
            ranges::of_entry(&place, root.attributes(), work, &mut |start, end| {
                sink.range(header.start, start, end);
            });
        } else if root.line_program().is_some() || root.is_skeleton() {
            sink.silent(header.start);
        }
    }
}

struct Search<'a> {
    addresses: &'a [u64],
    /// All roots are read, whatever they say.
    is_thorough: bool,
    owners: Vec<Owner>,
    silent: Vec<usize>,
    /// Of a few addresses, which have an owner, as bits: then the search ends with the last of them.
    owned: u64,
}

impl Search<'_> {
    /// The addresses that have no owner.
    fn unowned(&mut self) -> Vec<usize> {
        self.owners.sort_unstable_by_key(|owner| owner.from);
        let (mut unowned, mut reached) = (Vec::new(), 0);
        for owner in &self.owners {
            unowned.extend(reached..owner.from);
            reached = reached.max(owner.to);
        }
        unowned.extend(reached..self.addresses.len());
        unowned
    }

    /// The unit at `unit` has code from `start` to `end`.
    #[inline]
    fn claim(&mut self, unit: usize, start: u64, end: u64) {
        let (Some(first), Some(last)) = (self.addresses.first(), self.addresses.last()) else { return };
        if end <= *first || start > *last || self.owners.len() >= OWNERS_MAX {
            return;
        }
        let from = self.addresses.partition_point(|address| *address < start);
        let to = from + self.addresses[from..].partition_point(|address| *address < end);
        if from < to {
            self.owners.push(Owner { unit, from, to });
            (from..to.min(FEW)).for_each(|address| self.owned |= 1 << address);
        }
    }

    /// Reads `.debug_aranges` and gives the units that it names. What is damaged ends it, or one set of it.
    fn read_index(&mut self, sections: &Sections) -> Vec<usize> {
        let mut named = Vec::new();
        let mut cursor = sections.at(Id::Aranges, 0);
        while cursor.left() > 0 {
            let set = cursor.at();
            let Some((length, offset_size)) = cursor.initial_length() else { break };
            let Ok(length) = usize::try_from(length) else { break };
            let end = cursor.at().saturating_add(length.min(cursor.left()));
            let _: Option<()> = (|| {
                let _version = cursor.u16()?;
                let unit = usize::try_from(cursor.unsigned(offset_size)?).ok()?;
                let (address_size, segment_size) = (cursor.u8()?, cursor.u8()?);
                if segment_size != 0 {
                    return None;
                }
                named.push(unit);
                // Pairs are aligned to their own size, counted from the start of the set.
                let pair = 2 * usize::from(address_size);
                let header = cursor.at() - set;
                cursor.skip(header.checked_next_multiple_of(pair)? - header)?;
                while cursor.at() + pair <= end {
                    let (start, size) = (cursor.unsigned(address_size)?, cursor.unsigned(address_size)?);
                    // A pair of zeros ends the set, but linkers also leave such in its middle.
                    if let Some(range_end) = start.checked_add(size).filter(|end| *end > start) {
                        self.claim(unit, start, range_end);
                    }
                }
                Some(())
            })();
            cursor.seek(end);
        }
        named
    }
}

impl RangeSink for Search<'_> {
    fn range(&mut self, unit: usize, start: u64, end: u64) {
        self.claim(unit, start, end);
    }

    fn silent(&mut self, unit: usize) {
        self.silent.push(unit);
    }

    /// Whether the addresses are few and have an owner each.
    fn is_complete(&self) -> bool {
        let count = self.addresses.len();
        !self.is_thorough && (1..=FEW).contains(&count) && self.owned == u64::MAX >> (FEW - count)
    }
}
