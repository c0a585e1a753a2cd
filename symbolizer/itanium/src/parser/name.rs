//! Names: in scopes, in functions, of operators, constructors, lambdas.

use super::{NameState, Parser};
use crate::node::{Closure, Id, Node, Qualifiers, Reference};
use crate::tables::{self, Use};

impl Parser<'_, '_> {
    /// A name. With a state it is that of a function or object, and its arguments are in force behind it.
    pub(super) fn name(&mut self, state: Option<&mut NameState>) -> Option<Id> {
        self.deeper(|parser| match parser.peek() {
            b'N' => parser.nested_name(state),
            b'Z' => parser.local_name(state),
            _ => parser.unscoped_name_with_arguments(state),
        })
    }

    fn unscoped_name_with_arguments(&mut self, mut state: Option<&mut NameState>) -> Option<Id> {
        let (name, is_substituted) = self.unscoped_name(state.as_deref_mut())?;
        if self.peek() != b'I' {
            // The binutils take a substitution for a name.
            return (!is_substituted || self.is_gnu()).then_some(name);
        }
        if !is_substituted {
            self.remember(name);
        }
        self.with_arguments(name, state)
    }

    /// Adds the template arguments that follow to a name.
    pub(super) fn with_arguments(&mut self, name: Id, state: Option<&mut NameState>) -> Option<Id> {
        let arguments = self.template_arguments(state.is_some())?;
        if let Some(state) = state {
            state.ends_with_arguments = true;
        }
        Some(self.add(Node::Template(name, arguments)))
    }

    /// A name outside of classes and namespaces, or in `std`; and whether it is a substitution.
    pub(super) fn unscoped_name(&mut self, state: Option<&mut NameState>) -> Option<(Id, bool)> {
        let std = if self.eat_all(b"St") { Some(self.add(Node::Text("std"))) } else { None };
        let mut module = None;
        if self.peek() == b'S' {
            let substituted = self.substitution()?;
            if matches!(self.get(substituted), Node::Module { .. }) {
                module = Some(substituted);
            } else {
                return std.is_none().then_some((substituted, true));
            }
        }
        Some((self.unqualified_name(state, std, module)?, false))
    }

    fn this_qualifiers(&mut self) -> (Qualifiers, Reference) {
        let qualifiers = self.qualifiers();
        let reference = if self.eat(b'O') {
            Reference::Right
        } else if self.eat(b'R') {
            Reference::Left
        } else {
            Reference::None
        };
        (qualifiers, reference)
    }

    fn nested_name(&mut self, mut state: Option<&mut NameState>) -> Option<Id> {
        self.expect(b"N")?;
        let has_this = !self.is_gnu() && self.eat(b'H');
        let (qualifiers, reference) =
            if has_this { (Qualifiers::NONE, Reference::None) } else { self.this_qualifiers() };
        if let Some(state) = state.as_deref_mut() {
            state.has_this |= has_this;
            state.qualifiers = qualifiers;
            state.reference = reference;
        }
        let is_type = state.is_none();
        let name = self.prefix(state)?;
        let is_qualified = qualifiers != Qualifiers::NONE || reference != Reference::None;
        if self.is_gnu() && is_type && is_qualified {
            // No compiler does this, and no tool prints it well.
            if reference != Reference::None {
                return None;
            }
            return Some(self.add(Node::ThisQualified(name, qualifiers, reference)));
        }
        Some(name)
    }

    /// The parts of a nested name, up to its end.
    fn prefix(&mut self, mut state: Option<&mut NameState>) -> Option<Id> {
        let mut so_far: Option<Id> = None;
        let mut has_part = false;
        while !self.eat(b'E') {
            if let Some(state) = state.as_deref_mut() {
                state.ends_with_arguments = false;
                // To the binutils, only the last part tells.
                if self.is_gnu() && self.peek() != b'I' {
                    state.has_no_result = false;
                }
            }
            let (part, is_new) = self.prefix_part(so_far, state.as_deref_mut())?;
            so_far = Some(part);
            if is_new && !(self.is_gnu() && self.peek() == b'E') {
                self.remember(part);
            }
            // A mark of the member in whose initializer a lambda is.
            if is_new && (!self.is_gnu() || self.peek_at(1) == b'U') {
                self.eat(b'M');
            }
            has_part |= is_new;
        }
        if self.is_gnu() {
            // A substitution alone is no name of anything.
            return so_far.filter(|_| has_part);
        }
        // The whole is no candidate here: whoever asked for a type adds it.
        self.memory.substitutions.pop()?;
        so_far
    }

