//! Template arguments and parameters, and substitutions.

use super::Parser;
use crate::node::{Id, List, Node, ParameterKind};
use crate::tables;

impl Parser<'_, '_> {
    /// Opens a level of template arguments; its number is that of its list.
    pub(super) fn open_level(&mut self) -> usize {
        let number = self.lists_used;
        self.lists_used += 1;
        match self.memory.argument_lists.get_mut(number) {
            Some(list) => list.clear(),
            None => self.memory.argument_lists.push(Vec::new()),
        }
        self.memory.levels.push(Some(number));
        number
    }

    pub(super) fn add_to_level(&mut self, list: usize, argument: Id) {
        if let Some(list) = self.memory.argument_lists.get_mut(list) {
            list.push(argument);
        }
    }

    /// The argument of a parameter of the encoding that is being read.
    pub(super) fn level_argument(&self, level: usize, index: usize) -> Option<Id> {
        let list = (*self.memory.levels.get(self.levels_base.checked_add(level)?)?)?;
        self.memory.argument_lists.get(list)?.get(index).copied()
    }

    /// Template arguments. Those of a function's or object's name are in force from now on.
    pub(super) fn template_arguments(&mut self, in_force: bool) -> Option<List> {
        self.deeper(|parser| {
            let name = parser.last_name;
            parser.expect(b"I")?;
            let arguments =
                if parser.is_gnu() { parser.gnu_arguments() } else { parser.llvm_arguments(in_force) };
            parser.last_name = name;
            arguments
        })
    }

    fn gnu_arguments(&mut self) -> Option<List> {
        self.list_until(b'E', Self::template_argument)
    }

    fn llvm_arguments(&mut self, in_force: bool) -> Option<List> {
        let list = if in_force {
            self.memory.levels.truncate(self.levels_base);
            Some(self.open_level())
        } else {
            None
        };
        let height = self.height();
        while !self.eat(b'E') {
            let is_declared = self.is_parameter_declaration();
            let argument = self.template_argument()?;
            self.push(argument);
            if let Some(list) = list {
                let entry = match self.get(argument) {
                    // Behind a declaration LLVM does not see that it is a pack.
                    Node::Pack(items) if !is_declared => self.add(Node::ParameterPack(items)),
                    _ => argument,
                };
                self.add_to_level(list, entry);
            }
            // Constraints are not printed here.
            if self.constraint()?.is_some() {
                self.expect(b"E")?;
                break;
            }
        }
        Some(self.pop_list(height))
    }

    pub(super) fn template_argument(&mut self) -> Option<Id> {
        self.deeper(|parser| match parser.peek() {
            b'X' => {
                parser.at += 1;
                let expression = parser.expression()?;
                parser.expect(b"E")?;
                Some(expression)
            }
            b'J' => parser.argument_pack(),
            b'I' if parser.is_gnu() => parser.argument_pack(),
            b'L' if parser.peek_at(1) == b'Z' && !parser.is_gnu() => {
                parser.at += 2;
                let named = parser.encoding()?;
                parser.expect(b"E")?;
                Some(named)
            }
            b'L' => parser.primary(),
            b'T' if !parser.is_gnu() && parser.is_parameter_declaration() => {
                // The declaration tells which template it is; nobody prints it.
                parser.parameter_declaration(None)?;
                parser.template_argument()
            }
            _ => parser.type_(),
        })
    }

    fn argument_pack(&mut self) -> Option<Id> {
        self.at += 1;
        let items = self.list_until(b'E', Self::template_argument)?;
        Some(self.add(Node::Pack(items)))
    }

