//! Expressions as LLVM writes them: with brackets where an operator binds less than its surroundings.

use super::Printer;
use crate::node::{Id, New, Node};
use crate::tables::{self, precedence};

impl Printer<'_> {
    fn precedence(&self, id: Id) -> u8 {
        match self.get(id) {
            Node::Unary(number, _) if matches!(&tables::operator(number).code, b"pp" | b"mm") => {
                precedence::POSTFIX
            }
            Node::Unary(number, _) | Node::Postfix(number, _) | Node::Binary(number, ..) => {
                tables::operator(number).precedence
            }
            Node::Cast(..) | Node::Call(..) => precedence::POSTFIX,
            Node::Conditional(..) => precedence::CONDITIONAL,
            Node::Convert(..) => precedence::CAST,
            Node::New(_) | Node::Delete { .. } | Node::MemberConvert(..) => precedence::UNARY,
            Node::Enclosing(_, _, precedence) => precedence,
            _ => precedence::PRIMARY,
        }
    }

    /// Writes an operand, in brackets if it binds no more than it must, or only if it binds less.
    pub(super) fn operand(&mut self, id: Id, surroundings: u8, may_equal: bool) -> Option<()> {
        if self.precedence(id) < surroundings + u8::from(may_equal) {
            return self.print(id);
        }
        self.open("(")?;
        self.print(id)?;
        self.close(")")
    }

    fn any_operand(&mut self, id: Id) -> Option<()> {
        self.operand(id, precedence::DEFAULT, false)
    }

    pub(super) fn expression(&mut self, node: Node) -> Option<()> {
        match node {
            Node::External(named) => self.print(named),
            Node::Integer(value, suffix) => {
                self.signed(value)?;
                self.write(suffix)
            }
            Node::Literal(type_, value) => {
                self.open("(")?;
                self.print(type_)?;
                self.close(")")?;
                self.signed(value)
            }
            Node::Bool(value) => self.write(if value { "true" } else { "false" }),
            Node::FunctionParameter(number, _) => {
                self.write("fp")?;
                self.write_span(number)
            }
            Node::Global(name) => {
                self.write("::")?;
                self.print(name)
            }
            Node::Unary(number, inner) => {
                self.write(tables::operator(number).text)?;
                self.operand(inner, self.precedence_of(node), false)
            }
            Node::Postfix(number, inner) => {
                self.operand(inner, self.precedence_of(node), true)?;
                self.write(tables::operator(number).text)
            }
            Node::Binary(number, left, right) => self.binary(number, left, right),
            Node::Conditional(condition, left, right) => {
                self.operand(condition, precedence::CONDITIONAL, false)?;
                self.write(" ? ")?;
                self.any_operand(left)?;
                self.write(" : ")?;
                self.operand(right, precedence::ASSIGN, true)
            }
            Node::Cast(number, type_, value) => self.cast(number, type_, value),
            Node::Call(callee, arguments) => {
                self.print(callee)?;
                self.parameters(arguments)
            }
            Node::Convert(type_, values) => {
                self.open("(")?;
                self.print(type_)?;
                self.close(")")?;
                self.parameters(values)
            }
            Node::MemberConvert(type_, value) => {
                self.open("(")?;
                self.print(type_)?;
                self.close(")")?;
                self.open("(")?;
                self.print(value)?;
                self.close(")")
            }
            Node::Enclosing(words, inner, _) => {
                self.write(words)?;
                self.open("(")?;
                self.print(inner)?;
                self.close(")")
            }
            _ => self.rare_expression(node),
        }
    }

    fn rare_expression(&mut self, node: Node) -> Option<()> {
        match node {
            Node::New(number) => self.new_expression(*self.arena.news.get(number as usize)?),
            Node::Delete { is_global, is_array, what } => {
                self.write(if is_global { "::delete" } else { "delete" })?;
                self.write(if is_array { "[] " } else { " " })?;
                self.print(what)
            }
            Node::InitList(type_, values) => {
                if let Some(type_) = type_ {
                    self.print(type_)?;
                }
                self.write("{")?;
                self.list(values)?;
                self.write("}")
            }
            Node::Designated { is_index, what, value } => {
                self.write(if is_index { "[" } else { "." })?;
                self.print(what)?;
                if is_index {
                    self.write("]")?;
                }
                self.designated_value(value)
            }
            Node::DesignatedRange(first, last, value) => {
                self.write("[")?;
                self.print(first)?;
                self.write(" ... ")?;
                self.print(last)?;
                self.write("]")?;
                self.designated_value(value)
            }
            Node::Fold { code, operator, first, second } => self.fold(code, operator, first, second),
            Node::SizeofPack(pack) => {
                self.write("sizeof...")?;
                self.open("(")?;
                self.expansion(pack)?;
                self.close(")")
            }
            Node::SizeofArguments(arguments) => {
                self.write("sizeof... ")?;
                self.parameters(arguments)
            }
            Node::Float(letter, bits) => self.float(letter, bits),
            Node::StringLiteral(type_) => {
                self.write("\"<")?;
                self.print(type_)?;
                self.write(">\"")
            }
            Node::Lambda(closure) => {
                self.write("[]")?;
                if let Node::Closure(number) = self.get(closure) {
                    let closure = *self.arena.closures.get(number as usize)?;
                    self.llvm_declarator(&closure)?;
                }
                self.write("{...}")
            }
            Node::Subobject(type_, object, offset) => {
                self.print(object)?;
                self.write(".<")?;
                self.print(type_)?;
                self.write(" at offset ")?;
                if offset.start == offset.end {
                    self.write("0")?
                } else {
                    self.signed(offset)?
                }
                self.write(">")
            }
            _ => None,
        }
    }

    fn precedence_of(&self, node: Node) -> u8 {
        match node {
            Node::Unary(number, _) | Node::Postfix(number, _) => tables::operator(number).precedence,
            _ => precedence::PRIMARY,
        }
    }

    pub(super) fn signed(&mut self, value: crate::node::Span) -> Option<()> {
        match self.spanned(value).strip_prefix('n') {
            Some(digits) => {
                self.write("-")?;
                self.write(digits)
            }
            None => self.write_span(value),
        }
    }

    fn binary(&mut self, number: u8, left: Id, right: Id) -> Option<()> {
        let operator = tables::operator(number);
        let own = operator.precedence;
        match &operator.code {
            b"ix" => {
                self.operand(left, own, false)?;
                self.open("[")?;
                self.any_operand(right)?;
                return self.close("]");
            }
            b"dt" | b"pt" | b"ds" | b"pm" => {
                self.operand(left, own, true)?;
                self.write(operator.text)?;
                return self.operand(right, own, false);
            }
            _ => {}
        }
        // A `>` must not look like the end of template arguments.
        let is_bracketed = self.open == 0 && matches!(operator.text, ">" | ">>");
        if is_bracketed {
            self.open("(")?;
        }
        let is_assignment = own == precedence::ASSIGN;
        self.operand(left, if is_assignment { precedence::OR_IF } else { own }, !is_assignment)?;
        self.write(if operator.text == "," { "" } else { " " })?;
        self.write(operator.text)?;
        self.write(" ")?;
        self.operand(right, own, is_assignment)?;
        if is_bracketed { self.close(")") } else { Some(()) }
    }

    fn cast(&mut self, number: u8, type_: Id, value: Id) -> Option<()> {
        self.write(tables::operator(number).text)?;
        let outer = std::mem::take(&mut self.open);
        self.write("<")?;
        // Its right half is left out by LLVM.
        self.left(type_)?;
        self.write(">")?;
        self.open = outer;
        self.open("(")?;
        self.any_operand(value)?;
        self.close(")")
    }

    fn new_expression(&mut self, new: New) -> Option<()> {
        self.write(if new.is_global { "::new" } else { "new" })?;
        if new.is_array {
            self.write("[]")?;
        }
        if new.placement.len() > 0 {
            self.parameters(new.placement)?;
        }
        self.write(" ")?;
        self.print(new.type_)?;
        if new.values.len() > 0 { self.parameters(new.values) } else { Some(()) }
    }

    fn designated_value(&mut self, value: Id) -> Option<()> {
        if !matches!(self.get(value), Node::Designated { .. } | Node::DesignatedRange(..)) {
            self.write(" = ")?;
        }
        self.print(value)
    }

    fn fold(&mut self, code: u8, operator: u8, first: Id, second: Option<Id>) -> Option<()> {
        let is_left = matches!(code, b'l' | b'L');
        // The initial value stands where it is written.
        let (pack, initial) = match second {
            Some(second) if is_left => (second, Some(first)),
            _ => (first, second),
        };
        let text = tables::operator(operator).text;
        let spaced = |printer: &mut Self| {
            printer.write(" ")?;
            printer.write(text)?;
            printer.write(" ")
        };
        self.open("(")?;
        match (is_left, initial) {
            (true, Some(initial)) => {
                self.operand(initial, precedence::CAST, true)?;
                spaced(self)?;
            }
            (true, None) => {}
            (false, _) => {
                self.fold_pack(pack)?;
                spaced(self)?;
            }
        }
        self.write("...")?;
        match (is_left, initial) {
            (true, _) => {
                spaced(self)?;
                self.fold_pack(pack)?;
            }
            (false, Some(initial)) => {
                spaced(self)?;
                self.operand(initial, precedence::CAST, true)?;
            }
            (false, None) => {}
        }
        self.close(")")
    }

    fn fold_pack(&mut self, pack: Id) -> Option<()> {
        self.open("(")?;
        self.expansion(pack)?;
        self.close(")")
    }
}
