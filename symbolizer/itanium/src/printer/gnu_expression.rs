//! Expressions as the binutils write them: nearly every operand in brackets.

use super::Printer;
use crate::node::{Id, List, New, Node};
use crate::tables;

impl Printer<'_> {
    /// Whether an operand needs no brackets.
    pub(super) fn is_simple(&self, id: Id) -> bool {
        match self.get(id) {
            Node::Name(_) | Node::Nested(..) | Node::InitList(..) | Node::FunctionParameter(..) => true,
            Node::Text(text) => text == "(anonymous namespace)",
            Node::External(named) => self.is_simple(named),
            _ => false,
        }
    }

    fn gnu_operand(&mut self, id: Id) -> Option<()> {
        if self.is_simple(id) {
            return self.print(id);
        }
        self.bracketed(id)
    }

    fn bracketed(&mut self, id: Id) -> Option<()> {
        self.write("(")?;
        self.print(id)?;
        self.write(")")
    }

    pub(super) fn gnu_expression(&mut self, node: Node) -> Option<()> {
        match node {
            Node::External(_) | Node::Bool(_) | Node::Integer(..) | Node::Literal(..) | Node::Global(_) => {
                self.expression(node)
            }
            Node::Bits(type_, bits) => {
                self.bracketed(type_)?;
                let text = self.spanned(bits);
                let digits = text.strip_prefix('n').unwrap_or(text);
                self.write(if digits.len() < text.len() { "-[" } else { "[" })?;
                self.write(digits)?;
                self.write("]")
            }
            Node::FunctionParameter(_, 0) => self.write("this"),
            Node::FunctionParameter(_, number) => {
                self.write("{parm#")?;
                self.write_number(number)?;
                self.write("}")
            }
            Node::InitList(type_, values) => {
                if let Some(type_) = type_ {
                    self.print(type_)?;
                }
                self.write("{")?;
                self.list(values)?;
                self.write("}")
            }
            Node::Unary(number, inner) => self.gnu_unary(number, inner),
            Node::Postfix(number, inner) => {
                self.gnu_operand(inner)?;
                self.write(tables::operator(number).text)
            }
            Node::Binary(number, left, right) => self.gnu_binary(number, left, right),
            Node::Call(callee, arguments) => self.gnu_call(callee, arguments),
            Node::Conditional(condition, left, right) => {
                self.gnu_operand(condition)?;
                self.write("?")?;
                self.gnu_operand(left)?;
                self.write(" : ")?;
                self.gnu_operand(right)
            }
            Node::Cast(number, type_, value) => {
                self.write(tables::operator(number).text)?;
                self.write("<")?;
                self.print(type_)?;
                self.write(">(")?;
                self.print(value)?;
                self.write(")")
            }
            _ => self.gnu_rare_expression(node),
        }
    }

    fn gnu_rare_expression(&mut self, node: Node) -> Option<()> {
        match node {
            Node::Convert(type_, values) => {
                self.bracketed(type_)?;
                let value = self.arena.item(values, 0)?;
                self.gnu_operand(value)
            }
            Node::Enclosing(words, inner, _) => {
                self.write(words)?;
                self.gnu_operand(inner)
            }
            Node::New(number) => self.gnu_new(*self.arena.news.get(number as usize)?),
            Node::Fold { code, operator, first, second } => {
                let outer = self.pack.index.take();
                let done = self.gnu_fold(code, operator, first, second);
                self.pack.index = outer;
                done
            }
            Node::SizeofPack(pack) => self.write_number(self.pack_length(pack)?),
            Node::SizeofArguments(arguments) => self.write_number(self.arguments_length(arguments)?),
            Node::Designated { is_index, what, value } => {
                self.write(if is_index { "[" } else { "." })?;
                self.print(what)?;
                if is_index {
                    self.write("]")?;
                }
                self.gnu_designated_value(value)
            }
            Node::DesignatedRange(first, last, value) => {
                self.write("[")?;
                self.print(first)?;
                self.write(" ... ")?;
                self.print(last)?;
                self.write("]")?;
                self.gnu_designated_value(value)
            }
            Node::VendorCall(name, arguments) => {
                self.print(name)?;
                self.write("(")?;
                self.list(arguments)?;
                self.write(")")
            }
            _ => None,
        }
    }

    fn gnu_unary(&mut self, number: u8, inner: Id) -> Option<()> {
        let operator = tables::operator(number);
        self.write(operator.text)?;
        match &operator.code {
            b"ad" => match self.member_function(inner) {
                Some(name) => self.print(name),
                None => self.gnu_operand(inner),
            },
            b"st" => self.bracketed(inner),
            _ => self.gnu_operand(inner),
        }
    }

    /// The name of a function in a scope: of its address the binutils print no parameters.
    fn member_function(&self, id: Id) -> Option<Id> {
        let Node::External(named) = self.get(id) else { return None };
        let Node::Encoding(number) = self.get(named) else { return None };
        let signature = self.arena.signatures.get(number as usize)?;
        let is_plain = signature.qualifiers.0 == 0 && signature.reference == crate::node::Reference::None;
        let name = signature.name?;
        (is_plain && matches!(self.get(name), Node::Nested(..))).then_some(name)
    }

    fn gnu_binary(&mut self, number: u8, left: Id, right: Id) -> Option<()> {
        let operator = tables::operator(number);
        // A `>` must not look like the end of template arguments.
        let is_bracketed = operator.text == ">";
        if is_bracketed {
            self.write("(")?;
        }
        self.gnu_operand(left)?;
        if operator.code == *b"ix" {
            self.write("[")?;
            self.print(right)?;
            self.write("]")?;
        } else {
            self.write(operator.text)?;
            self.gnu_operand(right)?;
        }
        if is_bracketed { self.write(")") } else { Some(()) }
    }

    /// The types of a function's parameters are left out where it is called.
    fn gnu_call(&mut self, callee: Id, arguments: List) -> Option<()> {
        let mut callee = callee;
        if let Node::External(named) = self.get(callee)
            && let Node::Encoding(number) = self.get(named)
        {
            callee = self.arena.signatures.get(number as usize)?.name?;
        }
        self.gnu_operand(callee)?;
        self.write("(")?;
        self.list(arguments)?;
        self.write(")")
    }

    fn gnu_new(&mut self, new: New) -> Option<()> {
        self.write("new ")?;
        if new.placement.len() > 0 {
            self.write("(")?;
            self.list(new.placement)?;
            self.write(") ")?;
        }
        self.print(new.type_)?;
        self.arena.item(new.values, 0).map_or(Some(()), |values| self.gnu_operand(values))
    }

    fn gnu_fold(&mut self, code: u8, operator: u8, first: Id, second: Option<Id>) -> Option<()> {
        let text = tables::operator(operator).text;
        self.write("(")?;
        match (code, second) {
            (b'l', _) => {
                self.write("...")?;
                self.write(text)?;
                self.gnu_operand(first)?;
            }
            (_, None) => {
                self.gnu_operand(first)?;
                self.write(text)?;
                self.write("...")?;
            }
            (_, Some(second)) => {
                self.gnu_operand(first)?;
                self.write(text)?;
                self.write("...")?;
                self.write(text)?;
                self.gnu_operand(second)?;
            }
        }
        self.write(")")
    }

    fn gnu_designated_value(&mut self, value: Id) -> Option<()> {
        if matches!(self.get(value), Node::Designated { .. } | Node::DesignatedRange(..)) {
            return self.print(value);
        }
        self.write("=")?;
        self.gnu_operand(value)
    }
}
