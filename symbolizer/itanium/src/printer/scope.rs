//! What a template parameter stands for where it is written.

use super::Printer;
use crate::node::{Id, List, Node, ParameterKind};

/// Template arguments in force, and the scope outside, which is in force in the arguments themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    pub(super) arguments: List,
    pub(super) outer: usize,
}

impl Printer<'_> {
    /// Puts template arguments in force.
    pub(super) fn open_scope(&mut self, arguments: List) {
        self.memory.scopes.push(Scope { arguments, outer: self.scope });
        self.scope = self.memory.scopes.len();
    }

    /// The template arguments of a scope, unless there are none.
    pub(super) fn argument_scope(&self, scope: usize) -> Option<Scope> {
        self.memory.scopes.get(scope.checked_sub(1)?).copied()
    }

    /// What a node that only refers to another stands for in a scope, and the scope of that. `None` for other nodes, and
    /// for a parameter that stands for nothing.
    pub(super) fn target(&self, node: Node, scope: usize) -> Option<(Id, usize)> {
        match node {
            Node::Forward(_, target) => Some((target?, scope)),
            Node::ParameterPack(items) => {
                // Whoever meets the first pack begins with its first element.
                let index = if self.pack.length.is_some() { self.pack.index? } else { 0 };
                Some((self.arena.item(items, index)?, scope))
            }
            Node::Parameter(index) if self.lambdas == 0 => {
                let Scope { arguments, outer } = self.argument_scope(scope)?;
                let argument = self.arena.item(arguments, index as usize)?;
                match (self.get(argument), self.pack.index) {
                    (Node::Pack(items), Some(index)) => Some((self.arena.item(items, index)?, outer)),
                    _ => Some((argument, outer)),
                }
            }
            _ => None,
        }
    }

    /// Writes a half of what a node refers to.
    pub(super) fn indirect(
        &mut self,
        node: Node,
        half: impl FnOnce(&mut Self, Id) -> Option<()>,
    ) -> Option<()> {
        self.meet_pack_of(node, self.scope);
        let Some((target, scope)) = self.target(node, self.scope) else {
            return self.nothing(node);
        };
        let outer = std::mem::replace(&mut self.scope, scope);
        let done = half(self, target);
        self.scope = outer;
        done
    }

    /// Meets the pack that a node stands for, if it does.
    pub(super) fn meet_pack_of(&mut self, node: Node, scope: usize) {
        let items = match node {
            Node::ParameterPack(items) => Some(items),
            Node::Parameter(index) if self.lambdas == 0 => self.pack_argument(index, scope),
            _ => None,
        };
        if let Some(items) = items {
            self.meet_pack(items);
        }
    }

    /// The argument of a parameter, if it is a pack.
    pub(super) fn pack_argument(&self, index: u32, scope: usize) -> Option<List> {
        let Scope { arguments, .. } = self.argument_scope(scope)?;
        match self.get(self.arena.item(arguments, index as usize)?) {
            Node::Pack(items) => Some(items),
            _ => None,
        }
    }

    /// What is written for a reference to nothing: nothing, if that is an element of a pack that has none.
    fn nothing(&mut self, node: Node) -> Option<()> {
        match node {
            Node::ParameterPack(_) => Some(()),
            Node::Parameter(_) if self.pack.is_expanding && self.pack.length == Some(0) => Some(()),
            _ => None,
        }
    }

    /// A template parameter among the parameters of a lambda.
    pub(super) fn lambda_parameter(&mut self, index: u32) -> Option<()> {
        match self.arena.item(self.head, index as usize) {
            Some(declaration) => self.gnu_parameter_name(declaration, index),
            None => {
                self.write("auto:")?;
                self.write_number(index.checked_add(1)?)
            }
        }
    }

    /// The name that the binutils give to a declared parameter: its kind and its place.
    pub(super) fn gnu_parameter_name(&mut self, declaration: Id, index: u32) -> Option<()> {
        let mut declaration = declaration;
        while let Node::DeclaredPack(inner) = self.get(declaration) {
            declaration = inner;
        }
        let kind = match self.get(declaration) {
            Node::DeclaredValue(..) => ParameterKind::Value,
            Node::DeclaredTemplate(..) => ParameterKind::Template,
            _ => ParameterKind::Type,
        };
        self.write(kind_name(kind))?;
        self.write_number(index)
    }

    /// The scope of a parameter below a reference: that in which it was written first, as it means the same when it is
    /// repeated; but not within itself.
    pub(super) fn referred_scope(&mut self, reference: Id, parameter: Id) -> usize {
        if self.lambdas > 0 {
            return self.scope;
        }
        let first = self.memory.first_scopes.iter().find(|(id, _)| *id == parameter);
        let Some((_, first)) = first.copied() else {
            self.memory.first_scopes.push((parameter, self.scope));
            return self.scope;
        };
        let written = &self.memory.written;
        let is_within = written.contains(&parameter)
            || written.iter().filter(|written| **written == reference).count() > 1;
        if is_within { self.scope } else { first }
    }
}

pub(super) fn kind_name(kind: ParameterKind) -> &'static str {
    match kind {
        ParameterKind::Type => "$T",
        ParameterKind::Value => "$N",
        ParameterKind::Template => "$TT",
    }
}
