//! Expressions as LLVM reads them.

use super::Parser;
use crate::node::{Id, List, New, Node};
use crate::tables::{self, Use, precedence};

impl Parser<'_, '_> {
    pub(super) fn llvm_expression(&mut self) -> Option<Id> {
        let is_global = self.eat_all(b"gs");
        if self.eat_all(b"cv") {
            return self.llvm_cast();
        }
        if let Some(number) = tables::operator_number(self.peek_two())
            && !matches!(tables::operator(number).used, Use::GnuOnly(_))
        {
            self.at += 2;
            return self.llvm_operation(number, is_global);
        }
        match self.peek() {
            b'L' => return self.primary(),
            b'T' => return self.template_parameter(),
            b'f' => {
                let is_parameter =
                    self.peek_at(1) == b'p' || (self.peek_at(1) == b'L' && self.peek_at(2).is_ascii_digit());
                return if is_parameter { self.llvm_parameter() } else { self.llvm_fold() };
            }
            b'u' => {
                self.at += 1;
                return self.llvm_vendor_call();
            }
            _ => {}
        }
        self.llvm_keyword(is_global)
    }

    /// What begins with two letters that are no operator.
    fn llvm_keyword(&mut self, is_global: bool) -> Option<Id> {
        let code = self.peek_two();
        if !matches!(&code, b"il" | b"mc" | b"nx" | b"so" | b"sp" | b"sZ" | b"sP" | b"tl" | b"tr" | b"tw") {
            return self.unresolved_name(is_global);
        }
        self.at += 2;
        match &code {
            b"il" | b"tl" => {
                let type_ = if code == *b"tl" { Some(self.type_()?) } else { None };
                let values = self.list_until(b'E', Self::braced)?;
                Some(self.add(Node::InitList(type_, values)))
            }
            b"mc" => self.member_conversion(),
            b"nx" => {
                let inner = self.expression()?;
                Some(self.add(Node::Enclosing("noexcept ", inner, precedence::UNARY)))
            }
            b"so" => self.subobject(),
            b"sp" => {
                let pattern = self.expression()?;
                Some(self.add(Node::Expansion(pattern)))
            }
            b"sZ" if self.peek() == b'T' => {
                let pack = self.template_parameter()?;
                Some(self.add(Node::SizeofPack(pack)))
            }
            b"sZ" => {
                let pack = self.llvm_parameter()?;
                Some(self.add(Node::Enclosing("sizeof... ", pack, precedence::PRIMARY)))
            }
            b"sP" => {
                let arguments = self.list_until(b'E', Self::template_argument)?;
                Some(self.add(Node::SizeofArguments(arguments)))
            }
            b"tr" => Some(self.add(Node::Text("throw"))),
            _ => {
                let thrown = self.expression()?;
                Some(self.add(Node::Prefixed("throw ", thrown)))
            }
        }
    }

    fn llvm_operation(&mut self, number: u8, is_global: bool) -> Option<Id> {
        let operator = tables::operator(number);
        let node = match operator.used {
            Use::Binary | Use::Subscript | Use::Member(_) => {
                let (left, right) = self.two_expressions()?;
                Node::Binary(number, left, right)
            }
            Use::Prefix => Node::Unary(number, self.expression()?),
            Use::Postfix if self.eat(b'_') => Node::Unary(number, self.expression()?),
            Use::Postfix => Node::Postfix(number, self.expression()?),
            Use::New(is_array) => return self.llvm_new(is_global, is_array),
            Use::Delete(is_array) => Node::Delete { is_global, is_array, what: self.expression()? },
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
            Use::Of(is_type) => {
                let inner = if is_type { self.type_()? } else { self.expression()? };
                Node::Enclosing(operator.text, inner, operator.precedence)
            }
            Use::NameOnly | Use::GnuOnly(_) => return None,
        };
        Some(self.add(node))
    }

    /// A cast, with one value or a list of them.
    fn llvm_cast(&mut self) -> Option<Id> {
        let takes = std::mem::replace(&mut self.takes_arguments, false);
        let type_ = self.type_();
        self.takes_arguments = takes;
        let type_ = type_?;
        let values = if self.eat(b'_') {
            self.list_until(b'E', Self::expression)?
        } else {
            let height = self.height();
            let value = self.expression()?;
            self.push(value);
            self.pop_list(height)
        };
        Some(self.add(Node::Convert(type_, values)))
    }

    fn llvm_new(&mut self, is_global: bool, is_array: bool) -> Option<Id> {
        let placement = self.list_until(b'_', Self::expression)?;
        let type_ = self.type_()?;
        let values = if self.eat_all(b"pi") {
            self.list_until(b'E', Self::expression)?
        } else {
            self.expect(b"E")?;
            List::EMPTY
        };
        Some(self.add_new(New { is_global, is_array, placement, type_, values }))
    }

