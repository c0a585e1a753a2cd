//! From the mangled name to its tree. Follows the grammar of the Itanium C++ ABI; what is not understood, or could only be
//! understood by guessing, ends in `None`.

use super::Dialect;
use super::node::{Arena, Exceptions, Id, List, Node, Qualifiers, Reference, Special};
use super::tables;

/// How deep a name may be nested. Compilers reach some hundred with template-heavy code.
const DEPTH_MAX: u32 = 300;

/// What follows from the name of a function for its type.
#[derive(Debug, Default)]
struct NameState {
    ends_with_arguments: bool,
    has_no_result: bool,
    qualifiers: Qualifiers,
    reference: Reference,
    /// The forward references that stood there before.
    forwards: usize,
}

/// What a substitution repeats.
#[derive(Debug, Clone, Copy)]
struct Substitution {
    id: Id,
    /// The context whose template parameters it contains; `None` if it has none.
    context: Option<u32>,
}

pub(super) struct Parser<'a> {
    input: &'a str,
    at: usize,
    dialect: Dialect,
    pub(super) arena: Arena<'a>,
    substitutions: Vec<Substitution>,
    /// Which encoding, or list of a lambda's parameters, is read: template parameters mean another thing in each.
    context: u32,
    contexts: u32,
    /// How many template parameters were read.
    parameters_read: u32,
    /// The template arguments that parameters refer to, by level.
    parameters: Vec<Vec<Id>>,
    /// The outermost arguments that were read, while the next one is.
    arguments_so_far: Vec<Id>,
    /// What the forward references turned out to be.
    pub(super) forwards: Vec<Option<Id>>,
    forward_indices: Vec<usize>,
    permits_forwards: bool,
    parses_arguments: bool,
    /// The level whose parameters a lambda's `auto` stand for, while its own are read.
    lambda_level: Option<usize>,
    depth: u32,
}

