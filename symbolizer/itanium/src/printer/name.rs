//! Names and functions.

use super::Printer;
use crate::node::{Closure, Count, Id, List, Node, Reference, Signature};
use crate::tables;

impl Printer<'_> {
    pub(super) fn name(&mut self, node: Node) -> Option<()> {
        match node {
            Node::Std { name, is_whole } => self.std(name, is_whole),
            Node::Friend(scope, name) => {
                self.print(scope)?;
                self.write("::friend ")?;
                self.print(name)
            }
            Node::Local(function, entity) => {
                self.print(function)?;
                self.write("::")?;
                self.print(entity)
            }
            Node::DefaultArgument(entity, number) => {
                self.write("{default arg#")?;
                self.write_number(number)?;
                self.write("}::")?;
                self.print(entity)
            }
            Node::Module { parent, name, is_partition } => {
                if let Some(parent) = parent {
                    self.print(parent)?;
                }
                if is_partition {
                    self.write(":")?;
                } else if parent.is_some() {
                    self.write(".")?;
                }
                self.print(name)
            }
            Node::InModule(name, module) => {
                self.print(name)?;
                self.write("@")?;
                self.print(module)
            }
            Node::Tagged(name, tag) => {
                self.print(name)?;
                self.write("[abi:")?;
                self.write_span(tag)?;
                self.write("]")
            }
            Node::Binding(names) => {
                self.open("[")?;
                self.list(names)?;
                self.close("]")
            }
            Node::Constructor(base) => self.base_name(base),
            Node::Destructor(base) => {
                self.write("~")?;
                self.base_name(base)
            }
            Node::Conversion(type_) => self.conversion(type_),
            Node::Operator(number) => {
                let text = tables::operator(number).text.trim_end();
                let is_word = text.starts_with(|letter: char| letter.is_ascii_lowercase());
                self.write(if is_word { "operator " } else { "operator" })?;
                self.write(text)
            }
            Node::LiteralOperator(name) => {
                self.write("operator\"\" ")?;
                self.print(name)
            }
            Node::Closure(number) => self.closure(number),
            Node::Unnamed(count) => self.unnamed(count),
            Node::ThisQualified(name, qualifiers, reference) => {
                self.print(name)?;
                self.qualifiers(qualifiers.0)?;
                self.reference(reference)
            }
            Node::Prefixed(words, named) => {
                self.write(words)?;
                self.print(named)
            }
            Node::InConstruction(base, derived) => {
                self.write("construction vtable for ")?;
                self.print(base)?;
                self.write("-in-")?;
                self.print(derived)
            }
            Node::ReferenceTemporary(object, number) => {
                if self.is_gnu() {
                    self.write("reference temporary #")?;
                    self.write_number(number)?;
                    self.write(" for ")?;
                } else {
                    self.write("reference temporary for ")?;
                }
                self.print(object)
            }
            Node::Tilde(destroyed) => {
                self.write("~")?;
                self.left(destroyed)
            }
            _ => None,
        }
    }

    fn std(&mut self, name: crate::node::Abbreviation, is_whole: bool) -> Option<()> {
        if !is_whole {
            return self.write(tables::common(name));
        }
        let (template, arguments) = tables::whole(name);
        self.write(template)?;
        if arguments.is_empty() || self.is_short() {
            return Some(());
        }
        self.write(arguments)?;
        self.write(if self.is_gnu() { " >" } else { ">" })
    }

    pub(super) fn template(&mut self, name: Id, arguments: List) -> Option<()> {
        let outer = self.template.replace(arguments);
        let named = self.print(name);
        let done = named.and_then(|()| self.arguments(arguments));
        self.template = outer;
        done
    }

    /// A conversion to a type, in which the arguments of the conversion itself are in force.
    fn conversion(&mut self, type_: Id) -> Option<()> {
        self.write("operator ")?;
        let Some(own) = self.template.filter(|_| self.is_gnu()) else {
            return self.print(type_);
        };
        let outer = self.scope;
        self.open_scope(own);
        let done = match self.get(type_) {
            Node::Template(name, arguments) => {
                let named = self.print(name);
                self.scope = outer;
                named.and_then(|()| self.arguments(arguments))
            }
            _ => self.print(type_),
        };
        self.scope = outer;
        done
    }

    /// The last part of a name, without template arguments: what constructors are called.
    fn base_name(&mut self, base: Option<Id>) -> Option<()> {
        // The binutils take the last identifier, if there is one.
        let mut id = base?;
        loop {
            self.steps += 1;
            if self.steps > super::STEPS_MAX {
                return None;
            }
            id = match self.get(id) {
                Node::Nested(_, name) | Node::Local(_, name) | Node::Friend(_, name) => name,
                Node::Template(name, _) | Node::Tagged(name, _) | Node::InModule(name, _) => name,
                Node::Forward(_, target) => target?,
                Node::Std { name, .. } => {
                    let (template, _) = tables::whole(name);
                    return self.write(template.trim_start_matches("std::"));
                }
                Node::Name(_) | Node::Text(_) | Node::Operator(_) => return self.print(id),
                _ => return if self.is_gnu() { None } else { Some(()) },
            };
        }
    }

    fn closure(&mut self, number: u32) -> Option<()> {
        let closure = *self.arena.closures.get(number as usize)?;
        if self.is_gnu() {
            self.write("{lambda")?;
            if !self.is_short() {
                self.gnu_closure_parameters(&closure)?;
            }
            self.write("#")?;
            self.write_number(closure.count.ordinal)?;
            return self.write("}");
        }
        self.write("'lambda")?;
        self.write_span(closure.count.digits)?;
        self.write("'")?;
        if self.is_short() { Some(()) } else { self.llvm_declarator(&closure) }
    }

    fn gnu_closure_parameters(&mut self, closure: &Closure) -> Option<()> {
        let outer = std::mem::replace(&mut self.head, closure.head);
        self.lambdas += 1;
        if closure.head.len() > 0 {
            self.gnu_head(closure.head)?;
        }
        self.parameters(closure.parameters)?;
        self.lambdas -= 1;
        self.head = outer;
        Some(())
    }

    pub(super) fn llvm_declarator(&mut self, closure: &Closure) -> Option<()> {
        if closure.head.len() > 0 {
            let outer = std::mem::take(&mut self.open);
            self.write("<")?;
            self.list(closure.head)?;
            self.write(">")?;
            self.open = outer;
        }
        if let Some(condition) = closure.head_requires {
            self.write(" requires ")?;
            self.print(condition)?;
            self.write(" ")?;
        }
        self.parameters(closure.parameters)?;
        match closure.requires {
            Some(condition) => {
                self.write(" requires ")?;
                self.print(condition)
            }
            None => Some(()),
        }
    }

    fn unnamed(&mut self, count: Count) -> Option<()> {
        if self.is_gnu() {
            self.write("{unnamed type#")?;
            self.write_number(count.ordinal)?;
            return self.write("}");
        }
        self.write("'unnamed")?;
        self.write_span(count.digits)?;
        self.write("'")
    }

    fn signature(&self, number: u32) -> Option<Signature> {
        self.arena.signatures.get(number as usize).copied()
    }

    /// The template arguments that a function's name has in its last part.
    fn own_arguments(&self, name: Id) -> Option<List> {
        let mut id = name;
        if let Node::Local(_, entity) = self.get(id) {
            id = entity;
            if let Node::DefaultArgument(entity, _) = self.get(id) {
                id = entity;
            }
        }
        match self.get(id) {
            Node::Template(_, arguments) => Some(arguments),
            _ => None,
        }
    }

    /// Runs a step with the arguments of a function in force.
    fn in_function(&mut self, name: Id, step: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let outer = self.scope;
        if self.is_gnu()
            && let Some(arguments) = self.own_arguments(name)
        {
            self.open_scope(arguments);
        }
        let done = step(self);
        self.scope = outer;
        done
    }

    pub(super) fn encoding_left(&mut self, number: u32) -> Option<()> {
        let signature = self.signature(number)?;
        let name = signature.name?;
        if let Some(result) = signature.result.filter(|_| !self.is_short()) {
            self.in_function(name, |printer| {
                if printer.is_gnu() && printer.is_declarator(result) {
                    return None;
                }
                printer.left(result)?;
                if printer.has_right(result) { Some(()) } else { printer.write(" ") }
            })?;
        }
        self.print(name)
    }

    pub(super) fn encoding_right(&mut self, number: u32) -> Option<()> {
        if self.is_short() {
            return Some(());
        }
        let signature = self.signature(number)?;
        let name = signature.name?;
        self.in_function(name, |printer| {
            printer.parameters(signature.parameters)?;
            if printer.is_gnu() {
                printer.this(&signature)?;
                return signature.result.map_or(Some(()), |result| printer.right(result));
            }
            if let Some(result) = signature.result {
                printer.right(result)?;
            }
            printer.this(&signature)
        })
    }

    /// What stands behind the parameters.
    fn this(&mut self, signature: &Signature) -> Option<()> {
        self.qualifiers(signature.qualifiers.0)?;
        self.reference(signature.reference)?;
        if let Some(conditions) = signature.extra {
            self.print(conditions)?;
        }
        if let Some(condition) = signature.requires {
            self.write(" requires ")?;
            self.print(condition)?;
        }
        Some(())
    }

    pub(super) fn reference(&mut self, reference: Reference) -> Option<()> {
        match reference {
            Reference::None => Some(()),
            Reference::Left => self.write(" &"),
            Reference::Right => self.write(" &&"),
        }
    }
}
