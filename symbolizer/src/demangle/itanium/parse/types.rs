//! Types.

use super::super::node::{Exceptions, Id, List, Node, Qualifiers, Reference};
use super::super::{Dialect, tables};
use super::Parser;

impl<'a> Parser<'a> {
    pub(super) fn qualifiers(&mut self) -> Qualifiers {
        let mut qualifiers = 0;
        for (letter, bit) in
            [("r", Qualifiers::RESTRICT), ("V", Qualifiers::VOLATILE), ("K", Qualifiers::CONST)]
        {
            if self.eat(letter) {
                qualifiers |= bit;
            }
        }
        Qualifiers(qualifiers)
    }

    pub(super) fn type_(&mut self) -> Option<Id> {
        self.deeper(Self::type_inner)
    }

    pub(super) fn type_inner(&mut self) -> Option<Id> {
        let parameters_read = self.parameters_read;
        let found = match self.peek() {
            b'r' | b'V' | b'K' => {
                let mut behind = 0;
                while matches!(self.peek_at(behind), b'r' | b'V' | b'K') {
                    behind += 1;
                }
                let is_function = self.peek_at(behind) == b'F'
                    || (self.peek_at(behind) == b'D'
                        && matches!(self.peek_at(behind + 1), b'o' | b'O' | b'w' | b'x'));
                if is_function { self.function_type()? } else { self.qualified_type()? }
            }
            b'U' if !matches!(self.peek_at(1), b'l' | b't') => self.vendor_qualified()?,
            b'u' => {
                self.at += 1;
                let name = self.source_name()?;
                // Built into the compiler, with arguments: too rare to know how each tool spells it.
                if self.peek() == b'I' {
                    return None;
                }
                self.remember(name)
            }
            b'D' => return self.type_with_d(),
            b'F' => self.function_type()?,
            b'A' => self.array_type()?,
            b'M' => {
                self.at += 1;
                let class = self.type_()?;
                let member = self.type_()?;
                self.add(Node::MemberPointer(class, member))
            }
            b'T' => {
                if let b's' | b'u' | b'e' = self.peek_at(1) {
                    let words = match self.peek_at(1) {
                        b's' => "struct",
                        b'u' => "union",
                        _ => "enum",
                    };
                    self.at += 2;
                    let name = self.name(&mut None)?;
                    self.add(Node::Elaborated(words, name))
                } else {
                    let parameter = self.template_parameter()?;
                    if self.parses_arguments && self.peek() == b'I' {
                        self.remember(parameter);
                        let arguments = self.template_arguments(false)?;
                        self.add(Node::WithArguments(parameter, arguments))
                    } else {
                        parameter
                    }
                }
            }
            b'P' => {
                self.at += 1;
                let pointee = self.type_()?;
                self.add(Node::Pointer(pointee))
            }
            b'R' | b'O' => {
                let kind = if self.peek() == b'R' { Reference::Left } else { Reference::Right };
                self.at += 1;
                let referred = self.type_()?;
                self.add(Node::Reference(referred, kind))
            }
            b'C' | b'G' => {
                let words = match (self.peek(), self.dialect) {
                    (b'C', Dialect::Gnu) => " _Complex",
                    (b'C', Dialect::Llvm) => " complex",
                    (_, Dialect::Gnu) => " _Imaginary",
                    (_, Dialect::Llvm) => " imaginary",
                };
                self.at += 1;
                let part = self.type_()?;
                self.add(Node::Suffixed(part, words))
            }
            b'S' if self.peek_at(1) != b't' => {
                let name = self.substitution()?;
                if !(self.parses_arguments && self.peek() == b'I') {
                    return Some(name);
                }
                let arguments = self.template_arguments(false)?;
                self.add(Node::WithArguments(name, arguments))
            }
            letter => match tables::builtin(letter) {
                Some(name) => {
                    self.at += 1;
                    return Some(self.add(Node::Name(name)));
                }
                None => self.name(&mut None)?,
            },
        };
        Some(self.remember_type(found, parameters_read))
    }

    pub(super) fn qualified_type(&mut self) -> Option<Id> {
        let qualifiers = self.qualifiers();
        let type_ = self.type_()?;
        Some(self.add(Node::Qualified(type_, qualifiers)))
    }

