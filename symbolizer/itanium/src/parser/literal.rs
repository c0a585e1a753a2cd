//! Literals, and names that are operands.

use super::Parser;
use crate::node::{Id, Node};
use crate::tables;

impl Parser<'_, '_> {
    /// A literal, function or object, behind an `L`.
    pub(super) fn primary(&mut self) -> Option<Id> {
        self.expect(b"L")?;
        if self.eat_all(b"_Z") || (self.is_gnu() && self.eat(b'Z')) {
            let named = self.encoding()?;
            self.expect(b"E")?;
            // To LLVM, it is the same thing that a symbol is.
            return Some(if self.is_gnu() { self.add(Node::External(named)) } else { named });
        }
        let literal = if self.is_gnu() { self.gnu_literal()? } else { self.llvm_literal()? };
        self.expect(b"E")?;
        Some(literal)
    }

    /// What stands behind an integer of a type, if nothing stands in front of it.
    fn integer_suffix(letter: u8) -> Option<&'static str> {
        Some(match letter {
            b'i' => "",
            b'j' => "u",
            b'l' => "l",
            b'm' => "ul",
            b'x' => "ll",
            b'y' => "ull",
            _ => return None,
        })
    }

    fn llvm_literal(&mut self) -> Option<Id> {
        let letter = self.peek();
        if let Some(suffix) = Self::integer_suffix(letter) {
            self.at += 1;
            let value = self.signed()?;
            return Some(self.add(Node::Integer(value, suffix)));
        }
        match letter {
            b'b' => {
                let value = self.peek_at(1);
                self.at += 2;
                matches!(value, b'0' | b'1').then(|| self.add(Node::Bool(value == b'1')))
            }
            b'f' | b'd' | b'e' => self.llvm_float(letter),
            b'A' => {
                let type_ = self.type_()?;
                Some(self.add(Node::StringLiteral(type_)))
            }
            b'D' if self.eat_all(b"Dn") => {
                self.eat(b'0');
                Some(self.add(Node::Text("nullptr")))
            }
            b'T' | b'_' | b'D' => None,
            b'U' => {
                if self.peek_at(1) != b'l' {
                    return None;
                }
                let closure = self.unnamed(None)?;
                Some(self.add(Node::Lambda(closure)))
            }
            _ => {
                let type_ = self.type_()?;
                let value = self.signed()?;
                Some(self.add(Node::Literal(type_, value)))
            }
        }
    }

    /// The bits of a number, as hexadecimal digits.
    fn llvm_float(&mut self, letter: u8) -> Option<Id> {
        self.at += 1;
        let digits = match letter {
            b'f' => 8,
            b'd' => 16,
            _ => 20,
        };
        let start = self.at;
        for _ in 0..digits {
            if !self.peek().is_ascii_hexdigit() {
                return None;
            }
            self.at += 1;
        }
        let bits = self.span_from(start);
        Some(self.add(Node::Float(letter, bits)))
    }

    /// A type and whatever stands behind it: the binutils do not look at the value.
    fn gnu_literal(&mut self) -> Option<Id> {
        let letter = self.peek();
        let is_simple = tables::builtin(letter).is_some();
        let type_ = self.type_()?;
        let is_float = match self.get(type_) {
            Node::Text("half") | Node::FloatOf(_, true) => true,
            _ => matches!(letter, b'f' | b'd' | b'e' | b'g'),
        };
        if matches!(self.get(type_), Node::Text("decltype(nullptr)")) && self.peek() == b'E' {
            return Some(type_);
        }
        let start = self.at;
        while self.peek() != b'E' {
            if self.is_at_end() {
                return None;
            }
            self.at += 1;
        }
        let value = self.span_from(start);
        let text = self.spanned(value);
        if text.is_empty() || text == "n" {
            return None;
        }
        let is_true = text == "1";
        let is_bool = is_true || text == "0";
        // A cut in the middle of a letter beyond ASCII is no text.
        let literal = match letter {
            b'b' if is_bool => Node::Bool(is_true),
            _ if is_float => Node::Bits(type_, value),
            _ => match Self::integer_suffix(letter).filter(|_| is_simple) {
                Some(suffix) => Node::Integer(value, suffix),
                None => Node::Literal(type_, value),
            },
        };
        Some(self.add(literal))
    }
}
