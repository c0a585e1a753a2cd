//! One walk over a unit in file order: which functions hold which of some addresses, and what was inlined there.
//!
//! The addresses are sorted and the entries are not, so each entry's ranges are looked up among the addresses, never
//! the other way round: no index of the unit is made, and an entry that holds none of them is passed over with all
//! below it.

use std::ops::Range;

use crate::elf::CodeRanges;

use super::abbrev::{Kind, Slot};
use super::attributes::{self, Attributes, Value};
use super::cursor::Cursor;
use super::ranges;
use super::sections::Id;
use super::unit::Place;
use super::work::Work;

/// Levels of entries that are entered at most. Compilers nest some tens.
const DEPTH_MAX: usize = 1 << 10;

/// Levels of entries that are passed over at most: nothing but a counter goes with them.
const PASSED_DEPTH_MAX: usize = 1 << 20;

/// Where a walk looks for functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// In units and namespaces, which is where compilers put them, and in functions that hold an address.
    Usual,
    /// Everywhere: in types, and in functions that hold none. Functions nested in others (of C as GNU has it, of Ada)
    /// have ranges apart from those.
    Everywhere,
}

/// Stands for no function, nothing inlined.
pub(crate) const NONE: u32 = u32::MAX;

/// A function, or one range of it, that holds an address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function {
    /// Its entry, as an offset into `.debug_info`.
    pub(crate) entry: usize,
    /// Where the range starts: the function itself, or a part that was split off.
    pub(crate) start: u64,
}

/// A function that was inlined where an address is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inlined {
    /// Its entry, as an offset into `.debug_info`.
    pub(crate) entry: usize,
    /// Where it was called: a file of the unit, a line, a column; 0 if not known.
    pub(crate) call_file: Option<u64>,
    pub(crate) call_line: u32,
    pub(crate) call_column: u32,
    pub(crate) discriminator: u32,
    /// What it was inlined into, if that was inlined itself.
    pub(crate) parent: u32,
}

/// What was found at one address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Index of the function in [`Hits::functions`], or [`NONE`].
    pub(crate) function: u32,
    /// Index of the innermost in [`Hits::inlined`], or [`NONE`].
    pub(crate) inlined: u32,
}

/// What a walk found.
#[derive(Debug)]
pub(crate) struct Hits {
    pub(crate) functions: Vec<Function>,
    pub(crate) inlined: Vec<Inlined>,
    /// For each address, in order.
    pub(crate) found: Vec<Found>,
}

/// Walks the unit at `place` for `addresses`, which are sorted. What is damaged ends the walk; what it found before
/// stands.
pub(crate) fn walk<'a>(
    place: &'a Place<'a>,
    addresses: &'a [u64],
    code: &'a CodeRanges,
    reach: Reach,
    work: &'a Work<'a>,
) -> Hits {
    let nothing = Found { function: NONE, inlined: NONE };
    let mut walk = Walk {
        place,
        addresses,
        code,
        reach,
        work,
        attributes: Attributes::NONE,
        hits: Hits { functions: Vec::new(), inlined: Vec::new(), found: vec![nothing; addresses.len()] },
    };
    let cursor = place.sections.at(Id::Info, place.unit.header.root);
    let _: Option<()> = walk.run(cursor);
    walk.hits
}

/// What holds the entries at one depth.
#[derive(Debug, Clone)]
struct Level {
    /// The function around them, as it stands in [`Hits::functions`]: one for each of its ranges with an address.
    functions: Range<u32>,
    /// What the entries are inlined into.
    inlined: u32,
    /// What the addresses here were found to be inlined into: the same, or something around it if it does not tell all of
    /// its code.
    held: u32,
    /// Which addresses can lie below: a part of all.
    window: Range<usize>,
}

struct Walk<'a> {
    place: &'a Place<'a>,
    addresses: &'a [u64],
    code: &'a CodeRanges,
    reach: Reach,
    work: &'a Work<'a>,
    attributes: Attributes,
    hits: Hits,
}