    pub(super) fn vendor_qualified(&mut self) -> Option<Id> {
        self.expect("U")?;
        let name = self.identifier()?;
        let arguments = if self.peek() == b'I' { self.template_arguments(false)? } else { List::EMPTY };
        let type_ = self.type_()?;
        // Objective-C's blocks and protocols are spelled in ways of their own.
        if name.starts_with("objcproto") || name == "objc" {
            return None;
        }
        Some(self.add(Node::VendorQualified(type_, name, arguments)))
    }

    pub(super) fn type_with_d(&mut self) -> Option<Id> {
        let gnu = self.dialect == Dialect::Gnu;
        let name = match self.peek_at(1) {
            b'd' => "decimal64",
            b'e' => "decimal128",
            b'f' => "decimal32",
            b'h' => "half",
            b'i' => "char32_t",
            b's' => "char16_t",
            b'u' => "char8_t",
            b'a' => "auto",
            b'c' => "decltype(auto)",
            b'n' if gnu => "decltype(nullptr)",
            b'n' => "std::nullptr_t",
            b'F' => {
                self.at += 2;
                let digits = self.digits();
                self.expect("_")?;
                return Some(self.add(Node::FloatOf(digits)));
            }
            b'B' | b'U' => {
                let is_signed = self.peek_at(1) == b'B';
                self.at += 2;
                let digits = self.digits();
                self.expect("_")?;
                if digits.is_empty() {
                    return None;
                }
                return Some(self.add(Node::BitInt(digits, is_signed)));
            }
            b't' | b'T' => {
                let type_ = self.decltype()?;
                return Some(self.remember(type_));
            }
            b'p' => {
                self.at += 2;
                let pattern = self.type_()?;
                let expansion = self.add(Node::PackExpansion(pattern));
                return Some(self.remember(expansion));
            }
            b'o' | b'O' | b'w' | b'x' => {
                let type_ = self.function_type()?;
                return Some(self.remember(type_));
            }
            b'v' => {
                self.at += 2;
                let type_ = self.vector_type()?;
                return Some(self.remember(type_));
            }
            _ => return None,
        };
        self.at += 2;
        Some(self.add(Node::Name(name)))
    }

    pub(super) fn vector_type(&mut self) -> Option<Id> {
        let length = if self.eat("_") {
            self.expression()?
        } else {
            let digits = self.digits();
            if digits.is_empty() {
                return None;
            }
            self.add(Node::Name(digits))
        };
        self.expect("_")?;
        let element = self.type_()?;
        Some(self.add(Node::Vector(element, length)))
    }

    pub(super) fn function_type(&mut self) -> Option<Id> {
        let qualifiers = self.qualifiers();
        let exceptions = if self.eat("Do") {
            Exceptions::Noexcept
        } else if self.eat("DO") {
            let condition = self.expression()?;
            self.expect("E")?;
            Exceptions::NoexceptIf(condition)
        } else if self.eat("Dw") {
            let mut types = Vec::new();
            while !self.eat("E") {
                types.push(self.type_()?);
            }
            Exceptions::Throws(self.arena.list(&types))
        } else {
            Exceptions::Unsaid
        };
        if self.eat("Dx") {
            return None;
        }
        self.expect("F")?;
        self.eat("Y");
        let result = self.type_()?;
        let mut parameters = Vec::new();
        let reference = loop {
            if self.eat("E") {
                break Reference::None;
            } else if self.eat("RE") {
                break Reference::Left;
            } else if self.eat("OE") {
                break Reference::Right;
            } else if self.eat("v") {
                continue;
            }
            parameters.push(self.type_()?);
        };
        let parameters = self.arena.list(&parameters);
        Some(self.add(Node::Function { result, parameters, qualifiers, reference, exceptions }))
    }

    pub(super) fn array_type(&mut self) -> Option<Id> {
        self.expect("A")?;
        let length = if self.peek() == b'_' {
            None
        } else if self.peek().is_ascii_digit() {
            let digits = self.digits();
            Some(self.add(Node::Name(digits)))
        } else {
            Some(self.expression()?)
        };
        self.expect("_")?;
        let element = self.type_()?;
        Some(self.add(Node::Array(element, length)))
    }

    pub(super) fn decltype(&mut self) -> Option<Id> {
        self.expect("D")?;
        self.at += 1;
        let expression = self.expression()?;
        self.expect("E")?;
        Some(self.add(Node::Decltype(expression)))
    }
}