    /// The name with its next part, and whether it is no substitution.
    fn prefix_part(&mut self, so_far: Option<Id>, state: Option<&mut NameState>) -> Option<(Id, bool)> {
        let mut module = None;
        match (self.peek(), so_far) {
            (b'T', None) => return Some((self.template_parameter()?, true)),
            (b'T', Some(_)) => return None,
            (b'I', Some(name)) => {
                // No entity has arguments twice.
                if !self.is_gnu() && matches!(self.get(name), Node::Template(..)) {
                    return None;
                }
                return Some((self.with_arguments(name, state)?, true));
            }
            (b'I', None) => return None,
            (b'D', None) if matches!(self.peek_at(1), b't' | b'T') => return Some((self.decltype()?, true)),
            (b'S', _) => {
                let substituted = self.prefix_substitution()?;
                if matches!(self.get(substituted), Node::Module { .. }) {
                    module = Some(substituted);
                } else {
                    return so_far.is_none().then_some((substituted, false));
                }
            }
            _ => {}
        }
        Some((self.unqualified_name(state, so_far, module)?, true))
    }

    fn prefix_substitution(&mut self) -> Option<Id> {
        if self.eat_all(b"St") {
            return Some(self.add(Node::Text("std")));
        }
        self.substitution()
    }

    fn local_name(&mut self, state: Option<&mut NameState>) -> Option<Id> {
        self.expect(b"Z")?;
        let function = self.encoding()?;
        self.expect(b"E")?;
        if self.is_gnu() {
            // So that nobody takes it for that of what is local.
            self.forget_result(function);
        }
        if self.eat(b's') {
            self.discriminator()?;
            let literal = self.add(Node::Text("string literal"));
            return Some(self.add(Node::Local(function, literal)));
        }
        let entity = if self.is_gnu() {
            self.gnu_local_entity(state)?
        } else {
            self.with_own_levels(|parser| parser.llvm_local_entity(state))?
        };
        Some(self.add(Node::Local(function, entity)))
    }

    fn forget_result(&mut self, function: Id) {
        if let Node::Encoding(number) = self.get(function)
            && let Some(signature) = self.memory.arena.signatures.get_mut(number as usize)
        {
            signature.result = None;
        }
    }

    fn llvm_local_entity(&mut self, state: Option<&mut NameState>) -> Option<Id> {
        if self.eat(b'd') {
            self.signed();
            self.expect(b"_")?;
            return self.name(state);
        }
        let entity = self.name(state)?;
        self.discriminator()?;
        Some(entity)
    }

    fn gnu_local_entity(&mut self, state: Option<&mut NameState>) -> Option<Id> {
        if self.eat(b'd') {
            let number = self.index()?;
            let entity = self.name(state)?;
            return Some(self.add(Node::DefaultArgument(entity, number.checked_add(1)?)));
        }
        let entity = self.name(state)?;
        // The number of such a type is its own.
        if !matches!(self.get(entity), Node::Closure(_) | Node::Unnamed(_)) {
            self.discriminator()?;
        }
        Some(entity)
    }

    /// Which of the things of this name in the function it is, which nobody prints.
    fn discriminator(&mut self) -> Option<()> {
        if self.is_gnu() {
            return self.gnu_discriminator();
        }
        self.llvm_discriminator();
        Some(())
    }

