//! The parts that several kinds of nodes share: brackets of declarators, lists, packs, the names of constructors.

use super::super::Dialect;
use super::super::node::{Exceptions, Id, List, Node, Qualifiers, Reference, Special};
use super::{DEPTH_MAX, Pack, Printer, llvm_number};

impl Printer<'_, '_> {
    pub(super) fn open_declarator(&mut self, inner: Id) -> Option<()> {
        let is_array = self.has_array(inner);
        if is_array {
            self.push(" ")?;
        }
        if is_array || self.has_function(inner) { self.push("(") } else { Some(()) }
    }

    pub(super) fn close_declarator(&mut self, inner: Id) -> Option<()> {
        if self.has_array(inner) || self.has_function(inner) { self.push(")") } else { Some(()) }
    }

    /// A reference to a reference is one: `&` unless all are `&&`.
    pub(super) fn collapsed(&mut self, id: Id) -> Option<(Id, Reference)> {
        let mut kind = Reference::Right;
        let mut id = id;
        for _ in 0..DEPTH_MAX {
            let resolved = self.resolved(id)?;
            match self.node(resolved) {
                Node::Reference(inner, inner_kind) => {
                    if inner_kind == Reference::Left {
                        kind = Reference::Left;
                    }
                    id = inner;
                }
                _ => return Some((id, kind)),
            }
        }
        None
    }

    pub(super) fn qualifiers(&mut self, qualifiers: Qualifiers) -> Option<()> {
        let restrict = if self.dialect == Dialect::Gnu { " __restrict" } else { " restrict" };
        for (bit, word) in [
            (Qualifiers::CONST, " const"),
            (Qualifiers::VOLATILE, " volatile"),
            (Qualifiers::RESTRICT, restrict),
        ] {
            if qualifiers.0 & bit != 0 {
                self.push(word)?;
            }
        }
        Some(())
    }

    pub(super) fn reference(&mut self, reference: Reference) -> Option<()> {
        match reference {
            Reference::None => Some(()),
            Reference::Left => self.push(" &"),
            Reference::Right => self.push(" &&"),
        }
    }

    pub(super) fn exceptions(&mut self, exceptions: Exceptions) -> Option<()> {
        match exceptions {
            Exceptions::Unsaid => Some(()),
            Exceptions::Noexcept => self.push(" noexcept"),
            Exceptions::NoexceptIf(condition) => {
                self.push(" noexcept(")?;
                self.print(condition)?;
                self.push(")")
            }
            Exceptions::Throws(types) => {
                self.push(" throw(")?;
                self.list(types)?;
                self.push(")")
            }
        }
    }

    pub(super) fn parameters(&mut self, parameters: List) -> Option<()> {
        self.push("(")?;
        self.list(parameters)?;
        self.push(")")
    }

    pub(super) fn arguments(&mut self, arguments: List) -> Option<()> {
        let is_gnu = self.dialect == Dialect::Gnu;
        // `operator< <int>`.
        if is_gnu && self.text.ends_with('<') {
            self.push(" ")?;
        }
        self.push("<")?;
        self.list(arguments)?;
        // Behind an empty pack there is no blank.
        if is_gnu && self.text.ends_with('>') && self.dropped_at != Some(self.text.len()) {
            self.push(" ")?;
        }
        self.push(">")
    }

    /// Items with commas between those that are anything: an empty pack is nothing.
    pub(super) fn list(&mut self, list: List) -> Option<()> {
        let mut is_first = true;
        for index in 0..list.length {
            let item = *self.parser.arena.items(list).get(index as usize)?;
            let before = self.text.len();
            if !is_first {
                self.push(", ")?;
            }
            let start = self.text.len();
            self.print(item)?;
            if self.text.len() == start {
                self.text.truncate(before);
                self.dropped_at = Some(before);
            } else {
                is_first = false;
            }
        }
        Some(())
    }

    pub(super) fn expansion(&mut self, pattern: Id) -> Option<()> {
        let outer = self.pack.replace(Pack { index: 0, length: None });
        let start = self.text.len();
        let done = self.expanded(pattern, start);
        self.pack = outer;
        done
    }

