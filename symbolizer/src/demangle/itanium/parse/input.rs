//! The letters and numbers that names are made of.

use super::super::node::{Id, Node};
use super::{DEPTH_MAX, Parser, Substitution};

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> u8 {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> u8 {
        self.input.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let eaten = self.input.as_bytes()[self.at..].starts_with(text.as_bytes());
        self.at += if eaten { text.len() } else { 0 };
        eaten
    }

    pub(super) fn expect(&mut self, text: &str) -> Option<()> {
        self.eat(text).then_some(())
    }

    /// Runs one step deeper, if there may be one.
    pub(super) fn deeper<T>(&mut self, step: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    /// Decimal digits, perhaps none.
    pub(super) fn digits(&mut self) -> &'a str {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        &self.input[start..self.at]
    }

    /// A number with an `n` for its sign.
    pub(super) fn signed(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.eat("n");
        if self.digits().is_empty() {
            return None;
        }
        Some(&self.input[start..self.at])
    }

    /// A number to the base 36 before `_`, counted from 1; 0 if there is only the `_`.
    pub(super) fn sequence(&mut self) -> Option<usize> {
        if self.eat("_") {
            return Some(0);
        }
        let mut number = 0_usize;
        while !self.eat("_") {
            let digit = match self.peek() {
                digit @ b'0'..=b'9' => digit - b'0',
                digit @ b'A'..=b'Z' => digit - b'A' + 10,
                _ => return None,
            };
            number = number.checked_mul(36)?.checked_add(usize::from(digit))?;
            self.at += 1;
        }
        number.checked_add(1)
    }

    /// A number before `_`, counted from 1; 0 if there is only the `_`.
    pub(super) fn index(&mut self) -> Option<u64> {
        let digits = self.digits();
        self.expect("_")?;
        if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok()?.checked_add(1) }
    }

    pub(super) fn add(&mut self, node: Node<'a>) -> Id {
        self.arena.add(node)
    }

    pub(super) fn remember(&mut self, id: Id) -> Id {
        self.substitutions.push(Substitution { id, context: None });
        id
    }

    /// Remembers a type that was read since `parameters_read` template parameters were.
    pub(super) fn remember_type(&mut self, id: Id, parameters_read: u32) -> Id {
        let context = (self.parameters_read > parameters_read).then_some(self.context);
        self.substitutions.push(Substitution { id, context });
        id
    }

    /// Runs a step in a context of its own.
    pub(super) fn in_context<T>(&mut self, step: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.contexts += 1;
        let outer = std::mem::replace(&mut self.context, self.contexts);
        let result = step(self);
        self.context = outer;
        result
    }
}
