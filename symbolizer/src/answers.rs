//! The answers to a question about many addresses.
//!
//! Addresses share functions, and functions that were inlined share what they were inlined into. So a frame is a node
//! that points to the one around it, equal nodes are one, and so are equal names and paths. A hundred thousand answers
//! take a few megabytes, and a name is made readable once, when it is first looked at.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::demangle::{self, NAME_BYTES_MAX, Spelling, demangle_as, is_mangled};
use crate::dwarf::sections::Key;
use crate::dwarf::unit::Text;
use crate::frame::{Answer, Frame, Missing, Origin};
use crate::text::head;

/// Stands for no node, no function, no text.
pub(crate) const NONE: u32 = u32::MAX;

type Map<K> = HashMap<K, u32, RandomState>;

/// What is known about each of many addresses, in the order in which they were asked.
#[derive(Debug)]
pub struct Answers {
    /// For each question, which of the distinct addresses it is about.
    order: Vec<u32>,
    /// For each distinct address: its innermost frame, or why there is none.
    leaves: Vec<Leaf>,
    nodes: Vec<Node>,
    functions: Vec<Function>,
    /// By function, where that is wanted.
    declarations: HashMap<u32, Declaration, RandomState>,
    texts: Vec<Name>,
    spelling: Spelling,
}

/// One function at one address, borrowed from [`Answers`].
#[derive(Clone, Copy)]
pub struct FrameRef<'a> {
    answers: &'a Answers,
    node: &'a Node,
    number: u32,
}

/// The end of a chain of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaf {
    Frame(u32),
    Missing(Missing),
}

/// A place in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Location {
    /// A text, or [`NONE`].
    pub(crate) file: u32,
    /// 0 if not known.
    pub(crate) line: u32,
    /// 0 if not known.
    pub(crate) column: u32,
    pub(crate) discriminator: u32,
}

/// A frame: a function, a place in it, and the frame that it was inlined into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) function: u32,
    pub(crate) location: Location,
    pub(crate) parent: u32,
}

/// What is known of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Function {
    /// A text: the name that is shown, not yet readable.
    pub(crate) name: u32,
    /// A text: the name that the linker saw.
    pub(crate) linkage_name: u32,
    pub(crate) origin: Origin,
    /// Where it starts, or the part of it that was split off; `None` if it was inlined.
    pub(crate) start: Option<u64>,
}

/// Where a function was declared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declaration {
    /// A text, or [`NONE`]: the name in the source, without what it is part of.
    pub(crate) name: u32,
    /// A text, or [`NONE`].
    pub(crate) file: u32,
    /// 0 if not known.
    pub(crate) line: u32,
    pub(crate) low_pc: Option<u64>,
}

#[derive(Debug)]
struct Name {
    raw: Box<str>,
    readable: OnceCell<Option<Box<str>>>,
}

impl Location {
    pub(crate) const UNKNOWN: Location = Location { file: NONE, line: 0, column: 0, discriminator: 0 };
}

impl Answers {
    /// How many addresses were asked for.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether no address was asked for.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The frames at the address that was asked for at `index`, innermost first. None if nothing is known of it, or
    /// fewer were asked for.
    pub fn frames(&self, index: usize) -> impl Iterator<Item = FrameRef<'_>> {
        let first = match self.leaf(index) {
            Some(Leaf::Frame(node)) => node,
            _ => NONE,
        };
        let node = |number: u32| {
            self.nodes.get(number as usize).map(|node| FrameRef { answers: self, node, number })
        };
        std::iter::successors(node(first), move |frame| node(frame.node.parent))
    }

    /// Why there are no frames for the address that was asked for at `index`; `None` if and only if there are some.
    pub fn missing(&self, index: usize) -> Option<Missing> {
        match self.leaf(index) {
            Some(Leaf::Frame(_)) => None,
            Some(Leaf::Missing(missing)) => Some(missing),
            None => Some(Missing::NotCode),
        }
    }

    /// The answer for the address that was asked for at `index`, as a value of its own.
    pub fn answer(&self, index: usize) -> Answer {
        Answer {
            frames: self.frames(index).map(|frame| frame.to_frame()).collect(),
            missing: self.missing(index),
        }
    }

    /// How many frames and functions there are, to remember things by their numbers.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.nodes.len(), self.functions.len())
    }

    fn leaf(&self, index: usize) -> Option<Leaf> {
        self.leaves.get(*self.order.get(index)? as usize).copied()
    }

    fn text(&self, text: u32) -> Option<&str> {
        self.texts.get(text as usize).map(|name| &*name.raw)
    }

    /// A text made readable, which is done once.
    fn readable(&self, text: u32) -> Option<&str> {
        let name = self.texts.get(text as usize)?;
        let readable = name.readable.get_or_init(|| match demangle_as(&name.raw, self.spelling) {
            Cow::Owned(readable) => Some(readable.into_boxed_str()),
            Cow::Borrowed(_) => None,
        });
        Some(readable.as_deref().unwrap_or(&name.raw))
    }
}

