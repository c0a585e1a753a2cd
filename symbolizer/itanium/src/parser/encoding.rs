//! Functions and objects: a name and what follows it.

use super::{NameState, Parser};
use crate::node::{Id, List, Node, Qualifiers, Reference, Signature};

impl Parser<'_, '_> {
    pub(super) fn encoding(&mut self) -> Option<Id> {
        self.deeper(|parser| {
            if matches!(parser.peek(), b'G' | b'T') {
                return parser.special_name();
            }
            if parser.is_gnu() {
                parser.function_or_object()
            } else {
                parser.with_own_levels(Self::function_or_object)
            }
        })
    }

    fn function_or_object(&mut self) -> Option<Id> {
        let mut state = NameState { forwards: self.memory.forwards.len(), ..NameState::default() };
        let name = self.name(Some(&mut state))?;
        self.resolve_forwards(&state)?;
        if self.is_end_of_object() {
            return Some(self.object(name, &state));
        }
        let extra = self.enable_if()?;
        let has_result = self.is_gnu() && self.eat(b'J');
        let result = if has_result || (state.ends_with_arguments && !state.has_no_result) {
            Some(self.type_()?)
        } else {
            None
        };
        let parameters =
            if self.is_gnu() { self.gnu_parameters()? } else { self.llvm_parameters(state.has_this)? };
        let requires = if self.is_gnu() { None } else { self.constraint()? };
        let NameState { qualifiers, reference, .. } = state;
        Some(self.signature(Signature {
            name: Some(name),
            result,
            parameters,
            qualifiers,
            reference,
            extra,
            requires,
        }))
    }

    /// Adds a function, or the type of one.
    pub(super) fn signature(&mut self, signature: Signature) -> Id {
        let number = self.memory.arena.signatures.len() as u32;
        let is_type = signature.name.is_none();
        self.memory.arena.signatures.push(signature);
        self.add(if is_type { Node::Function(number) } else { Node::Encoding(number) })
    }

    fn is_end_of_object(&self) -> bool {
        self.is_at_end()
            || match self.peek() {
                b'E' => true,
                b'.' | b'_' => !self.is_gnu(),
                _ => false,
            }
    }

    /// Qualifiers have no business with an object; only the binutils print them.
    fn object(&mut self, name: Id, state: &NameState) -> Id {
        if !self.is_gnu() || (state.qualifiers == Qualifiers::NONE && state.reference == Reference::None) {
            return name;
        }
        self.add(Node::ThisQualified(name, state.qualifiers, state.reference))
    }

    fn enable_if(&mut self) -> Option<Option<Id>> {
        if self.is_gnu() || !self.eat_all(b"Ua9enable_ifI") {
            return Some(None);
        }
        let conditions = self.list_until(b'E', Self::template_argument)?;
        Some(Some(self.add(Node::EnableIf(conditions))))
    }

    fn llvm_parameters(&mut self, has_this: bool) -> Option<List> {
        if self.eat(b'v') {
            return Some(List::EMPTY);
        }
        let height = self.height();
        loop {
            let mut type_ = self.type_()?;
            if has_this && self.height() == height {
                type_ = self.add(Node::This(type_));
            }
            self.push(type_);
            if self.is_end_of_object() || self.peek() == b'Q' {
                return Some(self.pop_list(height));
            }
        }
    }

    /// At least one type; `void` alone is none.
    pub(super) fn gnu_parameters(&mut self) -> Option<List> {
        let height = self.height();
        while !(self.is_at_end() || matches!(self.peek(), b'E' | b'.')) {
            if matches!(self.peek(), b'R' | b'O') && self.peek_at(1) == b'E' {
                break;
            }
            let type_ = self.type_()?;
            self.push(type_);
        }
        if let (Some(only), 1) = (self.memory.stack.last().copied(), self.height().saturating_sub(height)) {
            if matches!(self.get(only), Node::Text("void")) {
                self.memory.stack.pop();
            }
            return Some(self.pop_list(height));
        }
        (self.height() > height).then(|| self.pop_list(height))
    }

    /// A `requires` clause, if there is one.
    pub(super) fn constraint(&mut self) -> Option<Option<Id>> {
        if !self.eat(b'Q') {
            return Some(None);
        }
        self.constraint_expression().map(Some)
    }

    pub(super) fn constraint_expression(&mut self) -> Option<Id> {
        let outer = std::mem::replace(&mut self.leaves_parameters, true);
        let expression = self.expression();
        self.leaves_parameters = outer;
        expression
    }

    /// Gives the forward references of a name the arguments that came later.
    fn resolve_forwards(&mut self, state: &NameState) -> Option<()> {
        while self.memory.forwards.len() > state.forwards {
            let forward = self.memory.forwards.pop()?;
            let Node::Forward(index, _) = self.get(forward) else { return None };
            let argument = self.level_argument(0, index as usize)?;
            self.memory.arena.replace(forward, Node::Forward(index, Some(argument)));
        }
        Some(())
    }
}
