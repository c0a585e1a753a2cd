//! Types.

use super::Printer;
use super::scope::kind_name;
use crate::node::{Id, List, Node, Qualifiers, Reference};

/// What a type needs brackets for, when something is declared of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Plain,
    Array,
    Function,
}

/// How many references, qualifiers and parameters are followed from one type to the next.
const CHAIN_MAX: usize = 1000;

impl Printer<'_> {
    /// What a node that refers to another stands for, by way of all such nodes.
    fn resolved(&self, id: Id, scope: usize) -> Option<(Id, usize)> {
        let (mut id, mut scope) = (id, scope);
        for _ in 0..CHAIN_MAX {
            match self.target(self.get(id), scope) {
                Some(next) => (id, scope) = next,
                None => return Some((id, scope)),
            }
        }
        None
    }

    /// As [`Printer::resolved`], and packs on the way count as met.
    fn resolved_meeting_packs(&mut self, id: Id, scope: usize) -> Option<(Id, usize)> {
        let (mut id, mut scope) = (id, scope);
        for _ in 0..CHAIN_MAX {
            let node = self.get(id);
            self.meet_pack_of(node, scope);
            match self.target(node, scope) {
                Some(next) => (id, scope) = next,
                None => return Some((id, scope)),
            }
        }
        None
    }

    fn shape(&self, id: Id) -> Shape {
        let mut place = Some((id, self.scope));
        for _ in 0..CHAIN_MAX {
            let Some((resolved, scope)) = place.and_then(|(id, scope)| self.resolved(id, scope)) else {
                break;
            };
            match self.get(resolved) {
                Node::Qualified(inner, _) => place = Some((inner, scope)),
                Node::VendorQualified(inner, ..) if self.is_gnu() => place = Some((inner, scope)),
                Node::Array(..) => return Shape::Array,
                Node::Function(_) => return Shape::Function,
                Node::Encoding(_) if !self.is_gnu() => return Shape::Function,
                _ => break,
            }
        }
        Shape::Plain
    }

    /// Whether a type is one that nothing is declared in: the binutils do not print it well as a scope.
    pub(super) fn is_odd_scope(&self, id: Id) -> bool {
        let resolved = self.resolved(id, self.scope).map(|(id, _)| self.get(id));
        self.has_right(id) || matches!(resolved, Some(Node::Qualified(..)))
    }

    pub(super) fn is_function(&self, id: Id) -> bool {
        self.shape(id) == Shape::Function
    }

    /// Whether a type is one of arrays or functions.
    pub(super) fn is_declarator(&self, id: Id) -> bool {
        self.shape(id) != Shape::Plain
    }

    /// Whether something of a type stands behind what is declared of it.
    pub(super) fn has_right(&self, id: Id) -> bool {
        let mut place = Some((id, self.scope));
        for _ in 0..CHAIN_MAX {
            let Some((resolved, scope)) = place.and_then(|(id, scope)| self.resolved(id, scope)) else {
                break;
            };
            match self.get(resolved) {
                Node::Qualified(inner, _)
                | Node::Pointer(inner)
                | Node::Reference(inner, _)
                | Node::MemberPointer(_, inner) => place = Some((inner, scope)),
                Node::VendorQualified(inner, ..) if self.is_gnu() => place = Some((inner, scope)),
                node => return matches!(node, Node::Array(..) | Node::Function(_) | Node::Encoding(_)),
            }
        }
        false
    }

    pub(super) fn type_left(&mut self, id: Id, node: Node) -> Option<()> {
        match node {
            Node::Pointer(pointee) => {
                self.left(pointee)?;
                self.open_declarator(pointee)?;
                self.write("*")
            }
            Node::Reference(..) => {
                let (referred, kind, scope) = self.collapsed(id)?;
                let outer = std::mem::replace(&mut self.scope, scope);
                self.left(referred)?;
                self.open_declarator(referred)?;
                self.scope = outer;
                self.write(if kind == Reference::Left { "&" } else { "&&" })
            }
            Node::MemberPointer(class, member) => {
                self.left(member)?;
                match self.shape(member) {
                    Shape::Plain => self.write(" ")?,
                    _ if self.is_gnu() && self.last() != b' ' => self.write(" (")?,
                    _ => self.write("(")?,
                }
                self.print(class)?;
                self.write("::*")
            }
            Node::VendorQualified(inner, name, arguments) => {
                if !self.is_gnu() {
                    self.print(inner)?;
                } else if self.is_function(inner) {
                    // How calling conventions are bracketed is not worked out.
                    return None;
                } else {
                    self.left(inner)?;
                }
                self.write(" ")?;
                self.write_span(name)?;
                arguments.map_or(Some(()), |arguments| self.print(arguments))
            }
            Node::Function(number) => {
                let result = self.arena.signatures.get(number as usize)?.result?;
                // No function has such a result, and the binutils make something of their own of it.
                if self.is_gnu() && self.shape(result) != Shape::Plain {
                    return None;
                }
                self.left(result)?;
                // The binutils write what is declared close to the result that it is in.
                if self.is_gnu() && self.has_right(result) { Some(()) } else { self.write(" ") }
            }
            _ => None,
        }
    }

    pub(super) fn type_right(&mut self, id: Id, node: Node) -> Option<()> {
        match node {
            Node::Qualified(inner, _) => self.right(inner),
            Node::VendorQualified(inner, ..) if self.is_gnu() => self.right(inner),
            Node::Pointer(inner) | Node::MemberPointer(_, inner) => {
                self.close_declarator(inner)?;
                self.right(inner)
            }
            Node::Reference(..) => {
                let (referred, _, scope) = self.collapsed(id)?;
                let outer = std::mem::replace(&mut self.scope, scope);
                self.close_declarator(referred)?;
                self.right(referred)?;
                self.scope = outer;
                Some(())
            }
            Node::Array(element, size) => {
                self.open(if self.last() == b']' { "[" } else { " [" })?;
                if let Some(size) = size {
                    self.print(size)?;
                }
                self.close("]")?;
                self.right(element)
            }
            Node::Function(number) => self.function_right(number),
            Node::DeclaredType(_)
            | Node::DeclaredConstrained(..)
            | Node::DeclaredValue(..)
            | Node::DeclaredTemplate(..)
            | Node::DeclaredPack(_) => self.declared_right(node),
            _ => Some(()),
        }
    }

    fn function_right(&mut self, number: u32) -> Option<()> {
        let signature = *self.arena.signatures.get(number as usize)?;
        self.parameters(signature.parameters)?;
        if !self.is_gnu() {
            self.right(signature.result?)?;
        }
        self.qualifiers(signature.qualifiers.0)?;
        self.reference(signature.reference)?;
        if let Some(exceptions) = signature.extra {
            self.write(" ")?;
            self.print(exceptions)?;
        }
        if self.is_gnu() { self.right(signature.result?) } else { Some(()) }
    }

    fn open_declarator(&mut self, inner: Id) -> Option<()> {
        match self.shape(inner) {
            Shape::Plain => Some(()),
            Shape::Array => self.write(" ("),
            Shape::Function if self.is_gnu() && !matches!(self.last(), b' ' | b'(' | b'*') => {
                self.write(" (")
            }
            Shape::Function => self.write("("),
        }
    }

    fn close_declarator(&mut self, inner: Id) -> Option<()> {
        if self.shape(inner) == Shape::Plain { Some(()) } else { self.write(")") }
    }

    /// A reference to a reference is one: `&` unless both are `&&`.
    fn collapsed(&mut self, id: Id) -> Option<(Id, Reference, usize)> {
        let Node::Reference(mut inner, mut kind) = self.get(id) else { return None };
        let mut scope = self.scope;
        if self.is_gnu()
            && let Node::Parameter(_) = self.get(inner)
        {
            scope = self.referred_scope(id, inner);
        }
        for link in 0..CHAIN_MAX {
            let (resolved, resolved_scope) = self.resolved_meeting_packs(inner, scope)?;
            let Node::Reference(next, next_kind) = self.get(resolved) else {
                return Some((inner, kind, scope));
            };
            // The binutils look no further than the next, but nothing refers to references to references.
            if self.is_gnu() && link > 0 {
                return None;
            }
            if next_kind == Reference::Left {
                kind = Reference::Left;
            }
            (inner, scope) = (next, resolved_scope);
        }
        None
    }

    pub(super) fn qualifiers(&mut self, bits: u8) -> Option<()> {
        for (bit, word) in [
            (Qualifiers::CONST, " const"),
            (Qualifiers::VOLATILE, " volatile"),
            (Qualifiers::RESTRICT, " restrict"),
        ] {
            if bits & bit != 0 {
                self.write(word)?;
            }
        }
        Some(())
    }

    pub(super) fn type_(&mut self, node: Node) -> Option<()> {
        match node {
            Node::Pack(items) => self.list(items),
            Node::Expansion(pattern) => self.expansion(pattern),
            Node::EnableIf(conditions) => {
                self.write(" [enable_if:")?;
                self.list(conditions)?;
                self.write("]")
            }
            Node::Arguments(items) => self.arguments(items),
            Node::VendorType(name, argument) => {
                self.write_span(name)?;
                self.write("(")?;
                self.print(argument)?;
                self.write(")")
            }
            Node::Noexcept(condition) => {
                self.write("noexcept")?;
                self.open("(")?;
                self.print(condition)?;
                self.close(")")
            }
            Node::Throws(types) => {
                self.write("throw")?;
                self.parameters(types)
            }
            Node::Vector(element, size) => self.vector(element, size),
            Node::PixelVector(size) => {
                self.write("pixel vector[")?;
                self.print(size)?;
                self.write("]")
            }
            Node::Decltype(expression) => {
                self.write(if self.is_gnu() { "decltype " } else { "decltype" })?;
                self.open("(")?;
                self.print(expression)?;
                self.close(")")
            }
            Node::Elaborated(words, name) => {
                self.write(words)?;
                self.print(name)
            }
            Node::Suffixed(type_, words) => {
                self.print(type_)?;
                self.write(words)
            }
            Node::Complex(part, words) => {
                // What the binutils do with a function here, which is no number, is not worked out.
                if self.is_gnu() && self.has_right(part) {
                    return None;
                }
                self.left(part)?;
                self.write(words)
            }
            Node::BitInt(size, is_signed) => {
                self.write(if is_signed { "_BitInt" } else { "unsigned _BitInt" })?;
                self.open("(")?;
                self.print(size)?;
                self.close(")")
            }
            Node::FloatOf(_, true) => self.write("std::bfloat16_t"),
            Node::FloatOf(digits, false) => {
                self.write("_Float")?;
                self.write_span(digits)
            }
            Node::This(type_) => {
                self.write("this ")?;
                self.print(type_)
            }
            Node::Synthetic(kind, number) => {
                self.write(kind_name(kind))?;
                number.checked_sub(1).map_or(Some(()), |number| self.write_number(number))
            }
            _ => self.declared_left(node),
        }
    }

    fn vector(&mut self, element: Id, size: Option<Id>) -> Option<()> {
        let (open, close) = if self.is_gnu() { (" __vector(", ")") } else { (" vector[", "]") };
        self.print(element)?;
        self.write(open)?;
        if let Some(size) = size {
            self.print(size)?;
        }
        self.write(close)
    }

    fn declared_left(&mut self, node: Node) -> Option<()> {
        match node {
            Node::DeclaredType(_) => self.write("typename "),
            Node::DeclaredConstrained(constraint, _) => {
                self.print(constraint)?;
                self.write(" ")
            }
            Node::DeclaredValue(type_, _) => {
                self.left(type_)?;
                if self.has_right(type_) { Some(()) } else { self.write(" ") }
            }
            Node::DeclaredTemplate(_, parameters) => {
                let outer = std::mem::take(&mut self.open);
                self.write("template<")?;
                self.list(parameters)?;
                self.open = outer;
                self.write("> typename ")
            }
            Node::DeclaredPack(inner) => {
                self.left(inner)?;
                self.write("...")
            }
            _ => None,
        }
    }

    fn declared_right(&mut self, node: Node) -> Option<()> {
        match node {
            Node::DeclaredType(name)
            | Node::DeclaredConstrained(_, name)
            | Node::DeclaredTemplate(name, _) => self.print(name),
            Node::DeclaredValue(type_, name) => {
                self.print(name)?;
                self.right(type_)
            }
            Node::DeclaredPack(inner) => self.right(inner),
            _ => Some(()),
        }
    }

    /// The template parameters of a lambda, as the binutils print them.
    pub(super) fn gnu_head(&mut self, head: List) -> Option<()> {
        self.write("<")?;
        for index in 0..head.len() {
            if index > 0 {
                self.write(", ")?;
            }
            let declaration = self.arena.item(head, index)?;
            self.gnu_declaration(declaration)?;
            self.write(" ")?;
            self.gnu_parameter_name(declaration, index as u32)?;
        }
        self.write(">")
    }

    fn gnu_declaration(&mut self, declaration: Id) -> Option<()> {
        match self.get(declaration) {
            Node::DeclaredType(_) => self.write("typename"),
            Node::DeclaredValue(type_, _) => self.print(type_),
            Node::DeclaredPack(inner) => {
                self.gnu_declaration(inner)?;
                self.write("...")
            }
            Node::DeclaredTemplate(_, parameters) => {
                self.write("template<")?;
                for index in 0..parameters.len() {
                    if index > 0 {
                        self.write(", ")?;
                    }
                    self.gnu_declaration(self.arena.item(parameters, index)?)?;
                }
                self.write("> class")
            }
            _ => None,
        }
    }
}
