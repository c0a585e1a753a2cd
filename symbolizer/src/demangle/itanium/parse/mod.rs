//! From the mangled name to its tree. Follows the grammar of the Itanium C++ ABI; what is not understood, or could only be
//! understood by guessing, ends in `None`.

mod input;
mod names;
mod arguments;
mod types;
mod expressions;

use super::Dialect;
use super::node::{Arena, Id, Node, Qualifiers, Reference};
use super::tables;

/// How deep a name may be nested. Compilers reach some hundred with template-heavy code.
const DEPTH_MAX: u32 = 300;

/// What follows from the name of a function for its type.
#[derive(Debug, Default)]
struct NameState {
    ends_with_arguments: bool,
    has_no_result: bool,
    qualifiers: Qualifiers,
    reference: Reference,
    /// The forward references that stood there before.
    forwards: usize,
}

/// What a substitution repeats.
#[derive(Debug, Clone, Copy)]
struct Substitution {
    id: Id,
    /// The context whose template parameters it contains; `None` if it has none.
    context: Option<u32>,
}

pub(super) struct Parser<'a> {
    input: &'a str,
    at: usize,
    dialect: Dialect,
    pub(super) arena: Arena<'a>,
    substitutions: Vec<Substitution>,
    /// Which encoding, or list of a lambda's parameters, is read: template parameters mean another thing in each.
    context: u32,
    contexts: u32,
    /// How many template parameters were read.
    parameters_read: u32,
    /// The template arguments that parameters refer to, by level.
    parameters: Vec<Vec<Id>>,
    /// The outermost arguments that were read, while the next one is.
    arguments_so_far: Vec<Id>,
    /// What the forward references turned out to be.
    pub(super) forwards: Vec<Option<Id>>,
    forward_indices: Vec<usize>,
    permits_forwards: bool,
    parses_arguments: bool,
    /// The level whose parameters a lambda's `auto` stand for, while its own are read.
    lambda_level: Option<usize>,
    depth: u32,
}

impl<'a> Parser<'a> {
    pub(super) fn new(input: &'a str, dialect: Dialect) -> Parser<'a> {
        Parser {
            input,
            at: 0,
            dialect,
            arena: Arena::default(),
            substitutions: Vec::new(),
            context: 0,
            contexts: 0,
            parameters_read: 0,
            parameters: Vec::new(),
            arguments_so_far: Vec::new(),
            forwards: Vec::new(),
            forward_indices: Vec::new(),
            permits_forwards: false,
            parses_arguments: true,
            lambda_level: None,
            depth: 0,
        }
    }

    /// The whole name: its tree, and what stands behind it (a suffix that begins with a dot, or nothing).
    pub(super) fn whole(&mut self) -> Option<(Id, &'a str)> {
        self.expect("_Z")?;
        let id = self.encoding()?;
        let rest = &self.input[self.at..];
        (rest.is_empty() || rest.starts_with('.')).then_some((id, rest))
    }

    fn encoding(&mut self) -> Option<Id> {
        self.deeper(Self::encoding_inner)
    }

    fn encoding_inner(&mut self) -> Option<Id> {
        if matches!(self.peek(), b'G' | b'T') {
            return self.special_name();
        }
        // A name in a name has parameters of its own.
        let outer = std::mem::take(&mut self.parameters);
        let encoding = self.in_context(Self::function_or_object);
        self.parameters = outer;
        encoding
    }

    fn function_or_object(&mut self) -> Option<Id> {
        let mut state = NameState { forwards: self.forwards.len(), ..NameState::default() };
        let name = self.name(&mut Some(&mut state))?;
        self.resolve_forwards(&state)?;
        if matches!(self.peek(), 0 | b'E' | b'.') {
            return Some(name);
        }
        let result =
            if state.ends_with_arguments && !state.has_no_result { Some(self.type_()?) } else { None };
        let mut parameters = Vec::new();
        if !self.eat("v") {
            loop {
                parameters.push(self.type_()?);
                if matches!(self.peek(), 0 | b'E' | b'.') {
                    break;
                }
            }
        }
        let parameters = self.arena.list(&parameters);
        let NameState { qualifiers, reference, .. } = state;
        Some(self.add(Node::Encoding { result, name, parameters, qualifiers, reference }))
    }

    /// Gives the forward references of a name the arguments that came later.
    fn resolve_forwards(&mut self, state: &NameState) -> Option<()> {
        for forward in state.forwards..self.forwards.len() {
            let index = self.forward_indices[forward];
            self.forwards[forward] = Some(*self.parameters.first()?.get(index)?);
        }
        Some(())
    }

    fn special_name(&mut self) -> Option<Id> {
        let code = self.input.as_bytes().get(self.at..self.at + 2)?;
        if let Some((gnu, llvm)) = tables::special(code) {
            self.at += 2;
            let named = match code {
                b"TH" | b"TW" | b"GV" => self.name(&mut None)?,
                b"TA" => self.template_argument()?,
                _ => self.type_()?,
            };
            return Some(
                self.add(Node::Prefixed(if self.dialect == Dialect::Gnu { gnu } else { llvm }, named)),
            );
        }
        match code {
            b"TC" => {
                self.at += 2;
                let first = self.type_()?;
                self.signed()?;
                self.expect("_")?;
                let second = self.type_()?;
                Some(self.add(Node::InConstruction(second, first)))
            }
            b"Tc" => {
                self.at += 2;
                self.call_offset()?;
                self.call_offset()?;
                let function = self.encoding()?;
                Some(self.add(Node::Prefixed("covariant return thunk to ", function)))
            }
            b"Th" | b"Tv" => {
                self.at += 1;
                let words = if code == b"Th" { "non-virtual thunk to " } else { "virtual thunk to " };
                self.call_offset()?;
                let function = self.encoding()?;
                Some(self.add(Node::Prefixed(words, function)))
            }
            b"GR" => {
                self.at += 2;
                let object = self.name(&mut None)?;
                let number = self.sequence()?;
                Some(self.add(Node::ReferenceTemporary(object, number as u64)))
            }
            // LLVM does not know these.
            b"GT" if self.dialect == Dialect::Gnu => {
                self.at += 2;
                let words = match self.peek() {
                    b't' => "transaction clone for ",
                    b'n' => "non-transaction clone for ",
                    _ => return None,
                };
                self.at += 1;
                let function = self.encoding()?;
                Some(self.add(Node::Prefixed(words, function)))
            }
            _ => None,
        }
    }

    fn call_offset(&mut self) -> Option<()> {
        if self.eat("h") {
            self.signed()?;
            return self.expect("_");
        }
        self.expect("v")?;
        self.signed()?;
        self.expect("_")?;
        self.signed()?;
        self.expect("_")
    }
}
