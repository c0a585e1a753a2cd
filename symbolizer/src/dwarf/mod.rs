//! What DWARF knows about addresses: the functions that hold them, what was inlined there, and the line of each.
//!
//! All addresses of a question are answered together. They are sorted, the units that may describe them are found
//! ([`owners`]), and each of those is walked once in file order ([`walk`](mod@walk), [`line`]) with only the answers
//! kept: no index of the file is built and nothing is sorted but the addresses. One address is a question of one.
//!
//! Nothing here trusts the file. Each length is checked where it is read, an error ends the table, unit, list or row
//! that it stands in and nothing else, and [`work`] bounds how often the same bytes are read.

pub(crate) mod cursor;
pub(crate) mod abbrev;
pub(crate) mod attributes;
pub(crate) mod sections;
pub(crate) mod unit;
pub(crate) mod work;
pub(crate) mod ranges;
pub(crate) mod line;
pub(crate) mod walk;
pub(crate) mod owners;
pub(crate) mod unit_map;
pub(crate) mod names;
pub(crate) mod split;
pub(crate) mod paths;
pub(crate) mod sweep;
pub(crate) mod boundaries;

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

use crate::elf::Elf;
use crate::locate::Refused;

use self::abbrev::{Abbreviations, Encoding, Slot};
use self::sections::{FileId, FileKind, Key, Sections};
use self::split::Split;
use self::unit::{Bases, Contribution, Header, Place, Root, Unit};
use self::unit_map::UnitMap;
use self::work::Work;

/// Tables of abbreviations remembered at most. A walk goes through a file in order, and units that share a table stand
/// together.
const TABLES_MAX: usize = 16;

/// Questions about a few addresses before the units are kept in a map.
const QUESTIONS_WITHOUT_MAP: u32 = 2;

/// Units remembered at most that others refer to.
const UNITS_MAX: usize = 128;

/// The DWARF of a module: of one file, and of those that it refers to.
pub(crate) struct Dwarf {
    main: Sections,
    shared: Option<Sections>,
    split: Split,
    files: Cell<u16>,
    tables: RefCell<Recent<(FileId, usize, Encoding), Arc<Abbreviations>>>,
    units: RefCell<Recent<Key, Arc<Unit>>>,
    /// How often a few addresses were asked for.
    questions: Cell<u32>,
    unit_map: OnceCell<Option<UnitMap>>,
}

/// The last few of something, the oldest forgotten first.
struct Recent<K, V> {
    entries: Vec<(K, V)>,
    next: usize,
    max: usize,
}

impl Dwarf {
    /// The DWARF of `main`, which may refer to `shared` (the file that `dwz` makes of what several debug files have in
    /// common) and to split files.
    pub(crate) fn new(main: Elf, shared: Option<Elf>, split: Split, decompressed_bytes_max: u64) -> Dwarf {
        let sections = |elf, id| Sections::of(elf, FileId(id), FileKind::Whole, decompressed_bytes_max);
        Dwarf {
            main: sections(main, 0),
            shared: shared.map(|elf| sections(elf, 1)),
            split,
            files: Cell::new(2),
            tables: RefCell::new(Recent::new(TABLES_MAX)),
            units: RefCell::new(Recent::new(UNITS_MAX)),
            questions: Cell::new(0),
            unit_map: OnceCell::new(),
        }
    }

    pub(crate) fn main(&self) -> &Sections {
        &self.main
    }

    pub(crate) fn shared(&self) -> Option<&Sections> {
        self.shared.as_ref()
    }

    /// The map of units, once it pays.
    fn unit_map(&self, work: &Work<'_>) -> Option<&UnitMap> {
        let questions = self.questions.get();
        self.questions.set(questions.saturating_add(1));
        if questions < QUESTIONS_WITHOUT_MAP {
            return None;
        }
        self.unit_map.get_or_init(|| UnitMap::of(self, work)).as_ref()
    }

    /// The split files that were looked for in vain since this was last asked.
    pub(crate) fn refused_split_files(&self) -> Vec<Refused> {
        self.split.refused()
    }

    /// An id for one more file; `None` if there were as many as can be told apart.
    fn next_file(&self) -> Option<FileId> {
        let id = self.files.get();
        self.files.set(id.checked_add(1)?);
        Some(FileId(id))
    }

    /// A unit of the main file of which only the root is read.
    pub(crate) fn root_place(&self, header: Header, root: Root) -> Place<'_> {
        let unit = Unit::new(header, root, Arc::default(), Contribution::default());
        self.with_low_pc(unit, &self.main, &self.main)
    }

    /// The unit behind `header` in `sections`, with its abbreviations.
    pub(crate) fn place<'a>(
        &'a self,
        sections: &'a Sections,
        header: Header,
        contribution: Contribution,
        work: &Work<'_>,
    ) -> Option<Place<'a>> {
        let offset = header.abbreviations(contribution);
        let abbreviations = self.abbreviations(sections, offset, header.encoding, work)?;
        let root = header.root_by(sections, &abbreviations)?;
        let unit = Unit::new(header, root, abbreviations, contribution);
        Some(self.with_low_pc(unit, sections, sections))
    }

    /// The place of the unit that holds offset `entry` of `sections`, to which the unit at `from` refers.
    fn place_at<'a>(
        &'a self,
        from: &Place<'a>,
        sections: &'a Sections,
        entry: usize,
        work: &Work<'_>,
    ) -> Option<Place<'a>> {
        let start = sections.unit_start(entry)?;
        let key = Key::new(sections.id(), sections::Id::Info, start);
        let place = |unit| Place { sections, addresses: from.addresses, shared: self.shared(), unit };
        if let Some(unit) = self.units.borrow().get(&key) {
            return unit.holds(entry).then(|| place(Arc::clone(unit)));
        }
        let header = Header::read(sections, start)?;
        let found = self.place(sections, header, Contribution::default(), work)?;
        self.units.borrow_mut().put(key, Arc::clone(&found.unit));
        found.unit.holds(entry).then(|| place(found.unit))
    }

    /// Completes a unit with the address that its ranges are relative to, which may be an index into `addresses`.
    fn with_low_pc<'a>(&'a self, unit: Unit, sections: &'a Sections, addresses: &'a Sections) -> Place<'a> {
        let low = unit.root.attributes().get(Slot::LowPc);
        let mut place = Place { sections, addresses, shared: self.shared(), unit: Arc::new(unit) };
        if let Some(low_pc) = low.and_then(|low| place.address(low)).filter(|low_pc| *low_pc != 0) {
            place.rebase(Bases { low_pc, ..place.unit.bases });
        }
        place
    }

    fn abbreviations(
        &self,
        sections: &Sections,
        offset: usize,
        encoding: Encoding,
        work: &Work<'_>,
    ) -> Option<Arc<Abbreviations>> {
        let key = (sections.id(), offset, encoding);
        if let Some(table) = self.tables.borrow().get(&key) {
            return Some(Arc::clone(table));
        }
        let table = Arc::new(Abbreviations::read(sections.get(sections::Id::Abbrev), offset, encoding));
        work.spend_abbreviations(table.bytes)?;
        self.tables.borrow_mut().put(key, Arc::clone(&table));
        Some(table)
    }
}

impl<K: PartialEq, V> Recent<K, V> {
    fn new(max: usize) -> Recent<K, V> {
        Recent { entries: Vec::new(), next: 0, max }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.entries.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    fn put(&mut self, key: K, value: V) {
        if self.entries.len() < self.max {
            self.entries.push((key, value));
        } else {
            self.entries[self.next] = (key, value);
            self.next = (self.next + 1) % self.max;
        }
    }
}
