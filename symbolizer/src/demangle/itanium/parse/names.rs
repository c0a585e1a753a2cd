//! Names: of things in namespaces and classes, in functions, of operators and of what has no name.

use super::super::node::{Id, Node, Reference, Special};
use super::super::{Dialect, tables};
use super::{NameState, Parser, Substitution};

impl<'a> Parser<'a> {
    pub(super) fn name(&mut self, state: &mut Option<&mut NameState>) -> Option<Id> {
        self.deeper(|parser| parser.name_inner(state))
    }

    pub(super) fn name_inner(&mut self, state: &mut Option<&mut NameState>) -> Option<Id> {
        match self.peek() {
            b'N' => return self.nested_name(state),
            b'Z' => return self.local_name(state),
            _ => {}
        }
        let (name, is_substituted) = self.unscoped_name(state)?;
        if self.peek() != b'I' {
            return (!is_substituted).then_some(name);
        }
        if !is_substituted {
            self.remember(name);
        }
        let arguments = self.template_arguments(state.is_some())?;
        if let Some(state) = state {
            state.ends_with_arguments = true;
        }
        Some(self.add(Node::WithArguments(name, arguments)))
    }

    /// A name outside of classes and namespaces, or in `std`; and whether it is a substitution.
    pub(super) fn unscoped_name(&mut self, state: &mut Option<&mut NameState>) -> Option<(Id, bool)> {
        if self.eat("St") {
            let std = self.add(Node::Name("std"));
            return Some((self.unqualified_name(state, Some(std))?, false));
        }
        if self.peek() == b'S' {
            return Some((self.substitution()?, true));
        }
        Some((self.unqualified_name(state, None)?, false))
    }

    pub(super) fn nested_name(&mut self, state: &mut Option<&mut NameState>) -> Option<Id> {
        self.expect("N")?;
        let qualifiers = self.qualifiers();
        let reference = if self.eat("O") {
            Reference::Right
        } else if self.eat("R") {
            Reference::Left
        } else {
            Reference::None
        };
        if let Some(state) = state {
            state.qualifiers = qualifiers;
            state.reference = reference;
        }
        let mut so_far: Option<Id> = None;
        while !self.eat("E") {
            if let Some(state) = state {
                state.ends_with_arguments = false;
            }
            match (self.peek(), self.peek_at(1), so_far) {
                (b'T', _, None) => so_far = Some(self.template_parameter()?),
                (b'I', _, Some(name)) => {
                    if matches!(self.arena.get(name), Node::WithArguments(..)) {
                        return None;
                    }
                    let arguments = self.template_arguments(state.is_some())?;
                    if let Some(state) = state {
                        state.ends_with_arguments = true;
                    }
                    so_far = Some(self.add(Node::WithArguments(name, arguments)));
                }
                (b'D', b't' | b'T', None) => so_far = Some(self.decltype()?),
                (b'S', b't', None) => {
                    self.at += 2;
                    so_far = Some(self.add(Node::Name("std")));
                    continue;
                }
                (b'S', _, None) => {
                    so_far = Some(self.substitution()?);
                    continue;
                }
                _ => so_far = Some(self.unqualified_name(state, so_far)?),
            }
            self.remember(so_far?);
            self.eat("M");
        }
        // The whole is no candidate here: whoever asked for a type adds it.
        self.substitutions.pop()?;
        so_far
    }

    pub(super) fn local_name(&mut self, state: &mut Option<&mut NameState>) -> Option<Id> {
        self.expect("Z")?;
        let function = self.encoding()?;
        self.expect("E")?;
        if self.eat("s") {
            self.discriminator()?;
            return Some(self.add(Node::StringLiteral(function)));
        }
        // What is in the function sees its template arguments.
        if self.eat("d") {
            let number = self.index()?;
            let entity = self.name(state)?;
            let entity = self.add(Node::DefaultArgument(entity, number));
            return Some(self.add(Node::Local(function, entity)));
        }
        let entity = self.name(state)?;
        self.discriminator()?;
        Some(self.add(Node::Local(function, entity)))
    }

    pub(super) fn discriminator(&mut self) -> Option<()> {
        if self.eat("__") {
            self.digits();
            return self.expect("_");
        }
        if self.peek() == b'_' && self.peek_at(1).is_ascii_digit() {
            self.at += 2;
        }
        Some(())
    }

