//! Collects frames, chains and ranges, and makes the file of them.
//!
//! Everything is kept once: strings, functions (name, file, source) and nodes (function, line, and the node
//! that it was inlined into). A range then is two addresses and the number of its innermost node. Numbers are
//! given in the order of arrival and no table is ever listed in hash order, so equal input gives equal bytes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::encode;
use crate::format::MAX_BUILD_ID;
use crate::frame::{Frame, NameSource};
use crate::hash::FastHashing;

/// Frames of the longest chain that is kept; frames further in are dropped. Compilers stay far below.
pub const MAX_DEPTH: u16 = 256;

/// The longest string in bytes that is kept; a longer one is cut. It bounds what one answer costs.
pub const MAX_STRING: usize = 1 << 14;

/// What the file says about the program as a whole, and how it is to be made.
#[derive(Clone, Debug, Default)]
pub struct Header<'a> {
    /// The program's build-id; at most [`MAX_BUILD_ID`] bytes are kept.
    pub build_id: &'a [u8],
    /// The ELF machine number (`e_machine`).
    pub architecture: u16,
    /// Whether every inlined frame could be found: false if, say, a `.dwo` file was missing.
    pub complete_inlines: bool,
    /// Start and length of every section that holds code.
    pub text: &'a [(u64, u64)],
    /// Keep linkage names. They can double the size of the names.
    pub keep_linkage_names: bool,
    /// Keep columns. They roughly double the number of ranges.
    pub keep_columns: bool,
}

/// A node: a frame with all frames around it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub(crate) u32);

/// A function, ready to be used in nodes; see [`Packer::function`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FunctionId(pub(crate) u32);

/// What nodes of one function have in common. Strings are numbers plus one, zero for none.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: u32,
    pub(crate) linkage: u32,
    pub(crate) file: u32,
    pub(crate) source: NameSource,
}

/// A function at a line, inlined into `parent` (a node's number plus one, zero for none).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Node {
    pub(crate) function: u32,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) parent: u32,
}

/// Makes a packed symbol file.
pub struct Packer {
    pub(crate) build_id: Vec<u8>,
    pub(crate) architecture: u16,
    pub(crate) complete_inlines: bool,
    pub(crate) text: Vec<(u64, u64)>,
    pub(crate) keep_linkage_names: bool,
    pub(crate) keep_columns: bool,
    pub(crate) strings: Vec<Box<str>>,
    pub(crate) functions: Vec<Function>,
    pub(crate) nodes: Vec<Node>,
    depths: Vec<u16>,
    /// Where the innermost node changes: the address and the new node's number plus one, zero for a gap.
    pub(crate) changes: Vec<(u64, u32)>,
    end: u64,
    string_numbers: HashMap<Box<str>, u32, FastHashing>,
    function_numbers: HashMap<Function, u32, FastHashing>,
    node_numbers: HashMap<Node, u32, FastHashing>,
}

impl Packer {
    /// A packer without ranges.
    #[must_use]
    pub fn new(header: Header<'_>) -> Self {
        let kept = header.build_id.len().min(MAX_BUILD_ID);
        Self {
            build_id: header.build_id.get(..kept).unwrap_or_default().to_vec(),
            architecture: header.architecture,
            complete_inlines: header.complete_inlines,
            text: header.text.to_vec(),
            keep_linkage_names: header.keep_linkage_names,
            keep_columns: header.keep_columns,
            strings: Vec::new(),
            functions: Vec::new(),
            nodes: Vec::new(),
            depths: Vec::new(),
            changes: Vec::new(),
            end: 0,
            string_numbers: HashMap::default(),
            function_numbers: HashMap::default(),
            node_numbers: HashMap::default(),
        }
    }

    /// Whether every inlined frame could be found, once that is known.
    pub fn set_complete_inlines(&mut self, complete: bool) {
        self.complete_inlines = complete;
    }

