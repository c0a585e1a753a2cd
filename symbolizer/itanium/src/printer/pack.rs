//! Packs: the pattern of an expansion, once for each element.

use super::{PackState, Printer};
use crate::node::{Id, List, Node};

impl Printer<'_> {
    /// The first pack that is met in an expansion tells how many elements there are.
    pub(super) fn meet_pack(&mut self, items: List) {
        if self.pack.length.is_none() {
            self.pack.length = Some(items.len());
            if !self.is_gnu() {
                self.pack.index = Some(0);
            }
        }
    }

    pub(super) fn expansion(&mut self, pattern: Id) -> Option<()> {
        let outer =
            std::mem::replace(&mut self.pack, PackState { index: Some(0), length: None, is_expanding: true });
        let (start, blank_at) = (self.out.len(), self.blank_at);
        self.print(pattern)?;
        let length = self.pack.length;
        match length {
            None => {
                // No pack: it is one of function parameters, whose number nobody knows.
                if self.is_gnu() && !self.is_simple(pattern) {
                    self.out.insert(start, '(');
                    self.write(")")?;
                }
                self.write("...")?;
            }
            Some(0) => {
                self.out.truncate(start);
                self.blank_at = blank_at;
            }
            Some(length) => {
                for index in 1..length {
                    self.write(", ")?;
                    self.pack.index = Some(index);
                    self.print(pattern)?;
                }
            }
        }
        // The binutils forget where they were in an expansion around this one.
        let last = length.and_then(|length| length.checked_sub(1)).filter(|_| self.is_gnu());
        self.pack = PackState { index: last.map_or(outer.index, Some), ..outer };
        Some(())
    }

    /// How long a pack is, which the binutils print for `sizeof...`; what is none has no length.
    pub(super) fn pack_length(&self, pack: Id) -> Option<u32> {
        let Node::Parameter(index) = self.get(pack) else { return Some(0) };
        let scope = self.argument_scope(self.scope)?;
        match self.get(self.arena.item(scope.arguments, index as usize)?) {
            Node::Pack(items) => u32::try_from(items.len()).ok(),
            _ => Some(0),
        }
    }

    /// How many arguments a list has when its packs are expanded.
    pub(super) fn arguments_length(&self, list: List) -> Option<u32> {
        let mut length = 0_u32;
        for &item in self.arena.items(list) {
            length += match self.get(item) {
                Node::Expansion(pattern) if matches!(self.get(pattern), Node::Parameter(_)) => {
                    self.pack_length(pattern)?
                }
                // Which pack of a pattern counts is not worked out.
                Node::Expansion(_) => return None,
                _ => 1,
            };
        }
        Some(length)
    }
}