    pub(super) fn template_parameter(&mut self) -> Option<Id> {
        let start = self.at;
        self.expect(b"T")?;
        if self.is_gnu() {
            let index = self.index()?;
            return Some(self.add(Node::Parameter(index)));
        }
        let level = if self.eat(b'L') { self.index()?.checked_add(1)? } else { 0 };
        let index = self.index()?;
        if self.leaves_parameters {
            let mut text = self.span_from(start);
            text.end -= 1;
            return Some(self.add(Node::Name(text)));
        }
        if self.permits_forwards && level == 0 {
            let forward = self.add(Node::Forward(index, None));
            self.memory.forwards.push(forward);
            return Some(forward);
        }
        match self.level_argument(level as usize, index as usize) {
            Some(argument) => Some(argument),
            None => self.deduced(level as usize),
        }
    }

    /// A parameter of a lambda whose type is `auto`.
    fn deduced(&mut self, level: usize) -> Option<Id> {
        let levels = self.memory.levels.len().saturating_sub(self.levels_base);
        if self.lambda_level != Some(level) || level > levels {
            return None;
        }
        if level == levels {
            // Whoever reads the lambda takes it away again.
            self.memory.levels.push(None);
        }
        Some(self.add(Node::Text("auto")))
    }

    pub(super) fn is_parameter_declaration(&self) -> bool {
        match self.peek_two() {
            [b'T', b'y' | b'p' | b't' | b'n'] => true,
            [b'T', b'k'] => !self.is_gnu(),
            _ => false,
        }
    }

    /// The declaration of a template parameter, which gets a name if it belongs to a level.
    pub(super) fn parameter_declaration(&mut self, level: Option<usize>) -> Option<Id> {
        self.deeper(|parser| {
            let kind = parser.peek_at(1);
            parser.at += 2;
            match kind {
                b'y' => {
                    let name = parser.invent_name(ParameterKind::Type, level);
                    Some(parser.add(Node::DeclaredType(name)))
                }
                b'k' => {
                    let constraint = parser.name(None)?;
                    let name = parser.invent_name(ParameterKind::Type, level);
                    Some(parser.add(Node::DeclaredConstrained(constraint, name)))
                }
                b'n' => {
                    let name = parser.invent_name(ParameterKind::Value, level);
                    let type_ = parser.type_()?;
                    Some(parser.add(Node::DeclaredValue(type_, name)))
                }
                b't' => parser.template_declaration(level),
                b'p' if parser.is_parameter_declaration() => {
                    let packed = parser.parameter_declaration(level)?;
                    Some(parser.add(Node::DeclaredPack(packed)))
                }
                _ => None,
            }
        })
    }

    fn template_declaration(&mut self, level: Option<usize>) -> Option<Id> {
        let name = self.invent_name(ParameterKind::Template, level);
        let levels = self.memory.levels.len();
        let own = self.open_level();
        let height = self.height();
        while !self.eat(b'E') {
            if !self.is_parameter_declaration() {
                return None;
            }
            let parameter = self.parameter_declaration(Some(own))?;
            self.push(parameter);
        }
        let parameters = self.pop_list(height);
        if self.is_gnu() && parameters.len() == 0 {
            return None;
        }
        self.memory.levels.truncate(levels);
        Some(self.add(Node::DeclaredTemplate(name, parameters)))
    }

    /// A name for a parameter that has none in the mangled name: LLVM counts those of each kind.
    fn invent_name(&mut self, kind: ParameterKind, level: Option<usize>) -> Id {
        let mut number = 0;
        if let Some(counter) = self.synthetic.get_mut(kind as usize) {
            number = *counter;
            *counter += 1;
        }
        let name = self.add(Node::Synthetic(kind, number));
        if let Some(level) = level {
            self.add_to_level(level, name);
        }
        name
    }

    pub(super) fn substitution(&mut self) -> Option<Id> {
        self.expect(b"S")?;
        let Some(abbreviation) = tables::abbreviation(self.peek()) else {
            let number = self.sequence()?;
            return self.memory.substitutions.get(number as usize).copied();
        };
        self.at += 1;
        let plain = self.add(Node::Std { name: abbreviation, is_whole: false });
        self.last_name = Some(plain);
        let tagged = self.tagged(plain)?;
        if tagged != plain {
            // With tags it is another thing, which may be repeated.
            self.remember(tagged);
        }
        Some(tagged)
    }
}