impl<'a> FrameRef<'a> {
    /// The readable name, in the spelling that was asked for.
    pub fn function(&self) -> Option<&'a str> {
        self.answers.readable(self.record()?.name)
    }

    /// The readable form of [`linkage_name`](FrameRef::linkage_name), in the spelling that was asked for.
    pub fn linkage_function(&self) -> Option<&'a str> {
        self.answers.readable(self.record()?.linkage_name)
    }

    /// The name that is shown as [`function`](FrameRef::function), before it is made readable.
    pub fn raw_name(&self) -> Option<&'a str> {
        self.answers.text(self.record()?.name)
    }

    /// The name that the linker saw, where it is known.
    pub fn linkage_name(&self) -> Option<&'a str> {
        self.answers.text(self.record()?.linkage_name)
    }

    /// The path as the compiler recorded it.
    pub fn file(&self) -> Option<&'a str> {
        self.answers.text(self.node.location.file)
    }

    /// Counted from 1.
    pub fn line(&self) -> Option<u32> {
        Some(self.node.location.line).filter(|line| *line != 0)
    }

    /// Counted from 1.
    pub fn column(&self) -> Option<u32> {
        Some(self.node.location.column).filter(|column| *column != 0)
    }

    /// Tells copies of one line apart that the compiler made; 0 for the first.
    pub fn discriminator(&self) -> u32 {
        self.node.location.discriminator
    }

    /// The compiler inlined this function into the next frame.
    pub fn is_inlined(&self) -> bool {
        self.node.parent != NONE
    }

    /// Where the function's name comes from.
    pub fn origin(&self) -> Origin {
        self.record().map_or(Origin::Dwarf, |function| function.origin)
    }

    /// Where the function starts, or the part of it that was split off; `None` if it was inlined or is not known.
    pub fn start(&self) -> Option<crate::ModuleAddress> {
        self.record()?.start.map(crate::ModuleAddress)
    }

    /// The name as it stands in the source, without what it is part of. Known to DWARF alone, and with
    /// [`Options::linkage_names`](crate::Options) only, as the next three.
    pub fn source_name(&self) -> Option<&'a str> {
        self.answers.text(self.declaration()?.name)
    }

    /// The file that declares the function.
    pub fn declaring_file(&self) -> Option<&'a str> {
        self.answers.text(self.declaration()?.file)
    }

    /// The line that declares the function, counted from 1.
    pub fn declaring_line(&self) -> Option<u32> {
        Some(self.declaration()?.line).filter(|line| *line != 0)
    }

    /// Where the function starts: as its entry says, else as its symbol does; `None` if it was inlined in several pieces.
    pub fn low_pc(&self) -> Option<crate::ModuleAddress> {
        self.declaration()?.low_pc.or(self.record()?.start).map(crate::ModuleAddress)
    }

    fn declaration(&self) -> Option<&'a Declaration> {
        self.answers.declarations.get(&self.node.function)
    }

    /// The frame as a value of its own.
    pub fn to_frame(&self) -> Frame {
        Frame {
            function: self.function().map(str::to_owned),
            linkage_name: self.linkage_name().map(str::to_owned),
            file: self.file().map(str::to_owned),
            line: self.line(),
            column: self.column(),
            inlined: self.is_inlined(),
            origin: self.origin(),
        }
    }

    /// The number of the frame: equal frames of one question have one.
    pub(crate) fn number(&self) -> usize {
        self.number as usize
    }

    /// The numbers of its function and of the text of its path.
    pub(crate) fn function_and_file(&self) -> (usize, u32) {
        (self.node.function as usize, self.node.location.file)
    }

    fn record(&self) -> Option<&'a Function> {
        self.answers.functions.get(self.node.function as usize)
    }
}

/// When the symbol at a function's start is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SymbolNames {
    /// The language has plain names only, which are whole.
    Never,
    /// When DWARF has no mangled name.
    ForPlainNames,
    /// Always: the symbol also has the suffix of a clone.
    Always,
}

/// Answers in the making.
pub(crate) struct Builder {
    answers: Answers,
    texts: Map<Key>,
    /// Paths, and names that stand in no debug section.
    strings: Map<Box<str>>,
    functions: Map<(Key, Option<u64>)>,
    plain_functions: Map<Function>,
    nodes: Map<Node>,
    /// Lines of addresses that no function holds so far.
    rows: HashMap<u32, Location, RandomState>,
    /// Functions that a symbol at their start would name better.
    unfinished: Vec<(u64, u32)>,
}

impl Builder {
    /// For `order`, which says which of `addresses` distinct ones each question is about.
    pub(crate) fn new(order: Vec<u32>, addresses: usize, spelling: Spelling) -> Builder {
        Builder {
            answers: Answers {
                order,
                leaves: vec![Leaf::Missing(Missing::NotCovered); addresses],
                nodes: Vec::new(),
                functions: Vec::new(),
                declarations: HashMap::default(),
                texts: Vec::new(),
                spelling,
            },
            texts: Map::default(),
            strings: Map::default(),
            functions: Map::default(),
            plain_functions: Map::default(),
            nodes: Map::default(),
            rows: HashMap::default(),
            unfinished: Vec::new(),
        }
    }

