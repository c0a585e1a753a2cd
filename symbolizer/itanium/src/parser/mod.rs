//! From a mangled name to its tree: the grammar of the Itanium C++ ABI, read from left to right without looking back.
//!
//! The two tools disagree on some of the grammar, and above all on what a template parameter is: to LLVM it is the argument
//! that was read for it, so it is looked up here; to the binutils it is whatever the arguments say that are in force where
//! it is printed. What either tool does not read ends in `None`.

mod cursor;
mod encoding;
mod name;
mod special;
mod expression;
mod gnu_expression;
mod llvm_expression;
mod literal;
mod template;
mod types;

use crate::Dialect;
use crate::node::{Arena, Id, List, Node, Qualifiers, Reference};
use crate::suffix::is_clones;

/// How deep the parts of a name may be nested. Template-heavy code reaches some hundred; each level takes a few hundred
/// bytes of stack.
const DEPTH_MAX: u32 = 400;

/// Steps for each byte of a name. Compilers' names take less than two; where the binutils read something twice, nested
/// names could take any number.
const STEPS_PER_BYTE: usize = 4;

/// Steps of any name, so that short ones may be odd.
const STEPS_MIN: usize = 256;

/// What is kept between names.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) arena: Arena,
    /// What `S_`, `S0_` and so on stand for.
    substitutions: Vec<Id>,
    /// The items of the lists that are being read.
    stack: Vec<Id>,
    /// The lists of template arguments in force, the outermost first; `None` where a lambda declares none.
    levels: Vec<Option<usize>>,
    argument_lists: Vec<Vec<Id>>,
    /// Nodes for parameters whose arguments are not read yet.
    forwards: Vec<Id>,
}

impl Memory {
    fn clear(&mut self) {
        self.arena.clear();
        self.substitutions.clear();
        self.stack.clear();
        self.levels.clear();
        self.forwards.clear();
    }
}

/// What follows from a function's name for its type.
#[derive(Debug, Default)]
struct NameState {
    ends_with_arguments: bool,
    /// A constructor, destructor or conversion has no return type.
    has_no_result: bool,
    has_this: bool,
    qualifiers: Qualifiers,
    reference: Reference,
    /// How many forward references there were before.
    forwards: usize,
}

/// How the binutils read the scopes of a dependent name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scopes {
    AreNames,
    /// They are names, and some were met.
    WereRead,
    /// As compilers wrote them before the ABI was clear: one type.
    AreTypes,
}

pub(crate) struct Parser<'n, 'm> {
    text: &'n str,
    at: usize,
    dialect: Dialect,
    memory: &'m mut Memory,
    depth: u32,
    steps_left: usize,
    /// Where the levels of the encoding begin that is being read.
    levels_base: usize,
    lists_used: usize,
    permits_forwards: bool,
    /// Off in the type of a conversion, whose name may have the arguments that follow.
    takes_arguments: bool,
    /// The level of `auto` in the parameters of the lambda that is being read.
    lambda_level: Option<usize>,
    /// In constraints LLVM leaves parameters as they are.
    leaves_parameters: bool,
    synthetic: [u32; 3],
    /// The last identifier: to the binutils, the name of a constructor.
    last_name: Option<Id>,
    scopes: Scopes,
}

impl<'n, 'm> Parser<'n, 'm> {
    pub(crate) fn new(text: &'n str, dialect: Dialect, memory: &'m mut Memory) -> Parser<'n, 'm> {
        memory.clear();
        Parser {
            text,
            at: 0,
            dialect,
            memory,
            depth: 0,
            steps_left: text.len() * STEPS_PER_BYTE + STEPS_MIN,
            levels_base: 0,
            lists_used: 0,
            permits_forwards: false,
            takes_arguments: true,
            lambda_level: None,
            leaves_parameters: false,
            synthetic: [0; 3],
            last_name: None,
            scopes: Scopes::AreNames,
        }
    }

    /// The whole name: its tree, and the suffix behind it, which is empty or begins with a dot.
    pub(crate) fn whole(mut self) -> Option<(Id, &'n str)> {
        let found = self.name_and_suffix();
        if found.is_some() || self.scopes != Scopes::WereRead {
            return found;
        }
        // Once more, with the other meaning of scopes.
        let mut second = Parser::new(self.text, self.dialect, self.memory);
        second.scopes = Scopes::AreTypes;
        second.name_and_suffix()
    }

    fn name_and_suffix(&mut self) -> Option<(Id, &'n str)> {
        self.expect(b"_Z")?;
        let root = self.encoding()?;
        let suffix = self.text.get(self.at..)?;
        let is_whole = match self.dialect {
            Dialect::Gnu => is_clones(suffix),
            Dialect::Llvm => suffix.is_empty() || suffix.starts_with('.'),
        };
        is_whole.then_some((root, suffix))
    }

    fn is_gnu(&self) -> bool {
        self.dialect == Dialect::Gnu
    }

    fn add(&mut self, node: Node) -> Id {
        self.memory.arena.add(node)
    }

    fn get(&self, id: Id) -> Node {
        self.memory.arena.get(id)
    }

    /// Makes a node a candidate for substitution.
    fn remember(&mut self, id: Id) {
        self.memory.substitutions.push(id);
    }

    fn height(&self) -> usize {
        self.memory.stack.len()
    }

    fn push(&mut self, id: Id) {
        self.memory.stack.push(id);
    }

    /// The list of what was pushed since the stack had this height.
    fn pop_list(&mut self, height: usize) -> List {
        let Memory { arena, stack, .. } = &mut *self.memory;
        arena.list(stack, height)
    }

    /// Reads items up to, and with, a letter.
    fn list_until(&mut self, end: u8, mut item: impl FnMut(&mut Self) -> Option<Id>) -> Option<List> {
        let height = self.height();
        while !self.eat(end) {
            let id = item(self)?;
            self.push(id);
        }
        Some(self.pop_list(height))
    }

    /// Runs a step one level deeper, if there may be one.
    fn deeper<T>(&mut self, step: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= DEPTH_MAX || self.steps_left == 0 {
            return None;
        }
        self.steps_left -= 1;
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    /// Runs a step in which no template parameters of the outside are known.
    fn with_own_levels<T>(&mut self, step: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let (base, used) = (self.levels_base, self.lists_used);
        self.levels_base = self.memory.levels.len();
        let result = step(self);
        self.memory.levels.truncate(self.levels_base);
        self.levels_base = base;
        self.lists_used = used;
        result
    }
}
