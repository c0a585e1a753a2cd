//! Expressions as the binutils read them.

use super::{Parser, Scopes};
use crate::node::{Id, List, New, Node};
use crate::tables::{self, Use};

impl Parser<'_, '_> {
    pub(super) fn gnu_expression(&mut self) -> Option<Id> {
        let code = self.peek_two();
        match &code {
            [b'L', _] => return self.primary(),
            [b'T', _] => return self.template_parameter(),
            b"sr" => return self.gnu_scoped_name(),
            b"sp" => {
                self.at += 2;
                let pattern = self.expression()?;
                return Some(self.add(Node::Expansion(pattern)));
            }
            b"fp" => return self.gnu_parameter(),
            [b'0'..=b'9', _] | b"on" => {
                let name = self.gnu_base_name()?;
                return self.with_optional_arguments(name);
            }
            b"il" | b"tl" => {
                self.at += 2;
                let type_ = if code == *b"tl" { Some(self.type_()?) } else { None };
                let values = self.list_until(b'E', Self::expression)?;
                return Some(self.add(Node::InitList(type_, values)));
            }
            [b'u', _] => {
                self.at += 1;
                let name = self.source_name()?;
                let arguments = self.list_until(b'E', Self::template_argument)?;
                return Some(self.add(Node::VendorCall(name, arguments)));
            }
            _ => {}
        }
        self.gnu_keyword(code)
    }

    /// What begins with two letters, an operator or nearly one.
    fn gnu_keyword(&mut self, code: [u8; 2]) -> Option<Id> {
        self.at += 2;
        match &code {
            b"cv" => self.gnu_cast(),
            b"sZ" => {
                let pack = self.expression()?;
                Some(self.add(Node::SizeofPack(pack)))
            }
            b"sP" => {
                let arguments = self.list_until(b'E', Self::template_argument)?;
                Some(self.add(Node::SizeofArguments(arguments)))
            }
            b"tr" => Some(self.add(Node::Text("throw"))),
            b"tw" => {
                let thrown = self.expression()?;
                Some(self.add(Node::Enclosing("throw ", thrown, 0)))
            }
            _ => {
                let number = tables::operator_number(code)?;
                self.gnu_operation(number)
            }
        }
    }

    fn gnu_operation(&mut self, number: u8) -> Option<Id> {
        let operator = tables::operator(number);
        let node = match operator.used {
            Use::Prefix | Use::Delete(_) => Node::Unary(number, self.expression()?),
            Use::Postfix if self.eat(b'_') => Node::Unary(number, self.expression()?),
            Use::Postfix => Node::Postfix(number, self.expression()?),
            Use::NameOnly => Node::Unary(number, self.expression()?),
            Use::Of(_) if operator.code[0] == b't' => return None,
            // The binutils take only `sizeof` for one of a type.
            Use::Of(_) if operator.code == *b"st" => Node::Unary(number, self.type_()?),
            Use::Of(_) => Node::Unary(number, self.expression()?),
            Use::Binary | Use::Subscript => {
                let (left, right) = self.two_expressions()?;
                Node::Binary(number, left, right)
            }
            Use::Member(_) => {
                let left = self.expression()?;
                let right = match &operator.code {
                    b"dt" | b"pt" => self.gnu_member()?,
                    _ => self.expression()?,
                };
                Node::Binary(number, left, right)
            }
            Use::Call => {
                let callee = self.expression()?;
                Node::Call(callee, self.list_until(b'E', Self::expression)?)
            }
            Use::Conditional => {
                let condition = self.expression()?;
                let (left, right) = self.two_expressions()?;
                Node::Conditional(condition, left, right)
            }
            Use::NamedCast => {
                let type_ = self.type_()?;
                Node::Cast(number, type_, self.expression()?)
            }
            Use::New(is_array) => return self.gnu_new(is_array),
            Use::GnuOnly(_) => return self.gnu_special_operation(operator.code),
        };
        Some(self.add(node))
    }