    pub(crate) fn finish(self) -> Answers {
        self.answers
    }

    /// Whether the address has frames.
    #[inline]
    pub(crate) fn is_answered(&self, address: usize) -> bool {
        matches!(self.answers.leaves.get(address), Some(Leaf::Frame(_)))
    }

    /// The answer for an address.
    #[inline]
    pub(crate) fn set(&mut self, address: usize, leaf: Leaf) {
        if let Some(place) = self.answers.leaves.get_mut(address) {
            *place = leaf;
        }
    }

    /// Remembers the line of an address that no function holds. The first one counts.
    pub(crate) fn set_row(&mut self, address: usize, location: Location) {
        self.rows.entry(index(address)).or_insert(location);
    }

    /// The line of an address that no function holds.
    pub(crate) fn row(&self, address: usize) -> Option<Location> {
        self.rows.get(&index(address)).copied()
    }

    /// The number of a text of a debug section.
    #[inline]
    pub(crate) fn text(&mut self, text: Text<'_>) -> u32 {
        if let Some(known) = self.texts.get(&text.key) {
            return *known;
        }
        let number = self.push(&String::from_utf8_lossy(text.bytes));
        self.texts.insert(text.key, number);
        number
    }

    /// The number of a path, or of a name that stands elsewhere.
    pub(crate) fn string(&mut self, string: &str) -> u32 {
        if let Some(known) = self.strings.get(string) {
            return *known;
        }
        let number = self.push(string);
        self.strings.insert(string.into(), number);
        number
    }

    fn push(&mut self, text: &str) -> u32 {
        let number = index(self.answers.texts.len());
        let raw = head(text, NAME_BYTES_MAX).into();
        self.answers.texts.push(Name { raw, readable: OnceCell::new() });
        number
    }

    /// The number of the function with this `key`, if it is known.
    #[inline]
    pub(crate) fn known_function(&self, key: (Key, Option<u64>)) -> Option<u32> {
        self.functions.get(&key).copied()
    }

    /// Adds a function that DWARF describes. `linkage` is its name for the linker, `plain` that in the source;
    /// `symbols` says whether the symbol at its start, if there is one, may know more.
    pub(crate) fn add_function(
        &mut self,
        key: (Key, Option<u64>),
        linkage: Option<Text<'_>>,
        plain: Option<Text<'_>>,
        symbols: SymbolNames,
    ) -> u32 {
        let name = linkage.or(plain).map_or(NONE, |text| self.text(text));
        let mangled = self.answers.text(name).is_some_and(is_mangled);
        let number = self.push_function(Function {
            name,
            linkage_name: if mangled { name } else { NONE },
            origin: Origin::Dwarf,
            start: key.1,
        });
        self.functions.insert(key, number);
        let wants_symbol = match symbols {
            SymbolNames::Never => false,
            SymbolNames::ForPlainNames => !mangled,
            SymbolNames::Always => true,
        };
        if let Some(start) = key.1.filter(|_| wants_symbol) {
            self.unfinished.push((start, number));
        }
        number
    }

    /// Remembers where a function was declared.
    pub(crate) fn declare(&mut self, function: u32, declaration: Declaration) {
        self.answers.declarations.insert(function, declaration);
    }

    pub(crate) fn push_function(&mut self, function: Function) -> u32 {
        let number = index(self.answers.functions.len());
        self.answers.functions.push(function);
        number
    }

    /// The number of a function that stands in no debug section: equal ones have one.
    pub(crate) fn function(&mut self, function: Function) -> u32 {
        if let Some(known) = self.plain_functions.get(&function) {
            return *known;
        }
        let number = self.push_function(function);
        self.plain_functions.insert(function, number);
        number
    }

    /// The functions that a symbol at their start would name better: where they start, and their numbers.
    pub(crate) fn take_unfinished(&mut self) -> Vec<(u64, u32)> {
        std::mem::take(&mut self.unfinished)
    }

    /// Who a function is, DWARF says; but with few debug information it knows only the last part of the name, and
    /// the `symbol` at the function's start has all of it. The symbol also keeps the suffix of a clone.
    pub(crate) fn complete_function(&mut self, function: u32, symbol: &str) {
        let text = self.string(symbol);
        let Some(record) = self.answers.functions.get(function as usize).copied() else { return };
        let known = self.answers.text(record.name);
        let takes_name = match known {
            None => true,
            Some(name) => !is_mangled(name) && is_mangled(symbol) && demangle::may_be(symbol, name),
        };
        let completed = if takes_name {
            Function { name: text, linkage_name: text, origin: Origin::SymbolTable, ..record }
        } else {
            Function { linkage_name: text, ..record }
        };
        self.answers.functions[function as usize] = completed;
    }

    /// The number of a frame.
    #[inline]
    pub(crate) fn node(&mut self, node: Node) -> u32 {
        let nodes = &mut self.answers.nodes;
        *self.nodes.entry(node).or_insert_with(|| {
            nodes.push(node);
            index(nodes.len() - 1)
        })
    }
}

/// The length of a list as the number of the next thing in it. A question has less than 2^32 addresses, and each frame,
/// function and text comes from one of them.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NONE)
}
