//! The answer to a question: the owning units one after the other, each walked once for all its addresses.

use std::sync::Arc;

use crate::answers::{Builder, Declaration, Leaf, Location, NONE, Node, SymbolNames};
use crate::elf::CodeRanges;

use super::Dwarf;
use super::line::{Program, Row};
use super::names;
use super::owners::{self, Effort, Owners};
use super::paths::Paths;
use super::sections::{Id, Key};
use super::unit::{Contribution, Header, Place};
use super::walk::{self, Found, Hits, Reach, walk};
use super::work::Work;

/// What is asked, and how far to go for the answer.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    /// Sorted, distinct, in code.
    pub(crate) addresses: &'a [u64],
    /// Which of the builder's addresses each of them is.
    pub(crate) numbers: &'a [u32],
    pub(crate) code: &'a CodeRanges,
    pub(crate) effort: Effort,
    pub(crate) reach: Reach,
    pub(crate) symbol_names: SymbolNames,
}

impl Dwarf {
    /// Answers what DWARF knows. What is answered already stays.
    pub(crate) fn sweep(&self, question: Question<'_>, work: &Work<'_>, builder: &mut Builder) {
        let Owners { claims, silent, unowned } = owners::of(self, question.addresses, question.effort, work);
        for claims in claims.chunk_by(|a, b| a.unit == b.unit) {
            let mut asked = Asked::about(question);
            let mut reached = 0;
            for claim in claims {
                (claim.from.max(reached)..claim.to).for_each(|index| asked.add(index, builder));
                reached = reached.max(claim.to);
            }
            self.sweep_unit(&asked, claims[0].unit, work, builder);
        }
        if unowned.is_empty() {
            return;
        }
        for unit in silent {
            let mut asked = Asked::about(question);
            unowned.iter().for_each(|index| asked.add(*index, builder));
            self.sweep_unit(&asked, unit, work, builder);
        }
    }

    fn sweep_unit(
        &self,
        asked: &Asked<'_>,
        unit: usize,
        work: &Work<'_>,
        builder: &mut Builder,
    ) -> Option<()> {
        if asked.addresses.is_empty() || work.is_stopped() {
            return None;
        }
        let header = Header::read(self.main(), unit)?;
        let lines = self.place(self.main(), header, Contribution::default(), work)?;
        let is_split = lines.unit.root.is_skeleton()
            && self
                .with_split(&lines, work, |entries| self.sweep_entries(asked, entries, &lines, work, builder))
                .is_some();
        // A skeleton may describe functions as well, and always has lines.
        if !is_split {
            self.sweep_entries(asked, &lines, &lines, work, builder);
        }
        Some(())
    }

    /// Answers from the entries of the unit at `entries` and the line program of that at `lines`: the same, or its
    /// skeleton.
    fn sweep_entries(
        &self,
        asked: &Asked<'_>,
        entries: &Place<'_>,
        lines: &Place<'_>,
        work: &Work<'_>,
        builder: &mut Builder,
    ) {
        let Asked { question, addresses, numbers } = asked;
        let hits = walk(entries, addresses, question.code, question.reach, work);
        let program = lines.unit.root.line_program().and_then(|offset| Program::read(lines, offset));
        let rows = match &program {
            Some(program) => program.rows(lines, addresses, question.code, work),
            None => vec![None; addresses.len()],
        };
        // What was broken off may lack the innermost frames, and a line without them is another function's.
        if work.is_stopped() {
            return;
        }
        let mut unit = Sweep {
            dwarf: self,
            entries,
            lines,
            work,
            symbols: match question.symbol_names {
                SymbolNames::ForPlainNames if entries.unit.root.is_c() => SymbolNames::Never,
                symbols => symbols,
            },
            program,
            paths: None,
            path_texts: Vec::new(),
            calls: vec![(walk::NONE, NONE); hits.inlined.len()],
            hits: &hits,
            builder,
        };
        for ((found, row), number) in hits.found.iter().zip(&rows).zip(numbers) {
            unit.answer(*found, *row, *number as usize);
        }
    }
}

/// The addresses that are asked of one unit.
struct Asked<'a> {
    question: Question<'a>,
    addresses: Vec<u64>,
    numbers: Vec<u32>,
}

impl<'a> Asked<'a> {
    fn about(question: Question<'a>) -> Asked<'a> {
        Asked { question, addresses: Vec::new(), numbers: Vec::new() }
    }

    /// Adds the address at `index` of the question, unless it is answered.
    #[inline]
    fn add(&mut self, index: usize, builder: &Builder) {
        if let (Some(address), Some(number)) =
            (self.question.addresses.get(index), self.question.numbers.get(index))
            && !builder.is_answered(*number as usize)
        {
            self.addresses.push(*address);
            self.numbers.push(*number);
        }
    }
}

/// Turns what was found in one unit into frames.
struct Sweep<'a> {
    dwarf: &'a Dwarf,
    entries: &'a Place<'a>,
    lines: &'a Place<'a>,
    work: &'a Work<'a>,
    symbols: SymbolNames,
    program: Option<Program<'a>>,
    /// Read when the first path is wanted.
    paths: Option<Paths<'a>>,
    /// The texts of the paths that were put together, by position.
    path_texts: Vec<Option<u32>>,
    /// For each inlined function, the function around it all and the frame that it was inlined into.
    calls: Vec<(u32, u32)>,
    hits: &'a Hits,
    builder: &'a mut Builder,
}