impl<'a> Parser<'a> {
    pub(super) fn new(input: &'a str, dialect: Dialect) -> Parser<'a> {
        Parser {
            input,
            at: 0,
            dialect,
            arena: Arena::default(),
            substitutions: Vec::new(),
            context: 0,
            contexts: 0,
            parameters_read: 0,
            parameters: Vec::new(),
            arguments_so_far: Vec::new(),
            forwards: Vec::new(),
            forward_indices: Vec::new(),
            permits_forwards: false,
            parses_arguments: true,
            lambda_level: None,
            depth: 0,
        }
    }

    /// The whole name: its tree, and what stands behind it (a suffix that begins with a dot, or nothing).
    pub(super) fn whole(&mut self) -> Option<(Id, &'a str)> {
        self.expect("_Z")?;
        let id = self.encoding()?;
        let rest = &self.input[self.at..];
        (rest.is_empty() || rest.starts_with('.')).then_some((id, rest))
    }

    // The input.

    fn peek(&self) -> u8 {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> u8 {
        self.input.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn eat(&mut self, text: &str) -> bool {
        let eaten = self.input.as_bytes()[self.at..].starts_with(text.as_bytes());
        self.at += if eaten { text.len() } else { 0 };
        eaten
    }

    fn expect(&mut self, text: &str) -> Option<()> {
        self.eat(text).then_some(())
    }

    /// Runs one step deeper, if there may be one.
    fn deeper<T>(&mut self, step: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    /// Decimal digits, perhaps none.
    fn digits(&mut self) -> &'a str {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        &self.input[start..self.at]
    }

    /// A number with an `n` for its sign.
    fn signed(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.eat("n");
        if self.digits().is_empty() {
            return None;
        }
        Some(&self.input[start..self.at])
    }

    /// A number to the base 36 before `_`, counted from 1; 0 if there is only the `_`.
    fn sequence(&mut self) -> Option<usize> {
        if self.eat("_") {
            return Some(0);
        }
        let mut number = 0_usize;
        while !self.eat("_") {
            let digit = match self.peek() {
                digit @ b'0'..=b'9' => digit - b'0',
                digit @ b'A'..=b'Z' => digit - b'A' + 10,
                _ => return None,
            };
            number = number.checked_mul(36)?.checked_add(usize::from(digit))?;
            self.at += 1;
        }
        number.checked_add(1)
    }

    /// A number before `_`, counted from 1; 0 if there is only the `_`.
    fn index(&mut self) -> Option<u64> {
        let digits = self.digits();
        self.expect("_")?;
        if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok()?.checked_add(1) }
    }

    fn add(&mut self, node: Node<'a>) -> Id {
        self.arena.add(node)
    }

    fn remember(&mut self, id: Id) -> Id {
        self.substitutions.push(Substitution { id, context: None });
        id
    }

    /// Remembers a type that was read since `parameters_read` template parameters were.
    fn remember_type(&mut self, id: Id, parameters_read: u32) -> Id {
        let context = (self.parameters_read > parameters_read).then_some(self.context);
        self.substitutions.push(Substitution { id, context });
        id
    }

    /// Runs a step in a context of its own.
    fn in_context<T>(&mut self, step: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.contexts += 1;
        let outer = std::mem::replace(&mut self.context, self.contexts);
        let result = step(self);
        self.context = outer;
        result
    }

    // Encodings.

    fn encoding(&mut self) -> Option<Id> {
        self.deeper(Self::encoding_inner)
    }

    fn encoding_inner(&mut self) -> Option<Id> {
        if matches!(self.peek(), b'G' | b'T') {
            return self.special_name();
        }
        // A name in a name has parameters of its own.
        let outer = std::mem::take(&mut self.parameters);
        let encoding = self.in_context(Self::function_or_object);
        self.parameters = outer;
        encoding
    }

    fn function_or_object(&mut self) -> Option<Id> {
        let mut state = NameState { forwards: self.forwards.len(), ..NameState::default() };
        let name = self.name(&mut Some(&mut state))?;
        self.resolve_forwards(&state)?;
        if matches!(self.peek(), 0 | b'E' | b'.') {
            return Some(name);
        }
        let result =
            if state.ends_with_arguments && !state.has_no_result { Some(self.type_()?) } else { None };
        let mut parameters = Vec::new();
        if !self.eat("v") {
            loop {
                parameters.push(self.type_()?);
                if matches!(self.peek(), 0 | b'E' | b'.') {
                    break;
                }
            }
        }
        let parameters = self.arena.list(&parameters);
        let NameState { qualifiers, reference, .. } = state;
        Some(self.add(Node::Encoding { result, name, parameters, qualifiers, reference }))
    }

    /// Gives the forward references of a name the arguments that came later.
    fn resolve_forwards(&mut self, state: &NameState) -> Option<()> {
        for forward in state.forwards..self.forwards.len() {
            let index = self.forward_indices[forward];
            self.forwards[forward] = Some(*self.parameters.first()?.get(index)?);
        }
        Some(())
    }

    fn special_name(&mut self) -> Option<Id> {
        let code = self.input.as_bytes().get(self.at..self.at + 2)?;
        if let Some((gnu, llvm)) = tables::special(code) {
            self.at += 2;
            let named = match code {
                b"TH" | b"TW" | b"GV" => self.name(&mut None)?,
                b"TA" => self.template_argument()?,
                _ => self.type_()?,
            };
            return Some(
                self.add(Node::Prefixed(if self.dialect == Dialect::Gnu { gnu } else { llvm }, named)),
            );
        }
        match code {
            b"TC" => {
                self.at += 2;
                let first = self.type_()?;
                self.signed()?;
                self.expect("_")?;
                let second = self.type_()?;
                Some(self.add(Node::InConstruction(second, first)))
            }
            b"Tc" => {
                self.at += 2;
                self.call_offset()?;
                self.call_offset()?;
                let function = self.encoding()?;
                Some(self.add(Node::Prefixed("covariant return thunk to ", function)))
            }
            b"Th" | b"Tv" => {
                self.at += 1;
                let words = if code == b"Th" { "non-virtual thunk to " } else { "virtual thunk to " };
                self.call_offset()?;
                let function = self.encoding()?;
                Some(self.add(Node::Prefixed(words, function)))
            }
            b"GR" => {
                self.at += 2;
                let object = self.name(&mut None)?;
                let number = self.sequence()?;
                Some(self.add(Node::ReferenceTemporary(object, number as u64)))
            }
            // LLVM does not know these.
            b"GT" if self.dialect == Dialect::Gnu => {
                self.at += 2;
                let words = match self.peek() {
                    b't' => "transaction clone for ",
                    b'n' => "non-transaction clone for ",
                    _ => return None,
                };
                self.at += 1;
                let function = self.encoding()?;
                Some(self.add(Node::Prefixed(words, function)))
            }
            _ => None,
        }
    }

    fn call_offset(&mut self) -> Option<()> {
        if self.eat("h") {
            self.signed()?;
            return self.expect("_");
        }
        self.expect("v")?;
        self.signed()?;
        self.expect("_")?;
        self.signed()?;
        self.expect("_")
    }

    // Names.

    fn name(&mut self, state: &mut Option<&mut NameState>) -> Option<Id> {
        self.deeper(|parser| parser.name_inner(state))
    }

    fn name_inner(&mut self, state: &mut Option<&mut NameState>) -> Option<Id> {
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
    fn unscoped_name(&mut self, state: &mut Option<&mut NameState>) -> Option<(Id, bool)> {
        if self.eat("St") {
            let std = self.add(Node::Name("std"));
            return Some((self.unqualified_name(state, Some(std))?, false));
        }
        if self.peek() == b'S' {
            return Some((self.substitution()?, true));
        }
        Some((self.unqualified_name(state, None)?, false))
    }

    fn nested_name(&mut self, state: &mut Option<&mut NameState>) -> Option<Id> {
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

    fn local_name(&mut self, state: &mut Option<&mut NameState>) -> Option<Id> {
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

    fn discriminator(&mut self) -> Option<()> {
        if self.eat("__") {
            self.digits();
            return self.expect("_");
        }
        if self.peek() == b'_' && self.peek_at(1).is_ascii_digit() {
            self.at += 2;
        }
        Some(())
    }

    fn unqualified_name(&mut self, state: &mut Option<&mut NameState>, scope: Option<Id>) -> Option<Id> {
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

    fn constructor(&mut self, state: &mut Option<&mut NameState>, scope: &mut Option<Id>) -> Option<Id> {
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

    fn operator_name(&mut self, state: &mut Option<&mut NameState>) -> Option<Id> {
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

    fn identifier(&mut self) -> Option<&'a str> {
        let length: usize = self.digits().parse().ok().filter(|length| *length > 0)?;
        let name = self.input.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(name)
    }

    fn source_name(&mut self) -> Option<Id> {
        let name = self.identifier()?;
        Some(self.add(Node::Name(if name.starts_with("_GLOBAL__N") {
            "(anonymous namespace)"
        } else {
            name
        })))
    }

    fn unnamed_type(&mut self) -> Option<Id> {
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

    fn substitution(&mut self) -> Option<Id> {
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

    // Template arguments.

    fn template_arguments(&mut self, is_outermost: bool) -> Option<List> {
        self.deeper(|parser| parser.template_arguments_inner(is_outermost))
    }

    fn template_arguments_inner(&mut self, is_outermost: bool) -> Option<List> {
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

    fn template_argument(&mut self) -> Option<Id> {
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
    fn declared_argument(&mut self) -> Option<Id> {
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

    fn template_parameter(&mut self) -> Option<Id> {
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

    // Types.

    fn qualifiers(&mut self) -> Qualifiers {
        let mut qualifiers = 0;
        for (letter, bit) in
            [("r", Qualifiers::RESTRICT), ("V", Qualifiers::VOLATILE), ("K", Qualifiers::CONST)]
        {
            if self.eat(letter) {
                qualifiers |= bit;
            }
        }
        Qualifiers(qualifiers)
    }

    fn type_(&mut self) -> Option<Id> {
        self.deeper(Self::type_inner)
    }

    fn type_inner(&mut self) -> Option<Id> {
        let parameters_read = self.parameters_read;
        let found = match self.peek() {
            b'r' | b'V' | b'K' => {
                let mut behind = 0;
                while matches!(self.peek_at(behind), b'r' | b'V' | b'K') {
                    behind += 1;
                }
                let is_function = self.peek_at(behind) == b'F'
                    || (self.peek_at(behind) == b'D'
                        && matches!(self.peek_at(behind + 1), b'o' | b'O' | b'w' | b'x'));
                if is_function { self.function_type()? } else { self.qualified_type()? }
            }
            b'U' if !matches!(self.peek_at(1), b'l' | b't') => self.vendor_qualified()?,
            b'u' => {
                self.at += 1;
                let name = self.source_name()?;
                // Built into the compiler, with arguments: too rare to know how each tool spells it.
                if self.peek() == b'I' {
                    return None;
                }
                self.remember(name)
            }
            b'D' => return self.type_with_d(),
            b'F' => self.function_type()?,
            b'A' => self.array_type()?,
            b'M' => {
                self.at += 1;
                let class = self.type_()?;
                let member = self.type_()?;
                self.add(Node::MemberPointer(class, member))
            }
            b'T' => {
                if let b's' | b'u' | b'e' = self.peek_at(1) {
                    let words = match self.peek_at(1) {
                        b's' => "struct",
                        b'u' => "union",
                        _ => "enum",
                    };
                    self.at += 2;
                    let name = self.name(&mut None)?;
                    self.add(Node::Elaborated(words, name))
                } else {
                    let parameter = self.template_parameter()?;
                    if self.parses_arguments && self.peek() == b'I' {
                        self.remember(parameter);
                        let arguments = self.template_arguments(false)?;
                        self.add(Node::WithArguments(parameter, arguments))
                    } else {
                        parameter
                    }
                }
            }
            b'P' => {
                self.at += 1;
                let pointee = self.type_()?;
                self.add(Node::Pointer(pointee))
            }
            b'R' | b'O' => {
                let kind = if self.peek() == b'R' { Reference::Left } else { Reference::Right };
                self.at += 1;
                let referred = self.type_()?;
                self.add(Node::Reference(referred, kind))
            }
            b'C' | b'G' => {
                let words = match (self.peek(), self.dialect) {
                    (b'C', Dialect::Gnu) => " _Complex",
                    (b'C', Dialect::Llvm) => " complex",
                    (_, Dialect::Gnu) => " _Imaginary",
                    (_, Dialect::Llvm) => " imaginary",
                };
                self.at += 1;
                let part = self.type_()?;
                self.add(Node::Suffixed(part, words))
            }
            b'S' if self.peek_at(1) != b't' => {
                let name = self.substitution()?;
                if !(self.parses_arguments && self.peek() == b'I') {
                    return Some(name);
                }
                let arguments = self.template_arguments(false)?;
                self.add(Node::WithArguments(name, arguments))
            }
            letter => match tables::builtin(letter) {
                Some(name) => {
                    self.at += 1;
                    return Some(self.add(Node::Name(name)));
                }
                None => self.name(&mut None)?,
            },
        };
        Some(self.remember_type(found, parameters_read))
    }

    fn qualified_type(&mut self) -> Option<Id> {
        let qualifiers = self.qualifiers();
        let type_ = self.type_()?;
        Some(self.add(Node::Qualified(type_, qualifiers)))
    }

    fn vendor_qualified(&mut self) -> Option<Id> {
        self.expect("U")?;
        let name = self.identifier()?;
        let arguments = if self.peek() == b'I' { self.template_arguments(false)? } else { List::EMPTY };
        let type_ = self.type_()?;
        // Objective-C's blocks and protocols are spelled in ways of their own.
        if name.starts_with("objcproto") || name == "objc" {
            return None;
        }
        Some(self.add(Node::VendorQualified(type_, name, arguments)))
    }

    fn type_with_d(&mut self) -> Option<Id> {
        let gnu = self.dialect == Dialect::Gnu;
        let name = match self.peek_at(1) {
            b'd' => "decimal64",
            b'e' => "decimal128",
            b'f' => "decimal32",
            b'h' => "half",
            b'i' => "char32_t",
            b's' => "char16_t",
            b'u' => "char8_t",
            b'a' => "auto",
            b'c' => "decltype(auto)",
            b'n' if gnu => "decltype(nullptr)",
            b'n' => "std::nullptr_t",
            b'F' => {
                self.at += 2;
                let digits = self.digits();
                self.expect("_")?;
                return Some(self.add(Node::FloatOf(digits)));
            }
            b'B' | b'U' => {
                let is_signed = self.peek_at(1) == b'B';
                self.at += 2;
                let digits = self.digits();
                self.expect("_")?;
                if digits.is_empty() {
                    return None;
                }
                return Some(self.add(Node::BitInt(digits, is_signed)));
            }
            b't' | b'T' => {
                let type_ = self.decltype()?;
                return Some(self.remember(type_));
            }
            b'p' => {
                self.at += 2;
                let pattern = self.type_()?;
                let expansion = self.add(Node::PackExpansion(pattern));
                return Some(self.remember(expansion));
            }
            b'o' | b'O' | b'w' | b'x' => {
                let type_ = self.function_type()?;
                return Some(self.remember(type_));
            }
            b'v' => {
                self.at += 2;
                let type_ = self.vector_type()?;
                return Some(self.remember(type_));
            }
            _ => return None,
        };
        self.at += 2;
        Some(self.add(Node::Name(name)))
    }

    fn vector_type(&mut self) -> Option<Id> {
        let length = if self.eat("_") {
            self.expression()?
        } else {
            let digits = self.digits();
            if digits.is_empty() {
                return None;
            }
            self.add(Node::Name(digits))
        };
        self.expect("_")?;
        let element = self.type_()?;
        Some(self.add(Node::Vector(element, length)))
    }

    fn function_type(&mut self) -> Option<Id> {
        let qualifiers = self.qualifiers();
        let exceptions = if self.eat("Do") {
            Exceptions::Noexcept
        } else if self.eat("DO") {
            let condition = self.expression()?;
            self.expect("E")?;
            Exceptions::NoexceptIf(condition)
        } else if self.eat("Dw") {
            let mut types = Vec::new();
            while !self.eat("E") {
                types.push(self.type_()?);
            }
            Exceptions::Throws(self.arena.list(&types))
        } else {
            Exceptions::Unsaid
        };
        if self.eat("Dx") {
            return None;
        }
        self.expect("F")?;
        self.eat("Y");
        let result = self.type_()?;
        let mut parameters = Vec::new();
        let reference = loop {
            if self.eat("E") {
                break Reference::None;
            } else if self.eat("RE") {
                break Reference::Left;
            } else if self.eat("OE") {
                break Reference::Right;
            } else if self.eat("v") {
                continue;
            }
            parameters.push(self.type_()?);
        };
        let parameters = self.arena.list(&parameters);
        Some(self.add(Node::Function { result, parameters, qualifiers, reference, exceptions }))
    }

    fn array_type(&mut self) -> Option<Id> {
        self.expect("A")?;
        let length = if self.peek() == b'_' {
            None
        } else if self.peek().is_ascii_digit() {
            let digits = self.digits();
            Some(self.add(Node::Name(digits)))
        } else {
            Some(self.expression()?)
        };
        self.expect("_")?;
        let element = self.type_()?;
        Some(self.add(Node::Array(element, length)))
    }

    fn decltype(&mut self) -> Option<Id> {
        self.expect("D")?;
        self.at += 1;
        let expression = self.expression()?;
        self.expect("E")?;
        Some(self.add(Node::Decltype(expression)))
    }

    // Expressions: those of which all tools print the same. The others leave the name mangled.

    fn expression(&mut self) -> Option<Id> {
        self.deeper(|parser| match (parser.peek(), parser.peek_at(1)) {
            (b'L', _) => parser.primary(),
            (b'T', _) => parser.template_parameter(),
            (b's', b'Z') => {
                parser.at += 2;
                let pack = parser.template_parameter()?;
                Some(parser.add(Node::SizeofPack(pack)))
            }
            (b's', b'p') => {
                parser.at += 2;
                let pattern = parser.expression()?;
                Some(parser.add(Node::PackExpansion(pattern)))
            }
            (b'a', b'd') if parser.peek_at(2) == b'L' => {
                parser.at += 2;
                let object = parser.primary()?;
                Some(parser.add(Node::AddressOf(object)))
            }
            (b's', b'r') => {
                parser.at += 2;
                parser.unresolved_name()
            }
            (b'1'..=b'9', _) => parser.simple_name(),
            (b'n', b't') => {
                parser.at += 2;
                let condition = parser.expression()?;
                let is_simple = matches!(parser.arena.get(condition), Node::Name(_) | Node::Nested(..));
                is_simple.then(|| parser.add(Node::Not(condition)))
            }
            (b'a', b'a') | (b'o', b'o') if parser.dialect == Dialect::Llvm => parser.both(),
            (b'c', b'l') if parser.dialect == Dialect::Llvm => {
                parser.at += 2;
                let callee = parser.expression()?;
                let mut arguments = Vec::new();
                while !parser.eat("E") {
                    arguments.push(parser.expression()?);
                }
                let arguments = parser.arena.list(&arguments);
                Some(parser.add(Node::Call(callee, arguments)))
            }
            _ => None,
        })
    }

    /// Two conditions that both, or of which one, must hold. The binutils have brackets of their own.
    fn both(&mut self) -> Option<Id> {
        let operator = if self.peek() == b'a' { " && " } else { " || " };
        self.at += 2;
        let mut side = || {
            let condition = self.expression()?;
            // Where another operator binds less, LLVM has brackets.
            (!matches!(self.arena.get(condition), Node::Both(..))).then_some(condition)
        };
        let (left, right) = (side()?, side()?);
        Some(self.add(Node::Both(left, operator, right)))
    }

    /// An identifier with its template arguments.
    fn simple_name(&mut self) -> Option<Id> {
        let name = self.source_name()?;
        if self.peek() != b'I' {
            return Some(name);
        }
        let arguments = self.template_arguments(false)?;
        Some(self.add(Node::WithArguments(name, arguments)))
    }

    /// A member of something that depends on a template parameter.
    fn unresolved_name(&mut self) -> Option<Id> {
        let mut scope;
        if self.peek().is_ascii_digit() {
            scope = self.simple_name()?;
            while !self.eat("E") {
                let name = self.simple_name()?;
                scope = self.add(Node::Nested(scope, name));
            }
        } else if matches!(self.peek(), b'T' | b'S') {
            scope = if self.peek() == b'T' { self.template_parameter()? } else { self.substitution()? };
            if self.peek() == b'I' {
                let arguments = self.template_arguments(false)?;
                scope = self.add(Node::WithArguments(scope, arguments));
            }
        } else {
            return None;
        }
        let member = self.simple_name()?;
        Some(self.add(Node::Nested(scope, member)))
    }

    /// A literal, or the name of an object or function.
    fn primary(&mut self) -> Option<Id> {
        self.expect("L")?;
        let literal = match self.peek() {
            b'_' if self.peek_at(1) == b'Z' => {
                self.at += 2;
                let named = self.encoding()?;
                self.expect("E")?;
                return Some(self.add(Node::External(named)));
            }
            b'b' if self.peek_at(2) == b'E' => {
                let value = self.peek_at(1) == b'1';
                self.at += 2;
                Node::Bool(value)
            }
            b'D' if self.eat("Dn0") || self.eat("Dn") => Node::Nullptr,
            letter => {
                let suffix = match letter {
                    b'i' => Some(""),
                    b'j' => Some("u"),
                    b'l' => Some("l"),
                    b'm' => Some("ul"),
                    b'x' => Some("ll"),
                    b'y' => Some("ull"),
                    // Floating-point numbers are their bits; strings and closures have no value here.
                    b'f' | b'd' | b'e' | b'A' => return None,
                    _ => None,
                };
                match suffix {
                    Some(suffix) => {
                        self.at += 1;
                        Node::Integer(self.signed()?, suffix)
                    }
                    None => {
                        let type_ = self.type_()?;
                        Node::Literal(type_, self.signed()?)
                    }
                }
            }
        };
        self.expect("E")?;
        Some(self.add(literal))
    }
}
