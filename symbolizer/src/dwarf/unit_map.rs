//! Which unit has code where, for whoever asks about a few addresses again and again.
//!
//! One question does best without: it reads what it must and keeps nothing. From the third on the roots of all units are
//! kept as one sorted list.

use super::Dwarf;
use super::owners::{Owner, Owners, RangeSink, read_roots};
use super::work::Work;

/// Ranges kept at most; a larger program is asked without a map.
const RANGES_MAX: usize = 1 << 22;

/// The ranges of all units.
#[derive(Debug, Default)]
pub(crate) struct UnitMap {
    /// Start, end, where the unit's header starts; sorted.
    ranges: Vec<(u64, u64, usize)>,
    /// For each range, how far it or any before it reaches.
    reach: Vec<u64>,
    silent: Vec<usize>,
}

impl UnitMap {
    /// Reads the roots of all units. `None` if that was broken off, or is too much to keep.
    pub(crate) fn of(dwarf: &Dwarf, work: &Work<'_>) -> Option<UnitMap> {
        let mut map = UnitMap::default();
        read_roots(dwarf, work, &mut map, |_| true);
        if work.is_stopped() || map.ranges.len() >= RANGES_MAX {
            return None;
        }
        map.ranges.sort_unstable();
        let mut reached = 0;
        map.reach = map
            .ranges
            .iter()
            .map(|(_, end, _)| {
                reached = reached.max(*end);
                reached
            })
            .collect();
        Some(map)
    }

    /// The owners of `addresses`, which are sorted.
    pub(crate) fn owners(&self, addresses: &[u64]) -> Owners {
        let mut owners = Owners { silent: self.silent.clone(), ..Owners::default() };
        for (index, address) in addresses.iter().enumerate() {
            let before = owners.claims.len();
            let mut range = self.ranges.partition_point(|(start, ..)| start <= address);
            while range > 0 && self.reach[range - 1] > *address {
                range -= 1;
                let (_, end, unit) = self.ranges[range];
                if end > *address {
                    owners.claims.push(Owner { unit, from: index, to: index + 1 });
                }
            }
            if owners.claims.len() == before {
                owners.unowned.push(index);
            }
        }
        owners.claims.sort_unstable();
        owners.claims.dedup();
        owners
    }
}

impl RangeSink for UnitMap {
    fn range(&mut self, unit: usize, start: u64, end: u64) {
        if self.ranges.len() < RANGES_MAX {
            self.ranges.push((start, end, unit));
        }
    }

    fn silent(&mut self, unit: usize) {
        self.silent.push(unit);
    }

    fn is_complete(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_every_unit_whose_range_holds_it() {
        let mut map = UnitMap { ranges: vec![(10, 100, 1), (20, 30, 2), (40, 50, 3)], ..UnitMap::default() };
        map.reach = vec![100, 100, 100];
        let owners = map.owners(&[5, 25, 45, 99, 100]);
        let units = |index: usize| -> Vec<usize> {
            owners.claims.iter().filter(|owner| owner.from == index).map(|owner| owner.unit).collect()
        };
        assert_eq!((units(1), units(2), units(3)), (vec![1, 2], vec![1, 3], vec![1]));
        assert_eq!(owners.unowned, [0, 4]);
    }
}
