//! Expressions: those of which it is known how the tools print them. The others leave the name mangled.

use super::super::Dialect;
use super::super::node::{Id, Node};
use super::Parser;

impl<'a> Parser<'a> {
    pub(super) fn expression(&mut self) -> Option<Id> {
        self.deeper(|parser| match (parser.peek(), parser.peek_at(1)) {
            (b'L', _) => parser.primary(),
            (b'T', _) => parser.template_parameter(),
            (b's', b'Z') => {
                parser.at += 2;
                let pack = parser.template_parameter()?;
                Some(parser.add(Node::SizeofPack(pack)))
            }
            (b's', b'p') => {
                parser.at += 2;
                let pattern = parser.expression()?;
                Some(parser.add(Node::PackExpansion(pattern)))
            }
            (b'a', b'd') if parser.peek_at(2) == b'L' => {
                parser.at += 2;
                let object = parser.primary()?;
                Some(parser.add(Node::AddressOf(object)))
            }
            (b's', b'r') => {
                parser.at += 2;
                parser.unresolved_name()
            }
            (b'1'..=b'9', _) => parser.simple_name(),
            (b'n', b't') => {
                parser.at += 2;
                let condition = parser.expression()?;
                let is_simple = matches!(parser.arena.get(condition), Node::Name(_) | Node::Nested(..));
                is_simple.then(|| parser.add(Node::Not(condition)))
            }
            (b'a', b'a') | (b'o', b'o') if parser.dialect == Dialect::Llvm => parser.both(),
            (b'c', b'l') if parser.dialect == Dialect::Llvm => {
                parser.at += 2;
                let callee = parser.expression()?;
                let mut arguments = Vec::new();
                while !parser.eat("E") {
                    arguments.push(parser.expression()?);
                }
                let arguments = parser.arena.list(&arguments);
                Some(parser.add(Node::Call(callee, arguments)))
            }
            _ => None,
        })
    }

    /// Two conditions that both, or of which one, must hold. The binutils have brackets of their own.
    pub(super) fn both(&mut self) -> Option<Id> {
        let operator = if self.peek() == b'a' { " && " } else { " || " };
        self.at += 2;
        let mut side = || {
            let condition = self.expression()?;
            // Where another operator binds less, LLVM has brackets.
            (!matches!(self.arena.get(condition), Node::Both(..))).then_some(condition)
        };
        let (left, right) = (side()?, side()?);
        Some(self.add(Node::Both(left, operator, right)))
    }

    /// An identifier with its template arguments.
    pub(super) fn simple_name(&mut self) -> Option<Id> {
        let name = self.source_name()?;
        if self.peek() != b'I' {
            return Some(name);
        }
        let arguments = self.template_arguments(false)?;
        Some(self.add(Node::WithArguments(name, arguments)))
    }

    /// A member of something that depends on a template parameter.
    pub(super) fn unresolved_name(&mut self) -> Option<Id> {
        let mut scope;
        if self.peek().is_ascii_digit() {
            scope = self.simple_name()?;
            while !self.eat("E") {
                let name = self.simple_name()?;
                scope = self.add(Node::Nested(scope, name));
            }
        } else if matches!(self.peek(), b'T' | b'S') {
            scope = if self.peek() == b'T' { self.template_parameter()? } else { self.substitution()? };
            if self.peek() == b'I' {
                let arguments = self.template_arguments(false)?;
                scope = self.add(Node::WithArguments(scope, arguments));
            }
        } else {
            return None;
        }
        let member = self.simple_name()?;
        Some(self.add(Node::Nested(scope, member)))
    }

    /// A literal, or the name of an object or function.
    pub(super) fn primary(&mut self) -> Option<Id> {
        self.expect("L")?;
        let literal = match self.peek() {
            b'_' if self.peek_at(1) == b'Z' => {
                self.at += 2;
                let named = self.encoding()?;
                self.expect("E")?;
                return Some(self.add(Node::External(named)));
            }
            b'b' if self.peek_at(2) == b'E' => {
                let value = self.peek_at(1) == b'1';
                self.at += 2;
                Node::Bool(value)
            }
            b'D' if self.eat("Dn0") || self.eat("Dn") => Node::Nullptr,
            letter => {
                let suffix = match letter {
                    b'i' => Some(""),
                    b'j' => Some("u"),
                    b'l' => Some("l"),
                    b'm' => Some("ul"),
                    b'x' => Some("ll"),
                    b'y' => Some("ull"),
                    // Floating-point numbers are their bits; strings and closures have no value here.
                    b'f' | b'd' | b'e' | b'A' => return None,
                    _ => None,
                };
                match suffix {
                    Some(suffix) => {
                        self.at += 1;
                        Node::Integer(self.signed()?, suffix)
                    }
                    None => {
                        let type_ = self.type_()?;
                        Node::Literal(type_, self.signed()?)
                    }
                }
            }
        };
        self.expect("E")?;
        Some(self.add(literal))
    }
}
