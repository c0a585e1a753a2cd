//! What the compiler makes for a class, function or object: tables, guards, thunks.

use super::Parser;
use crate::node::{Id, Node};

impl Parser<'_, '_> {
    pub(super) fn special_name(&mut self) -> Option<Id> {
        let code = self.peek_two();
        self.at += 2;
        match &code {
            b"TV" => self.prefixed_type("vtable for "),
            b"TT" => self.prefixed_type("VTT for "),
            b"TI" => self.prefixed_type("typeinfo for "),
            b"TS" => self.prefixed_type("typeinfo name for "),
            b"TF" if self.is_gnu() => self.prefixed_type("typeinfo fn for "),
            b"TH" if self.is_gnu() => self.prefixed_name("TLS init function for "),
            b"TH" => self.prefixed_name("thread-local initialization routine for "),
            b"TW" if self.is_gnu() => self.prefixed_name("TLS wrapper function for "),
            b"TW" => self.prefixed_name("thread-local wrapper routine for "),
            b"TA" => {
                let argument = self.template_argument()?;
                Some(self.add(Node::Prefixed("template parameter object for ", argument)))
            }
            b"TC" => self.construction_table(),
            b"Tc" => {
                self.call_offset()?;
                self.call_offset()?;
                self.prefixed_encoding("covariant return thunk to ")
            }
            b"Th" | b"Tv" => {
                self.at -= 1;
                self.call_offset()?;
                let is_virtual = code == *b"Tv";
                self.prefixed_encoding(if is_virtual { "virtual thunk to " } else { "non-virtual thunk to " })
            }
            b"GV" => self.prefixed_name("guard variable for "),
            b"GR" => self.reference_temporary(),
            b"GI" => self.module_initializer(),
            b"GA" if self.is_gnu() => self.prefixed_encoding("hidden alias for "),
            b"GT" if self.is_gnu() => self.transaction_clone(),
            _ => None,
        }
    }

    fn prefixed_type(&mut self, words: &'static str) -> Option<Id> {
        let type_ = self.type_()?;
        Some(self.add(Node::Prefixed(words, type_)))
    }

    fn prefixed_name(&mut self, words: &'static str) -> Option<Id> {
        let name = self.name(None)?;
        Some(self.add(Node::Prefixed(words, name)))
    }

    fn prefixed_encoding(&mut self, words: &'static str) -> Option<Id> {
        let encoding = self.encoding()?;
        Some(self.add(Node::Prefixed(words, encoding)))
    }

    fn construction_table(&mut self) -> Option<Id> {
        let derived = self.type_()?;
        self.signed()?;
        self.expect(b"_")?;
        let base = self.type_()?;
        Some(self.add(Node::InConstruction(base, derived)))
    }

    fn reference_temporary(&mut self) -> Option<Id> {
        let object = self.name(None)?;
        if self.is_gnu() {
            // The binutils read a number that nobody writes, and then want the end.
            let negative = self.eat(b'n');
            let number = if self.peek().is_ascii_digit() { self.number()? } else { 0 };
            return (!negative).then(|| self.add(Node::ReferenceTemporary(object, number)));
        }
        // The `_` may be missing where there is no number.
        let has_number = self.peek().is_ascii_digit() || self.peek().is_ascii_uppercase();
        if has_number {
            self.sequence()?;
        } else {
            self.eat(b'_');
        }
        Some(self.add(Node::ReferenceTemporary(object, 0)))
    }

    fn module_initializer(&mut self) -> Option<Id> {
        let module = self.module_name(None)?;
        module.map(|module| self.add(Node::Prefixed("initializer for module ", module)))
    }

    fn transaction_clone(&mut self) -> Option<Id> {
        // Everything but `n` is a clone.
        let is_clone = self.peek() != b'n';
        self.at += 1;
        self.prefixed_encoding(if is_clone { "transaction clone for " } else { "non-transaction clone for " })
    }

    /// How far a thunk moves `this`, which nobody prints.
    fn call_offset(&mut self) -> Option<()> {
        if self.eat(b'h') {
            self.signed()?;
            return self.expect(b"_");
        }
        self.expect(b"v")?;
        self.signed()?;
        self.expect(b"_")?;
        self.signed()?;
        self.expect(b"_")
    }
}
