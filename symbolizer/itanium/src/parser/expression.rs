//! What the expressions of both tools have in common.

use super::Parser;
use crate::node::{Id, New, Node};

impl Parser<'_, '_> {
    pub(super) fn expression(&mut self) -> Option<Id> {
        self.deeper(|parser| if parser.is_gnu() { parser.gnu_expression() } else { parser.llvm_expression() })
    }

    pub(super) fn two_expressions(&mut self) -> Option<(Id, Id)> {
        let first = self.expression()?;
        Some((first, self.expression()?))
    }

    pub(super) fn add_new(&mut self, new: New) -> Id {
        let number = self.memory.arena.news.len() as u32;
        self.memory.arena.news.push(new);
        self.add(Node::New(number))
    }

    /// An identifier with its template arguments.
    pub(super) fn simple_name(&mut self) -> Option<Id> {
        let name = self.source_name()?;
        self.with_optional_arguments(name)
    }

    pub(super) fn with_optional_arguments(&mut self, name: Id) -> Option<Id> {
        if self.peek() == b'I' { self.with_arguments(name, None) } else { Some(name) }
    }
}
