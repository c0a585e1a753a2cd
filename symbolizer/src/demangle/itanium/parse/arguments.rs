//! Template arguments, and the parameters that refer to them.

use super::super::Dialect;
use super::super::node::{Id, List, Node};
use super::Parser;

impl<'a> Parser<'a> {
    pub(super) fn template_arguments(&mut self, is_outermost: bool) -> Option<List> {
        self.deeper(|parser| parser.template_arguments_inner(is_outermost))
    }

    pub(super) fn template_arguments_inner(&mut self, is_outermost: bool) -> Option<List> {
        self.expect("I")?;
        if is_outermost {
            self.parameters.clear();
            self.parameters.push(Vec::new());
        }
        let mut arguments = Vec::new();
        while !self.eat("E") {
            // While arguments are read, parameters still mean those of the outside.
            let outer = is_outermost.then(|| std::mem::take(&mut self.parameters));
            let known = outer.as_ref().and_then(|outer| outer.first()).map_or(&[][..], Vec::as_slice);
            let before = is_outermost.then(|| std::mem::replace(&mut self.arguments_so_far, known.to_vec()));
            let argument = self.template_argument();
            if let (Some(outer), Some(before)) = (outer, before) {
                self.parameters = outer;
                self.arguments_so_far = before;
            }
            let argument = argument?;
            arguments.push(argument);
            if is_outermost {
                let parameter = match self.arena.get(argument) {
                    Node::ArgumentPack(list) => self.add(Node::ParameterPack(list)),
                    _ => argument,
                };
                self.parameters.first_mut()?.push(parameter);
            }
        }
        Some(self.arena.list(&arguments))
    }

    pub(super) fn template_argument(&mut self) -> Option<Id> {
        self.deeper(|parser| match parser.peek() {
            b'X' => {
                parser.at += 1;
                let expression = parser.expression()?;
                parser.expect("E")?;
                Some(expression)
            }
            b'J' => {
                parser.at += 1;
                let mut arguments = Vec::new();
                while !parser.eat("E") {
                    arguments.push(parser.template_argument()?);
                }
                let arguments = parser.arena.list(&arguments);
                Some(parser.add(Node::ArgumentPack(arguments)))
            }
            b'L' => parser.primary(),
            b'T' if matches!(parser.peek_at(1), b'y' | b'n') => parser.declared_argument(),
            _ => parser.type_(),
        })
    }

    /// An argument with the declaration of its parameter in front of it, which is not printed. The binutils do not know
    /// these.
    pub(super) fn declared_argument(&mut self) -> Option<Id> {
        let is_value = self.peek_at(1) == b'n';
        if self.dialect == Dialect::Gnu {
            return None;
        }
        self.at += 2;
        if is_value {
            // The declaration may refer to the arguments before it.
            let known = vec![self.arguments_so_far.clone()];
            let outer = std::mem::replace(&mut self.parameters, known);
            let type_ = self.type_();
            self.parameters = outer;
            type_?;
        }
        self.template_argument()
    }

    pub(super) fn template_parameter(&mut self) -> Option<Id> {
        self.expect("T")?;
        self.parameters_read += 1;
        let mut level = 0;
        if self.eat("L") {
            level = usize::try_from(self.index()?).ok()? + 1;
        }
        let index = usize::try_from(self.index()?).ok()?;
        if self.permits_forwards && level == 0 {
            self.forwards.push(None);
            self.forward_indices.push(index);
            let number = (self.forwards.len() - 1) as u32;
            return Some(self.add(Node::Forward(number)));
        }
        match self.parameters.get(level).and_then(|parameters| parameters.get(index)) {
            Some(parameter) => Some(*parameter),
            // A parameter of a lambda whose type is deduced.
            None if self.lambda_level == Some(level) && level <= self.parameters.len() => {
                if level == self.parameters.len() {
                    self.parameters.push(Vec::new());
                }
                let name = match (self.dialect, index) {
                    (Dialect::Llvm, _) => "auto",
                    (Dialect::Gnu, 0) => "auto:1",
                    (Dialect::Gnu, 1) => "auto:2",
                    (Dialect::Gnu, 2) => "auto:3",
                    (Dialect::Gnu, 3) => "auto:4",
                    (Dialect::Gnu, _) => return None,
                };
                Some(self.add(Node::Name(name)))
            }
            None => None,
        }
    }
}