    /// What LLVM does not take for a number is left to be read as something else.
    fn llvm_discriminator(&mut self) {
        let start = self.at;
        if self.eat_all(b"__") {
            self.digits();
            if !self.eat(b'_') {
                self.at = start;
            }
        } else if self.peek() == b'_' && self.peek_at(1).is_ascii_digit() {
            self.at += 2;
        } else {
            // Digits at the end of the name.
            self.digits();
            if !self.is_at_end() {
                self.at = start;
            }
        }
    }

    /// The binutils take no number for a number.
    fn gnu_discriminator(&mut self) -> Option<()> {
        if !self.eat(b'_') {
            return Some(());
        }
        let is_long = self.eat(b'_');
        let is_negative = self.eat(b'n');
        let number = if self.peek().is_ascii_digit() { self.number()? } else { 0 };
        if is_negative && number > 0 {
            return None;
        }
        if is_long && number >= 10 { self.expect(b"_") } else { Some(()) }
    }

    /// The names of a module in front of a name, if there are any.
    pub(super) fn module_name(&mut self, module: Option<Id>) -> Option<Option<Id>> {
        let mut module = module;
        while self.eat(b'W') {
            let is_partition = self.eat(b'P');
            let name = self.source_name()?;
            let whole = self.add(Node::Module { parent: module, name, is_partition });
            self.remember(whole);
            module = Some(whole);
        }
        Some(module)
    }

    pub(super) fn unqualified_name(
        &mut self,
        state: Option<&mut NameState>,
        scope: Option<Id>,
        module: Option<Id>,
    ) -> Option<Id> {
        let module = self.module_name(module)?;
        let is_friend = scope.is_some() && !self.is_gnu() && self.eat(b'F');
        let is_internal = self.eat(b'L');
        let mut scope = scope;
        let mut name = match self.peek() {
            b'1'..=b'9' if is_internal && self.is_gnu() => {
                let name = self.source_name()?;
                self.gnu_discriminator()?;
                name
            }
            b'1'..=b'9' => self.source_name()?,
            b'U' => self.unnamed(state)?,
            b'D' if self.peek_at(1) == b'C' => {
                self.at += 2;
                let names = self.list_until(b'E', Self::source_name)?;
                self.add(Node::Binding(names))
            }
            b'C' | b'D' if module.is_some() && !self.is_gnu() => return None,
            _ if is_internal && self.is_gnu() => return None,
            b'C' | b'D' if scope.is_some() => self.constructor(state, &mut scope)?,
            _ => self.operator_name(state)?,
        };
        if let Some(module) = module {
            name = self.add(Node::InModule(name, module));
        }
        name = self.tagged(name)?;
        Some(match scope {
            Some(scope) if is_friend => self.add(Node::Friend(scope, name)),
            Some(scope) => self.add(Node::Nested(scope, name)),
            None => name,
        })
    }

    /// Adds the ABI tags that follow.
    pub(super) fn tagged(&mut self, name: Id) -> Option<Id> {
        let mut name = name;
        while self.eat(b'B') {
            let tag = self.identifier()?;
            name = self.add(Node::Tagged(name, tag));
        }
        Some(name)
    }

    fn constructor(&mut self, mut state: Option<&mut NameState>, scope: &mut Option<Id>) -> Option<Id> {
        let class = (*scope)?;
        // `std::string::string` is a constructor of the template that it abbreviates.
        if let Node::Std { name, .. } = self.get(class) {
            *scope = Some(self.add(Node::Std { name, is_whole: true }));
        }
        if let Some(state) = state.as_deref_mut() {
            state.has_no_result = true;
        }
        let is_destructor = self.peek() == b'D';
        self.at += 1;
        let inherits = !is_destructor && self.eat(b'I');
        if !matches!(self.peek(), b'0'..=b'5') {
            return None;
        }
        self.at += 1;
        if inherits {
            // To LLVM, the template arguments of the class are in force from here on.
            let from = if self.is_gnu() { self.type_() } else { self.name(state) };
            from?;
        }
        // For the binutils, an inherited constructor has the name of where it comes from.
        let base = if self.is_gnu() { self.last_name } else { *scope };
        Some(self.add(if is_destructor { Node::Destructor(base) } else { Node::Constructor(base) }))
    }