    /// A value in braces, perhaps with what it is for.
    fn braced(&mut self) -> Option<Id> {
        self.deeper(|parser| {
            let code = parser.peek_two();
            let node = match &code {
                b"di" => {
                    parser.at += 2;
                    let what = parser.source_name()?;
                    Node::Designated { is_index: false, what, value: parser.braced()? }
                }
                b"dx" => {
                    parser.at += 2;
                    let what = parser.expression()?;
                    Node::Designated { is_index: true, what, value: parser.braced()? }
                }
                b"dX" => {
                    parser.at += 2;
                    let (first, last) = parser.two_expressions()?;
                    Node::DesignatedRange(first, last, parser.braced()?)
                }
                _ => return parser.expression(),
            };
            Some(parser.add(node))
        })
    }

    fn llvm_parameter(&mut self) -> Option<Id> {
        if self.eat_all(b"fpT") {
            return Some(self.add(Node::Text("this")));
        }
        if self.eat_all(b"fL") {
            let level = self.digits();
            if level.start == level.end {
                return None;
            }
            self.expect(b"p")?;
        } else {
            self.expect(b"fp")?;
        }
        self.qualifiers();
        let number = self.digits();
        self.expect(b"_")?;
        Some(self.add(Node::FunctionParameter(number, 0)))
    }

    fn llvm_fold(&mut self) -> Option<Id> {
        self.expect(b"f")?;
        let code = self.peek();
        if !matches!(code, b'l' | b'r' | b'L' | b'R') {
            return None;
        }
        self.at += 1;
        let operator = tables::operator_number(self.peek_two())?;
        let used = tables::operator(operator);
        let is_member_pointer = matches!(used.used, Use::Member(_)) && used.text.ends_with('*');
        if used.used != Use::Binary && !is_member_pointer {
            return None;
        }
        self.at += 2;
        let first = self.expression()?;
        let second = if code.is_ascii_uppercase() { Some(self.expression()?) } else { None };
        Some(self.add(Node::Fold { code, operator, first, second }))
    }

    fn member_conversion(&mut self) -> Option<Id> {
        let type_ = self.type_()?;
        let value = self.expression()?;
        self.signed();
        self.expect(b"E")?;
        Some(self.add(Node::MemberConvert(type_, value)))
    }

    fn subobject(&mut self) -> Option<Id> {
        let type_ = self.type_()?;
        let object = self.expression()?;
        let start = self.at;
        self.signed();
        let offset = self.span_from(start);
        while self.eat(b'_') {
            self.digits();
        }
        self.eat(b'p');
        self.expect(b"E")?;
        Some(self.add(Node::Subobject(type_, object, offset)))
    }

    fn llvm_vendor_call(&mut self) -> Option<Id> {
        let name = self.source_name()?;
        if let Node::Name(span) = self.get(name)
            && self.spanned(span) == "__uuidof"
            && matches!(self.peek(), b't' | b'z')
        {
            let is_type = self.eat(b't') || !self.eat(b'z');
            let operand = if is_type { self.type_()? } else { self.expression()? };
            let height = self.height();
            self.push(operand);
            let operands = self.pop_list(height);
            return Some(self.add(Node::Call(name, operands)));
        }
        let arguments = self.list_until(b'E', Self::template_argument)?;
        Some(self.add(Node::Call(name, arguments)))
    }

    /// A name that depends on template parameters.
    fn unresolved_name(&mut self, is_global: bool) -> Option<Id> {
        if self.eat_all(b"srN") {
            let type_ = self.unresolved_type()?;
            let mut scope = self.with_optional_arguments(type_)?;
            while !self.eat(b'E') {
                let name = self.simple_name()?;
                scope = self.add(Node::Nested(scope, name));
            }
            let base = self.base_unresolved_name()?;
            return Some(self.add(Node::Nested(scope, base)));
        }
        if !self.eat_all(b"sr") {
            let base = self.base_unresolved_name()?;
            return Some(if is_global { self.add(Node::Global(base)) } else { base });
        }
        let scope = if self.peek().is_ascii_digit() {
            self.unresolved_scopes(is_global)?
        } else {
            let type_ = self.unresolved_type()?;
            self.with_optional_arguments(type_)?
        };
        let base = self.base_unresolved_name()?;
        Some(self.add(Node::Nested(scope, base)))
    }

    fn unresolved_scopes(&mut self, is_global: bool) -> Option<Id> {
        let mut scope = self.simple_name()?;
        if is_global {
            scope = self.add(Node::Global(scope));
        }
        while !self.eat(b'E') {
            let name = self.simple_name()?;
            scope = self.add(Node::Nested(scope, name));
        }
        Some(scope)
    }

    fn unresolved_type(&mut self) -> Option<Id> {
        let type_ = match self.peek() {
            b'T' => self.template_parameter()?,
            b'D' if matches!(self.peek_at(1), b't' | b'T') => self.decltype()?,
            _ => return self.substitution(),
        };
        self.remember(type_);
        Some(type_)
    }

    fn base_unresolved_name(&mut self) -> Option<Id> {
        if self.peek().is_ascii_digit() {
            return self.simple_name();
        }
        if self.eat_all(b"dn") {
            let destroyed =
                if self.peek().is_ascii_digit() { self.simple_name()? } else { self.unresolved_type()? };
            return Some(self.add(Node::Tilde(destroyed)));
        }
        self.eat_all(b"on");
        let name = self.operator_name(None)?;
        self.with_optional_arguments(name)
    }
}