    /// The node for a frame that was inlined into `parent`, or is not inlined if there is none.
    pub fn intern(&mut self, frame: &Frame<'_>, parent: Option<NodeId>) -> NodeId {
        let function = self.function(frame.function, frame.linkage_name, frame.file, frame.source);
        self.node(function, frame.line, frame.column, parent)
    }

    /// The function with this name, file and source. A walk that keeps the result spares
    /// [`Packer::intern`]'s hashing of strings.
    pub fn function(
        &mut self,
        name: Option<&str>,
        linkage_name: Option<&str>,
        file: Option<&str>,
        source: NameSource,
    ) -> FunctionId {
        let linkage_name = linkage_name.filter(|_| self.keep_linkage_names);
        let function = Function {
            name: self.string(name),
            linkage: self.string(linkage_name),
            file: self.string(file),
            source,
        };
        let next = self.functions.len() as u32;
        match self.function_numbers.entry(function) {
            Entry::Occupied(known) => FunctionId(*known.get()),
            Entry::Vacant(free) => {
                free.insert(next);
                self.functions.push(function);
                FunctionId(next)
            }
        }
    }

    /// The node for a place in a function; see [`Packer::intern`].
    pub fn node(&mut self, function: FunctionId, line: u32, column: u32, parent: Option<NodeId>) -> NodeId {
        // Numbers of another packer are as good as none.
        let parent = parent.filter(|parent| (parent.0 as usize) < self.nodes.len());
        let known = (function.0 as usize) < self.functions.len();
        let function = if known { function } else { self.function(None, None, None, NameSource::Dwarf) };
        let depth = parent.and_then(|parent| self.depths.get(parent.0 as usize)).map_or(1, |depth| depth + 1);
        if let (Some(parent), true) = (parent, depth > MAX_DEPTH) {
            return parent;
        }
        let column = if self.keep_columns { column } else { 0 };
        let node =
            Node { function: function.0, line, column, parent: parent.map_or(0, |parent| parent.0 + 1) };
        let next = self.nodes.len() as u32;
        match self.node_numbers.entry(node) {
            Entry::Occupied(known) => NodeId(*known.get()),
            Entry::Vacant(free) => {
                free.insert(next);
                self.nodes.push(node);
                self.depths.push(depth);
                NodeId(next)
            }
        }
    }

    /// Says that the innermost frame of all addresses from `start` up to (not including) `end` is `node`.
    ///
    /// Ranges come in ascending order. What an earlier range has already claimed stays with it, so of
    /// functions that share bytes the first one wins.
    pub fn range(&mut self, start: u64, end: u64, node: NodeId) {
        let start = if self.changes.is_empty() { start } else { start.max(self.end) };
        if start >= end || node.0 as usize >= self.nodes.len() {
            return;
        }
        if !self.changes.is_empty() && start > self.end {
            self.changes.push((self.end, 0));
        }
        let continued = start == self.end && self.changes.last().is_some_and(|last| last.1 == node.0 + 1);
        if !continued {
            self.changes.push((start, node.0 + 1));
        }
        self.end = end;
    }

    /// The number of ranges so far, gaps included.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.changes.len()
    }

    /// Makes the file.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        // The tables of numbers have served their purpose, and encoding needs memory of its own.
        self.string_numbers = HashMap::default();
        self.function_numbers = HashMap::default();
        self.node_numbers = HashMap::default();
        if !self.changes.is_empty() {
            self.changes.push((self.end, 0));
        }
        encode::file(&self)
    }

    /// The number plus one of a string, zero for none.
    fn string(&mut self, text: Option<&str>) -> u32 {
        let Some(text) = text else { return 0 };
        let text = cut(text);
        if let Some(known) = self.string_numbers.get(text) {
            return known + 1;
        }
        let next = self.strings.len() as u32;
        self.string_numbers.insert(text.into(), next);
        self.strings.push(text.into());
        next + 1
    }
}

/// The string, shortened to [`MAX_STRING`] bytes.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_STRING)).unwrap_or(text)
}