impl Walk<'_> {
    fn run(&mut self, mut cursor: Cursor<'_>) -> Option<()> {
        let unit = &*self.place.unit;
        let (table, encoding, end) = (&unit.abbreviations, unit.header.encoding, unit.header.end);
        let mut levels: Vec<Level> = Vec::new();
        let mut level = Level { functions: 0..0, inlined: NONE, held: NONE, window: 0..self.addresses.len() };
        while cursor.at() < end {
            self.work.step(1)?;
            let entry = cursor.at();
            let code = cursor.uleb()?;
            if code == 0 {
                match levels.pop() {
                    Some(outer) => level = outer,
                    None => return Some(()),
                }
                continue;
            }
            let abbreviation = table.get(code)?;
            // Whether `attributes` are those of this entry.
            let mut is_read = true;
            let below = match abbreviation.kind {
                Kind::Scope => {
                    is_read = false;
                    attributes::skip(&mut cursor, table, abbreviation, encoding)?;
                    Some(level.clone())
                }
                Kind::Block if !level.functions.is_empty() => {
                    is_read = false;
                    attributes::skip(&mut cursor, table, abbreviation, encoding)?;
                    Some(level.clone())
                }
                Kind::Function => {
                    self.attributes.read(&mut cursor, table, abbreviation, encoding)?;
                    self.function(entry, &level).or_else(|| self.anyway(&level))
                }
                Kind::Inlined if !level.functions.is_empty() => {
                    self.attributes.read(&mut cursor, table, abbreviation, encoding)?;
                    self.inlined(entry, &level)
                }
                Kind::Other | Kind::Block | Kind::Inlined => {
                    if self.reach == Reach::Usual && abbreviation.has_children && abbreviation.has_sibling {
                        self.attributes.read(&mut cursor, table, abbreviation, encoding)?;
                    } else {
                        is_read = false;
                        attributes::skip(&mut cursor, table, abbreviation, encoding)?;
                    }
                    self.anyway(&level)
                }
            };
            if !abbreviation.has_children {
                continue;
            }
            match below {
                Some(below) if levels.len() < DEPTH_MAX => {
                    levels.push(std::mem::replace(&mut level, below));
                }
                _ if is_read && abbreviation.has_sibling && self.jump(&mut cursor) => {}
                _ => self.pass_children(&mut cursor)?,
            }
            if levels.is_empty() {
                return Some(());
            }
        }
        Some(())
    }

    /// The level below an entry that holds no address: none, unless functions are looked for everywhere.
    fn anyway(&self, level: &Level) -> Option<Level> {
        (self.reach == Reach::Everywhere).then(|| level.clone())
    }

    /// Looks up the function's ranges; what is below it if it holds an address.
    fn function(&mut self, entry: usize, level: &Level) -> Option<Level> {
        let first = index(self.hits.functions.len());
        let (addresses, code, hits) = (self.addresses, self.code, &mut self.hits);
        let mut window: Option<Range<usize>> = None;
        ranges::of_entry(self.place, &self.attributes, self.work, &mut |start, end| {
            let held = held(addresses, &(0..addresses.len()), start, end);
            if held.is_empty() || !code.starts_in(start) {
                return;
            }
            let function = index(hits.functions.len());
            hits.functions.push(Function { entry, start });
            for found in &mut hits.found[held.clone()] {
                // Of several functions at one address the first has it, but a nested one before that around it.
                if found.function == NONE || level.functions.contains(&found.function) {
                    *found = Found { function, inlined: NONE };
                }
            }
            window = Some(join(window.take(), held));
        });
        let functions = first..index(self.hits.functions.len());
        window.map(|window| Level { functions, inlined: NONE, held: NONE, window })
    }

    /// Looks up the ranges of an inlined function; what is below it if it holds an address.
    fn inlined(&mut self, entry: usize, level: &Level) -> Option<Level> {
        let inlined = index(self.hits.inlined.len());
        let (addresses, hits) = (self.addresses, &mut self.hits);
        let mut window: Option<Range<usize>> = None;
        ranges::of_entry(self.place, &self.attributes, self.work, &mut |start, end| {
            let held = held(addresses, &level.window, start, end);
            if held.is_empty() {
                return;
            }
            for found in &mut hits.found[held.clone()] {
                if level.functions.contains(&found.function) && found.inlined == level.held {
                    found.inlined = inlined;
                }
            }
            window = Some(join(window.take(), held));
        });
        let holds = window.is_some();
        // Strict DWARF 2 has no lists of ranges: of code in several pieces it tells one, or none, and what was inlined
        // from the others lies outside.
        if !holds && self.place.unit.header.encoding.version > 2 {
            return None;
        }
        let window = window.unwrap_or_else(|| level.window.clone());
        let number =
            |slot| self.attributes.number(slot).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        self.hits.inlined.push(Inlined {
            entry,
            call_file: self.attributes.number(Slot::CallFile),
            call_line: number(Slot::CallLine),
            call_column: number(Slot::CallColumn),
            discriminator: number(Slot::Discriminator),
            parent: level.inlined,
        });
        let held = if holds { inlined } else { level.held };
        Some(Level { functions: level.functions.clone(), inlined, held, window })
    }

    /// Goes past all that is below the entry before the cursor.
    fn pass_children(&self, cursor: &mut Cursor<'_>) -> Option<()> {
        let unit = &*self.place.unit;
        let (table, encoding, end) = (&unit.abbreviations, unit.header.encoding, unit.header.end);
        let mut depth = 1_usize;
        while cursor.at() < end {
            self.work.step(1)?;
            let code = cursor.uleb()?;
            if code == 0 {
                depth -= 1;
                if depth == 0 {
                    return Some(());
                }
                continue;
            }
            let abbreviation = table.get(code)?;
            attributes::skip(cursor, table, abbreviation, encoding)?;
            if abbreviation.has_children {
                depth += 1;
                if depth > PASSED_DEPTH_MAX {
                    return None;
                }
            }
        }
        None
    }

    /// Goes to the entry's sibling, if that lies ahead and in the unit.
    fn jump(&self, cursor: &mut Cursor<'_>) -> bool {
        let header = &self.place.unit.header;
        let target = self.attributes.get(Slot::Sibling).and_then(|sibling| in_unit(sibling, header.start));
        match target {
            Some(target) if target >= cursor.at() && target <= header.end => {
                cursor.seek(target);
                true
            }
            _ => false,
        }
    }
}

/// Where a reference leads that stays in its unit.
fn in_unit(value: Value, unit_start: usize) -> Option<usize> {
    unit_start.checked_add(usize::try_from(value.number).ok()?)
}

/// Which of `addresses` in `window` lie in the range.
#[inline]
fn held(addresses: &[u64], window: &Range<usize>, start: u64, end: u64) -> Range<usize> {
    let inside = addresses.get(window.clone()).unwrap_or_default();
    let (Some(first), Some(last)) = (inside.first(), inside.last()) else { return 0..0 };
    if end <= *first || start > *last {
        return 0..0;
    }
    let from = inside.partition_point(|address| *address < start);
    let to = from + inside[from..].partition_point(|address| *address < end);
    window.start + from..window.start + to
}

fn join(window: Option<Range<usize>>, held: Range<usize>) -> Range<usize> {
    window.map_or(held.clone(), |window| window.start.min(held.start)..window.end.max(held.end))
}

/// The length of a list as an index. Each thing in it takes bytes of a section of less than 4 GiB, or the list ends
/// with the answers that can be told apart.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NONE - 1)
}
