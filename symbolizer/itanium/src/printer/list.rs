//! Lists: of parameters, of template arguments. An empty pack in one leaves nothing, not even its comma, or nearly so.

use super::Printer;
use crate::node::List;
use crate::tables::precedence;

impl Printer<'_> {
    /// Opens a bracket in which a `>` ends no template arguments.
    pub(super) fn open(&mut self, bracket: &str) -> Option<()> {
        self.open += 1;
        self.write(bracket)
    }

    pub(super) fn close(&mut self, bracket: &str) -> Option<()> {
        self.open = self.open.saturating_sub(1);
        self.write(bracket)
    }

    pub(super) fn list(&mut self, list: List) -> Option<()> {
        if self.is_gnu() { self.gnu_list(list) } else { self.llvm_list(list) }
    }

    /// The binutils leave out a comma behind which the rest of the list is empty.
    fn gnu_list(&mut self, list: List) -> Option<()> {
        let mut rest_at = None;
        for index in 0..list.len() {
            let item = self.arena.item(list, index)?;
            let before = self.out.len();
            if index > 0 {
                self.write(", ")?;
            }
            let start = self.out.len();
            self.print(item)?;
            if index == 0 || self.out.len() > start {
                rest_at = None;
            } else {
                rest_at = rest_at.or(Some(before));
            }
        }
        if let Some(end) = rest_at {
            self.out.truncate(end);
            self.blank_at = Some(end);
        }
        Some(())
    }

    /// LLVM leaves out the comma of each item that is empty.
    fn llvm_list(&mut self, list: List) -> Option<()> {
        let mut is_first = true;
        for index in 0..list.len() {
            let item = self.arena.item(list, index)?;
            let before = self.out.len();
            if !is_first {
                self.write(", ")?;
            }
            let start = self.out.len();
            self.operand(item, precedence::COMMA, false)?;
            if self.out.len() == start {
                self.out.truncate(before);
            } else {
                is_first = false;
            }
        }
        Some(())
    }

    pub(super) fn parameters(&mut self, parameters: List) -> Option<()> {
        self.open("(")?;
        self.list(parameters)?;
        self.close(")")
    }

    /// Template arguments with their brackets.
    pub(super) fn arguments(&mut self, arguments: List) -> Option<()> {
        if self.is_short() {
            return Some(());
        }
        if self.is_gnu() {
            // `operator< <int>`.
            self.write(if self.last() == b'<' { " <" } else { "<" })?;
            self.gnu_list(arguments)?;
            return self.write(if self.last() == b'>' { " >" } else { ">" });
        }
        let outer = std::mem::take(&mut self.open);
        self.write("<")?;
        let done = self.llvm_list(arguments);
        self.open = outer;
        done?;
        self.write(">")
    }
}
