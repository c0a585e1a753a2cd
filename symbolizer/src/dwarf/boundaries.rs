//! Where answers can change: the ends of every range of a function, of what was inlined, and of every row of the line
//! table. Between two neighbours all addresses have one answer, so whoever asks for each of these addresses knows all.

use crate::elf::CodeRanges;

use super::Dwarf;
use super::abbrev::Kind;
use super::attributes::{self, Attributes};
use super::line::Program;
use super::ranges;
use super::sections::Id;
use super::unit::{Contribution, Headers, Place};
use super::work::Work;

impl Dwarf {
    /// Appends the boundaries in all units, in no order and more than once.
    pub(crate) fn boundaries(&self, code: &CodeRanges, work: &Work<'_>, boundaries: &mut Vec<u64>) {
        for header in Headers::of(self.main()).filter(|header| header.may_own_code()) {
            let Some(lines) = self.place(self.main(), header, Contribution::default(), work) else {
                continue;
            };
            if let Some(program) =
                lines.unit.root.line_program().and_then(|offset| Program::read(&lines, offset))
            {
                boundaries.extend(program.boundaries(&lines, code, work));
            }
            let is_split = lines.unit.root.is_skeleton()
                && self
                    .with_split(&lines, work, |entries| of_entries(entries, code, work, boundaries))
                    .is_some();
            if !is_split {
                of_entries(&lines, code, work, boundaries);
            }
            // Neighbours of one unit are many times the same.
            boundaries.dedup();
        }
    }
}

/// Appends the ends of the ranges of all functions of a unit. What is damaged ends it.
fn of_entries(place: &Place<'_>, code: &CodeRanges, work: &Work<'_>, boundaries: &mut Vec<u64>) {
    let unit = &*place.unit;
    let (table, encoding, end) = (&unit.abbreviations, unit.header.encoding, unit.header.end);
    let mut cursor = place.sections.at(Id::Info, unit.header.root);
    let mut attributes = Attributes::NONE;
    let mut next = || -> Option<()> {
        let code_number = cursor.uleb()?;
        if code_number == 0 {
            return Some(());
        }
        let abbreviation = table.get(code_number)?;
        if !matches!(abbreviation.kind, Kind::Function | Kind::Inlined) {
            return attributes::skip(&mut cursor, table, abbreviation, encoding);
        }
        attributes.read(&mut cursor, table, abbreviation, encoding)?;
        ranges::of_entry(place, &attributes, work, &mut |start, end| {
            if code.starts_in(start) {
                boundaries.extend([start, end]);
            }
        });
        (cursor.at() < end).then_some(())
    };
    while work.step(1).is_some() && next().is_some() {}
}