impl Sweep<'_> {
    fn answer(&mut self, found: Found, row: Option<Row>, address: usize) {
        if found.function == walk::NONE && row.is_none() {
            return;
        }
        let location = match row {
            Some(row) => self.location(Some(row.file), row.line, row.column, row.discriminator),
            None => Location::UNKNOWN,
        };
        if found.function == walk::NONE {
            self.builder.set_row(address, location);
            return;
        }
        let node = if found.inlined == walk::NONE {
            Node { function: self.function(found.function), location, parent: NONE }
        } else {
            let parent = self.call(found.function, found.inlined);
            Node { function: self.inlined(found.inlined), location, parent }
        };
        let node = self.builder.node(node);
        self.builder.set(address, Leaf::Frame(node));
    }

    /// The frame that the inlined function was inlined into, within `function`.
    fn call(&mut self, function: u32, inlined: u32) -> u32 {
        // From here outwards, up to one that is known or to the function itself.
        let mut chain = Vec::new();
        let mut frame = NONE;
        let mut next = inlined;
        while next != walk::NONE {
            match self.calls.get(next as usize) {
                Some((known_in, known)) if *known_in == function => {
                    frame = *known;
                    break;
                }
                Some(_) => chain.push(next),
                None => break,
            }
            next = self.hits.inlined[next as usize].parent;
        }
        while let Some(inlined) = chain.pop() {
            let call = self.hits.inlined[inlined as usize];
            let around =
                if call.parent == walk::NONE { self.function(function) } else { self.inlined(call.parent) };
            let location =
                self.location(call.call_file, call.call_line, call.call_column, call.discriminator);
            frame = self.builder.node(Node { function: around, location, parent: frame });
            self.calls[inlined as usize] = (function, frame);
        }
        frame
    }

    fn function(&mut self, function: u32) -> u32 {
        let walk::Function { entry, start } = self.hits.functions[function as usize];
        self.named(entry, Some(start))
    }

    fn inlined(&mut self, inlined: u32) -> u32 {
        let entry = self.hits.inlined[inlined as usize].entry;
        self.named(entry, None)
    }

    fn named(&mut self, entry: usize, start: Option<u64>) -> u32 {
        let key = (Key::new(self.entries.sections.id(), Id::Info, entry), start);
        if let Some(known) = self.builder.known_function(key) {
            return known;
        }
        let wants_declaration = self.symbols == SymbolNames::Always;
        let names = names::of_entry(self.dwarf, self.entries, entry, wants_declaration, self.work);
        let function = self.builder.add_function(key, names.linkage, names.plain, self.symbols);
        if wants_declaration {
            let file = names.file.and_then(|(place, file)| self.declaring_file(&place, file));
            let declaration = Declaration {
                name: names.plain.map_or(NONE, |name| self.builder.text(name)),
                file: file.unwrap_or(NONE),
                line: names.line.unwrap_or(0),
                low_pc: names.low_pc,
            };
            self.builder.declare(function, declaration);
        }
        function
    }

    /// The text of the path of a file that the unit at `place` names by number, which may be another than this one.
    fn declaring_file(&mut self, place: &Place<'_>, file: u64) -> Option<u32> {
        if Arc::ptr_eq(&place.unit, &self.entries.unit) {
            return self.path(file);
        }
        let program = Program::read(place, place.unit.root.line_program()?)?;
        let paths = Paths::of(place, &program);
        let path = paths.path(paths.position(file)?)?;
        Some(self.builder.string(&String::from_utf8_lossy(&path)))
    }

    fn location(&mut self, file: Option<u64>, line: u32, column: u32, discriminator: u32) -> Location {
        let file = file.and_then(|file| self.path(file)).unwrap_or(NONE);
        Location { file, line, column, discriminator }
    }

    /// The text of the path of a file that a row or an entry names by number.
    fn path(&mut self, file: u64) -> Option<u32> {
        if self.paths.is_none() {
            self.paths = self.program.as_ref().map(|program| Paths::of(self.lines, program));
        }
        let paths = self.paths.as_ref()?;
        let position = paths.position(file)?;
        if position >= self.path_texts.len() {
            self.path_texts.resize(position + 1, None);
        }
        if self.path_texts[position].is_none() {
            let text = match paths.path(position) {
                Some(path) => self.builder.string(&String::from_utf8_lossy(&path)),
                None => NONE,
            };
            self.path_texts[position] = Some(text);
        }
        self.path_texts[position]
    }
}
