//! Reading letters, numbers and identifiers.

use super::Parser;
use crate::node::{Count, Id, Node, Span};

impl Parser<'_, '_> {
    pub(super) fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The next letter, or 0 at the end: no grammar has a 0.
    pub(super) fn peek(&self) -> u8 {
        self.bytes().get(self.at).copied().unwrap_or(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> u8 {
        self.bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn peek_two(&self) -> [u8; 2] {
        [self.peek(), self.peek_at(1)]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(super) fn eat(&mut self, letter: u8) -> bool {
        let eaten = self.peek() == letter && !self.is_at_end();
        self.at += usize::from(eaten);
        eaten
    }

    pub(super) fn eat_all(&mut self, letters: &[u8]) -> bool {
        let eaten = self.bytes().get(self.at..).is_some_and(|rest| rest.starts_with(letters));
        self.at += if eaten { letters.len() } else { 0 };
        eaten
    }

    pub(super) fn expect(&mut self, letters: &[u8]) -> Option<()> {
        self.eat_all(letters).then_some(())
    }

    /// The text since a position.
    pub(super) fn span_from(&self, start: usize) -> Span {
        // The name is shorter than 64 KiB.
        Span { start: start as u32, end: self.at as u32 }
    }

    pub(super) fn spanned(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Decimal digits, perhaps none.
    pub(super) fn digits(&mut self) -> Span {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        self.span_from(start)
    }

    /// Decimal digits, at least one, with an `n` for the sign.
    pub(super) fn signed(&mut self) -> Option<Span> {
        let start = self.at;
        self.eat(b'n');
        let digits = self.digits();
        (digits.start < digits.end).then(|| self.span_from(start))
    }

    /// Decimal digits as a number.
    pub(super) fn number(&mut self) -> Option<u32> {
        let digits = self.digits();
        self.spanned(digits).parse().ok()
    }

    /// A number before `_`, counted from one; 0 for the `_` alone.
    pub(super) fn index(&mut self) -> Option<u32> {
        if self.eat(b'_') {
            return Some(0);
        }
        let number = self.number()?;
        self.expect(b"_")?;
        number.checked_add(1)
    }

    /// As [`Parser::index`], but to the base 36.
    pub(super) fn sequence(&mut self) -> Option<u32> {
        if self.eat(b'_') {
            return Some(0);
        }
        let mut number = 0_u32;
        while !self.eat(b'_') {
            let digit = match self.peek() {
                digit @ b'0'..=b'9' => digit - b'0',
                digit @ b'A'..=b'Z' => digit - b'A' + 10,
                _ => return None,
            };
            number = number.checked_mul(36)?.checked_add(u32::from(digit))?;
            self.at += 1;
        }
        number.checked_add(1)
    }

    /// The number of a lambda or unnamed type, with the `_` behind it.
    pub(super) fn count(&mut self) -> Option<Count> {
        let digits = self.digits();
        self.expect(b"_")?;
        let ordinal = match self.spanned(digits) {
            "" => 1,
            text => text.parse::<u32>().ok()?.checked_add(2)?,
        };
        Some(Count { digits, ordinal })
    }

    /// The text of an identifier, which has its length in front.
    pub(super) fn identifier(&mut self) -> Option<Span> {
        let length = self.number().filter(|length| *length > 0)? as usize;
        let start = self.at;
        let end = start.checked_add(length)?;
        // Not in the middle of a letter beyond ASCII either.
        self.text.get(start..end)?;
        self.at = end;
        Some(self.span_from(start))
    }

    pub(super) fn source_name(&mut self) -> Option<Id> {
        let span = self.identifier()?;
        let text = self.spanned(span).as_bytes();
        let is_anonymous = match self.dialect {
            crate::Dialect::Gnu => {
                text.starts_with(b"_GLOBAL_")
                    && matches!(text.get(8), Some(b'.' | b'_' | b'$'))
                    && text.get(9) == Some(&b'N')
            }
            crate::Dialect::Llvm => text.starts_with(b"_GLOBAL__N"),
        };
        let name =
            self.add(if is_anonymous { Node::Text("(anonymous namespace)") } else { Node::Name(span) });
        self.last_name = Some(name);
        Some(name)
    }
}