    pub(super) fn operator_name(&mut self, state: Option<&mut NameState>) -> Option<Id> {
        match &self.peek_two() {
            b"cv" => {
                self.at += 2;
                return self.conversion(state);
            }
            b"li" => {
                self.at += 2;
                let name = self.source_name()?;
                return Some(self.add(Node::LiteralOperator(name)));
            }
            [b'v', b'0'..=b'9'] => {
                self.at += 2;
                let name = self.source_name()?;
                return Some(self.add(Node::Conversion(name)));
            }
            _ => {}
        }
        let number = tables::operator_number(self.peek_two())?;
        let operator = tables::operator(number);
        let names_function = match operator.used {
            Use::NamedCast | Use::Of(_) | Use::GnuOnly(_) | Use::Member(false) => false,
            // LLVM does not know that this one can be defined.
            Use::Member(true) => self.is_gnu() || operator.code != *b"pm",
            _ => true,
        };
        self.at += 2;
        names_function.then(|| self.add(Node::Operator(number)))
    }

    /// The type of a conversion operator. It may refer to template arguments that come behind the name.
    fn conversion(&mut self, state: Option<&mut NameState>) -> Option<Id> {
        let takes = std::mem::replace(&mut self.takes_arguments, false);
        let permits = self.permits_forwards;
        self.permits_forwards |= state.is_some();
        let type_ = self.type_();
        self.takes_arguments = takes;
        self.permits_forwards = permits;
        if let Some(state) = state {
            state.has_no_result = true;
        }
        let type_ = type_?;
        Some(self.add(Node::Conversion(type_)))
    }

    /// A lambda, unnamed type or block.
    pub(super) fn unnamed(&mut self, state: Option<&mut NameState>) -> Option<Id> {
        if state.is_some() && !self.is_gnu() {
            // Parameters refer to the innermost arguments, so those of the outside are gone.
            self.memory.levels.truncate(self.levels_base);
        }
        let code = self.peek_two();
        self.at += 2;
        match &code {
            b"Ut" => {
                let count = self.count()?;
                let name = self.add(Node::Unnamed(count));
                if self.is_gnu() {
                    self.remember(name);
                }
                Some(name)
            }
            b"Ul" => self.lambda(),
            b"Ub" if !self.is_gnu() => {
                self.signed();
                self.expect(b"_")?;
                Some(self.add(Node::Text("'block-literal'")))
            }
            _ => None,
        }
    }

    fn lambda(&mut self) -> Option<Id> {
        let level = self.memory.levels.len().saturating_sub(self.levels_base);
        let outer = self.lambda_level.replace(level);
        let list = self.open_level();
        let closure = self.lambda_inner(list);
        self.memory.levels.truncate(self.levels_base + level);
        self.lambda_level = outer;
        let closure = closure?;
        let number = self.memory.arena.closures.len() as u32;
        self.memory.arena.closures.push(closure);
        Some(self.add(Node::Closure(number)))
    }

    fn lambda_inner(&mut self, list: usize) -> Option<Closure> {
        let height = self.height();
        while self.is_parameter_declaration() {
            let parameter = self.parameter_declaration(Some(list))?;
            self.push(parameter);
        }
        let head = self.pop_list(height);
        if head.len() == 0 {
            // Then parameters of this level are `auto`.
            self.memory.levels.pop();
        }
        if self.is_gnu() {
            let parameters = self.gnu_parameters()?;
            self.expect(b"E")?;
            let count = self.count()?;
            return Some(Closure { head, head_requires: None, parameters, requires: None, count });
        }
        let head_requires = self.constraint()?;
        if !self.eat(b'v') {
            loop {
                let type_ = self.type_()?;
                self.push(type_);
                if matches!(self.peek(), b'E' | b'Q') {
                    break;
                }
            }
        }
        let parameters = self.pop_list(height);
        let requires = self.constraint()?;
        self.expect(b"E")?;
        let count = self.count()?;
        Some(Closure { head, head_requires, parameters, requires, count })
    }
}