    pub(super) fn unqualified_name(
        &mut self,
        state: &mut Option<&mut NameState>,
        scope: Option<Id>,
    ) -> Option<Id> {
        self.eat("L");
        let mut scope = scope;
        let mut name = match self.peek() {
            b'1'..=b'9' => self.source_name()?,
            b'U' => self.unnamed_type()?,
            b'D' if self.peek_at(1) == b'C' => {
                self.at += 2;
                let mut bound = Vec::new();
                while !self.eat("E") {
                    bound.push(self.source_name()?);
                }
                let bound = self.arena.list(&bound);
                self.add(Node::StructuredBinding(bound))
            }
            b'C' | b'D' if scope.is_some() => self.constructor(state, &mut scope)?,
            _ => self.operator_name(state)?,
        };
        while self.eat("B") {
            let tag = self.identifier()?;
            name = self.add(Node::Tagged(name, tag));
        }
        Some(match scope {
            Some(scope) => self.add(Node::Nested(scope, name)),
            None => name,
        })
    }

    pub(super) fn constructor(
        &mut self,
        state: &mut Option<&mut NameState>,
        scope: &mut Option<Id>,
    ) -> Option<Id> {
        let class = (*scope)?;
        // `std::string::string` is a constructor of what that stands for.
        if let Node::Special(special) = self.arena.get(class) {
            *scope = Some(self.add(Node::SpecialWhole(special)));
        }
        if let Some(state) = state {
            state.has_no_result = true;
        }
        let is_destructor = self.peek() == b'D';
        self.at += 1;
        let inherits = !is_destructor && self.eat("I");
        if !matches!(self.peek(), b'0'..=b'5') {
            return None;
        }
        self.at += 1;
        if inherits {
            self.type_()?;
        }
        Some(self.add(if is_destructor { Node::Destructor(class) } else { Node::Constructor(class) }))
    }

    pub(super) fn operator_name(&mut self, state: &mut Option<&mut NameState>) -> Option<Id> {
        if self.eat("cv") {
            // Its type may refer to template arguments that come behind the name.
            let permitted = std::mem::replace(&mut self.permits_forwards, state.is_some());
            let parsed = std::mem::replace(&mut self.parses_arguments, false);
            let type_ = self.type_();
            self.permits_forwards = permitted;
            self.parses_arguments = parsed;
            if let Some(state) = state {
                state.has_no_result = true;
            }
            let type_ = type_?;
            return Some(self.add(Node::Conversion(type_)));
        }
        if self.eat("li") {
            let name = self.identifier()?;
            return Some(self.add(Node::LiteralOperator(name)));
        }
        let operator = tables::operator(self.input.as_bytes().get(self.at..self.at + 2)?)?;
        self.at += 2;
        Some(self.add(Node::Operator(operator)))
    }

    pub(super) fn identifier(&mut self) -> Option<&'a str> {
        let length: usize = self.digits().parse().ok().filter(|length| *length > 0)?;
        let name = self.input.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(name)
    }

    pub(super) fn source_name(&mut self) -> Option<Id> {
        let name = self.identifier()?;
        Some(self.add(Node::Name(if name.starts_with("_GLOBAL__N") {
            "(anonymous namespace)"
        } else {
            name
        })))
    }

    pub(super) fn unnamed_type(&mut self) -> Option<Id> {
        if self.eat("Ut") {
            let number = self.index()?;
            return Some(self.add(Node::Unnamed(number)));
        }
        self.expect("Ul")?;
        let level = self.lambda_level.replace(self.parameters.len());
        let mut parameters = Vec::new();
        if !self.eat("vE") {
            let read = self.in_context(|parser| {
                while !parser.eat("E") {
                    parameters.push(parser.type_()?);
                }
                Some(())
            });
            if read.is_none() {
                self.lambda_level = level;
                return None;
            }
        }
        if self.parameters.len() > self.lambda_level? {
            self.parameters.pop();
        }
        self.lambda_level = level;
        let number = self.index()?;
        let parameters = self.arena.list(&parameters);
        Some(self.add(Node::Closure(parameters, number)))
    }

    pub(super) fn substitution(&mut self) -> Option<Id> {
        self.expect("S")?;
        let special = match self.peek() {
            b'a' => Special::Allocator,
            b'b' => Special::BasicString,
            b's' => Special::String,
            b'i' => Special::Istream,
            b'o' => Special::Ostream,
            b'd' => Special::Iostream,
            _ => {
                let number = self.sequence()?;
                let Substitution { id, context } = *self.substitutions.get(number)?;
                // LLVM lets it mean what it meant there, the binutils what it means here, which is not worked out.
                let is_elsewhere = context.is_some_and(|context| context != self.context);
                return (self.dialect == Dialect::Llvm || !is_elsewhere).then_some(id);
            }
        };
        self.at += 1;
        let mut name = self.add(Node::Special(special));
        // With tags it is another thing, which may be repeated.
        let plain = name;
        while self.eat("B") {
            let tag = self.identifier()?;
            name = self.add(Node::Tagged(name, tag));
        }
        if name != plain {
            self.remember(name);
        }
        Some(name)
    }
}