    fn gnu_special_operation(&mut self, code: [u8; 2]) -> Option<Id> {
        let node = match &code {
            b"gs" => Node::Global(self.expression()?),
            b"di" => {
                let what = self.unqualified_name(None, None, None)?;
                Node::Designated { is_index: false, what, value: self.expression()? }
            }
            b"dx" => {
                let (what, value) = self.two_expressions()?;
                Node::Designated { is_index: true, what, value }
            }
            b"dX" => {
                let (first, last) = self.two_expressions()?;
                Node::DesignatedRange(first, last, self.expression()?)
            }
            [b'f', code] => {
                let operator = tables::operator_number(self.peek_two())?;
                self.at += 2;
                let first = self.expression()?;
                let second = if code.is_ascii_uppercase() { Some(self.expression()?) } else { None };
                Node::Fold { code: *code, operator, first, second }
            }
            _ => return None,
        };
        Some(self.add(node))
    }

    fn gnu_cast(&mut self) -> Option<Id> {
        let type_ = self.type_()?;
        let (values, is_list) = if self.eat(b'_') {
            (self.list_until(b'E', Self::expression)?, true)
        } else {
            let height = self.height();
            let value = self.expression()?;
            self.push(value);
            (self.pop_list(height), false)
        };
        if is_list {
            let arguments = self.add(Node::Pack(values));
            let height = self.height();
            self.push(arguments);
            let values = self.pop_list(height);
            return Some(self.add(Node::Convert(type_, values)));
        }
        Some(self.add(Node::Convert(type_, values)))
    }

    fn gnu_new(&mut self, is_array: bool) -> Option<Id> {
        let placement = self.list_until(b'_', Self::expression)?;
        let type_ = self.type_()?;
        let values = if self.eat(b'E') {
            List::EMPTY
        } else {
            let height = self.height();
            let value = if self.eat_all(b"pi") {
                let values = self.list_until(b'E', Self::expression)?;
                self.add(Node::Pack(values))
            } else if self.peek_two() == *b"il" {
                self.expression()?
            } else {
                return None;
            };
            self.push(value);
            self.pop_list(height)
        };
        Some(self.add_new(New { is_global: false, is_array, placement, type_, values }))
    }

    /// What stands behind a `.` or `->`.
    fn gnu_member(&mut self) -> Option<Id> {
        if matches!(&self.peek_two(), b"gs" | b"sr") {
            return self.expression();
        }
        // The `on` of operators is newer than some compilers.
        let name = self.gnu_base_name()?;
        self.with_optional_arguments(name)
    }

    fn gnu_scoped_name(&mut self) -> Option<Id> {
        self.at += 2;
        let scope = if self.peek().is_ascii_digit() && self.scopes != Scopes::AreTypes {
            self.scopes = Scopes::WereRead;
            self.gnu_scopes()?
        } else {
            self.type_()?
        };
        let name = self.gnu_base_name()?;
        let name = self.add(Node::Nested(scope, name));
        self.with_optional_arguments(name)
    }

    fn gnu_base_name(&mut self) -> Option<Id> {
        if self.eat_all(b"on") && self.peek().is_ascii_digit() {
            return None;
        }
        self.unqualified_name(None, None, None)
    }

    /// Names up to an `E`, which are no candidates for substitution.
    fn gnu_scopes(&mut self) -> Option<Id> {
        let mut scope = None;
        while !self.eat(b'E') {
            let name = self.unqualified_name(None, scope, None)?;
            scope = Some(self.with_optional_arguments(name)?);
        }
        scope
    }

    fn gnu_parameter(&mut self) -> Option<Id> {
        self.at += 2;
        let start = self.at;
        let number = if self.eat(b'T') { 0 } else { self.index()?.checked_add(1)? };
        let text = self.span_from(start);
        Some(self.add(Node::FunctionParameter(text, number)))
    }
}