    pub(super) fn expanded(&mut self, pattern: Id, start: usize) -> Option<()> {
        self.print(pattern)?;
        match self.pack.and_then(|pack| pack.length) {
            // There is no pack: it is one of parameters that are not known.
            None => self.push("..."),
            Some(0) => {
                self.text.truncate(start);
                Some(())
            }
            Some(length) => {
                for index in 1..length {
                    self.pack = Some(Pack { index, length: Some(length) });
                    self.push(", ")?;
                    self.print(pattern)?;
                }
                Some(())
            }
        }
    }

    pub(super) fn sizeof_pack(&mut self, pack: Id) -> Option<()> {
        match (self.dialect, self.node(pack)) {
            // GNU counts.
            (Dialect::Gnu, Node::ParameterPack(list)) => self.push(&list.length.to_string()),
            (Dialect::Gnu, _) => None,
            (Dialect::Llvm, _) => {
                self.push("sizeof...(")?;
                self.expansion(pack)?;
                self.push(")")
            }
        }
    }

    pub(super) fn number(&mut self, value: &str) -> Option<()> {
        match value.strip_prefix('n') {
            Some(digits) => {
                self.push("-")?;
                self.push(digits)
            }
            None => self.push(value),
        }
    }

    /// The name of a function in a class or namespace.
    pub(super) fn qualified_function(&self, object: Id) -> Option<Id> {
        let Node::External(function) = self.node(object) else { return None };
        let Node::Encoding { name, .. } = self.node(function) else { return None };
        matches!(self.node(name), Node::Nested(..)).then_some(name)
    }

    /// The function that something is in. GNU leaves its result out.
    pub(super) fn local_function(&mut self, function: Id) -> Option<()> {
        match (self.dialect, self.node(function)) {
            (Dialect::Gnu, Node::Encoding { name, parameters, qualifiers, reference, .. }) => {
                self.print(name)?;
                self.parameters(parameters)?;
                self.qualifiers(qualifiers)?;
                self.reference(reference)
            }
            _ => self.print(function),
        }
    }

    pub(super) fn closure(&mut self, parameters: List, number: u64) -> Option<()> {
        match self.dialect {
            Dialect::Gnu => {
                self.push("{lambda")?;
                self.parameters(parameters)?;
                self.push(&format!("#{}}}", number + 1))
            }
            Dialect::Llvm => {
                self.push(&format!("'lambda{}'", llvm_number(number)))?;
                self.parameters(parameters)
            }
        }
    }

    /// The last part of a name, without template arguments: what constructors are called.
    pub(super) fn base_name(&mut self, id: Id) -> Option<()> {
        let mut id = id;
        for _ in 0..DEPTH_MAX {
            id = match self.node(id) {
                Node::Nested(_, name) | Node::Local(_, name) => name,
                Node::WithArguments(name, _) => name,
                // GNU keeps the tags of a class out of its constructor's name.
                Node::Tagged(name, _) => name,
                Node::Special(special) | Node::SpecialWhole(special) => {
                    return self.push(base(special));
                }
                Node::Forward(_) => self.resolved(id)?,
                _ => return self.print(id),
            };
        }
        None
    }

    pub(super) fn special_whole(&mut self, special: Special) -> Option<()> {
        let end = if self.dialect == Dialect::Gnu { " >" } else { ">" };
        let text = match special {
            Special::Allocator => "std::allocator".to_owned(),
            Special::BasicString => "std::basic_string".to_owned(),
            Special::String => {
                format!("std::basic_string<char, std::char_traits<char>, std::allocator<char>{end}")
            }
            Special::Istream => format!("std::basic_istream<char, std::char_traits<char>{end}"),
            Special::Ostream => format!("std::basic_ostream<char, std::char_traits<char>{end}"),
            Special::Iostream => format!("std::basic_iostream<char, std::char_traits<char>{end}"),
        };
        self.push(&text)
    }
}

pub(super) fn short(special: Special) -> &'static str {
    match special {
        Special::Allocator => "std::allocator",
        Special::BasicString => "std::basic_string",
        Special::String => "std::string",
        Special::Istream => "std::istream",
        Special::Ostream => "std::ostream",
        Special::Iostream => "std::iostream",
    }
}

fn base(special: Special) -> &'static str {
    match special {
        Special::Allocator => "allocator",
        Special::BasicString | Special::String => "basic_string",
        Special::Istream => "basic_istream",
        Special::Ostream => "basic_ostream",
        Special::Iostream => "basic_iostream",
    }
}
