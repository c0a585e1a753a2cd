//! Types.

use super::Parser;
use crate::node::{Id, Node, Qualifiers, Reference, Signature};
use crate::tables;

impl Parser<'_, '_> {
    pub(super) fn qualifiers(&mut self) -> Qualifiers {
        let mut bits = 0;
        for (letter, bit) in
            [(b'r', Qualifiers::RESTRICT), (b'V', Qualifiers::VOLATILE), (b'K', Qualifiers::CONST)]
        {
            if self.eat(letter) {
                bits |= bit;
            }
        }
        Qualifiers(bits)
    }

    pub(super) fn type_(&mut self) -> Option<Id> {
        self.deeper(|parser| {
            let (type_, is_candidate) = parser.type_and_whether_new()?;
            if is_candidate {
                parser.remember(type_);
            }
            Some(type_)
        })
    }

    /// A type, and whether it may be substituted later.
    fn type_and_whether_new(&mut self) -> Option<(Id, bool)> {
        let letter = self.peek();
        if let Some(name) = tables::builtin(letter) {
            self.at += 1;
            return Some((self.add(Node::Text(name)), false));
        }
        let type_ = match letter {
            b'r' | b'V' | b'K' => self.qualified_type()?,
            b'U' => self.vendor_qualified()?,
            b'u' => self.vendor_type()?,
            b'D' => return self.type_with_d(),
            b'F' => self.function_type()?,
            b'A' => self.array_type()?,
            b'M' => {
                self.at += 1;
                let class = self.type_()?;
                let member = self.type_()?;
                self.add(Node::MemberPointer(class, member))
            }
            b'T' => self.type_with_t()?,
            b'P' => {
                self.at += 1;
                let pointee = self.type_()?;
                self.add(Node::Pointer(pointee))
            }
            b'R' | b'O' => {
                self.at += 1;
                let kind = if letter == b'R' { Reference::Left } else { Reference::Right };
                let referred = self.type_()?;
                self.add(Node::Reference(referred, kind))
            }
            b'C' | b'G' => self.suffixed_type(letter)?,
            b'S' if self.peek_at(1) != b't' => return self.type_with_s(),
            _ => self.name(None)?,
        };
        Some((type_, true))
    }

    fn suffixed_type(&mut self, letter: u8) -> Option<Id> {
        self.at += 1;
        let words = match (letter, self.is_gnu()) {
            (b'C', true) => " _Complex",
            (b'C', false) => " complex",
            (_, true) => " _Imaginary",
            (_, false) => " imaginary",
        };
        let part = self.type_()?;
        Some(self.add(Node::Complex(part, words)))
    }

    fn is_function_type(&self) -> bool {
        let mut ahead = 0;
        for letter in [b'r', b'V', b'K'] {
            ahead += usize::from(self.peek_at(ahead) == letter);
        }
        match self.peek_at(ahead) {
            b'F' => true,
            b'D' => matches!(self.peek_at(ahead + 1), b'o' | b'O' | b'w' | b'x'),
            _ => false,
        }
    }

    fn qualified_type(&mut self) -> Option<Id> {
        if self.is_function_type() {
            return self.function_type();
        }
        let qualifiers = self.qualifiers();
        // In another order, or twice, nobody mangles them, and each tool reads them in its own way.
        if self.is_gnu() && matches!(self.peek(), b'r' | b'V' | b'K') {
            return None;
        }
        let type_ = self.type_()?;
        Some(self.add(Node::Qualified(type_, qualifiers)))
    }

    fn vendor_qualified(&mut self) -> Option<Id> {
        self.expect(b"U")?;
        let name = self.identifier()?;
        // The types of Objective-C are spelled in ways of their own.
        if self.spanned(name).starts_with("objcproto") {
            return None;
        }
        let arguments = if self.peek() == b'I' {
            let list = self.template_arguments(false)?;
            Some(self.add(Node::Arguments(list)))
        } else {
            None
        };
        let type_ = match self.peek() {
            // To LLVM, what is qualified more than once is no candidate in between.
            b'U' if !self.is_gnu() => self.deeper(Self::vendor_qualified)?,
            b'r' | b'V' | b'K' if !self.is_gnu() && !self.is_function_type() => self.qualified_type()?,
            _ => self.type_()?,
        };
        Some(self.add(Node::VendorQualified(type_, name, arguments)))
    }

    fn vendor_type(&mut self) -> Option<Id> {
        self.expect(b"u")?;
        let name = self.identifier()?;
        if self.peek() != b'I' {
            let name = self.add(Node::Name(name));
            return Some(self.add(Node::Elaborated("", name)));
        }
        // The binutils know no arguments of these.
        if self.is_gnu() {
            return None;
        }
        self.at += 1;
        let argument = self.type_()?;
        self.expect(b"E")?;
        Some(self.add(Node::VendorType(name, argument)))
    }

    fn type_with_t(&mut self) -> Option<Id> {
        let words = match self.peek_at(1) {
            b's' => "struct ",
            b'u' => "union ",
            b'e' => "enum ",
            _ => return self.parameter_type(),
        };
        if self.is_gnu() {
            return None;
        }
        self.at += 2;
        let name = self.name(None)?;
        Some(self.add(Node::Elaborated(words, name)))
    }

    /// A template parameter, which may be a template.
    fn parameter_type(&mut self) -> Option<Id> {
        let parameter = self.template_parameter()?;
        if self.peek() != b'I' {
            return Some(parameter);
        }
        if self.takes_arguments {
            // LLVM forgets that the template alone is a candidate.
            if self.is_gnu() {
                self.remember(parameter);
            }
            return self.with_arguments(parameter, None);
        }
        if self.is_gnu() { self.parameter_of_conversion(parameter) } else { Some(parameter) }
    }

    /// In a conversion to `T_`, the arguments that follow are those of the conversion, unless others follow them.
    fn parameter_of_conversion(&mut self, parameter: Id) -> Option<Id> {
        let (at, height) = (self.at, self.height());
        let substitutions = self.memory.substitutions.len();
        let arguments = self.template_arguments(false);
        if self.peek() == b'I' {
            self.remember(parameter);
            return Some(self.add(Node::Template(parameter, arguments?)));
        }
        self.at = at;
        self.memory.stack.truncate(height);
        self.memory.substitutions.truncate(substitutions);
        Some(parameter)
    }

    fn type_with_s(&mut self) -> Option<(Id, bool)> {
        let (name, is_substituted) = self.unscoped_name(None)?;
        if self.peek() == b'I' && (!is_substituted || self.takes_arguments || self.is_gnu()) {
            if !is_substituted {
                self.remember(name);
            }
            return Some((self.with_arguments(name, None)?, true));
        }
        Some((name, !is_substituted))
    }

    fn type_with_d(&mut self) -> Option<(Id, bool)> {
        let letter = self.peek_at(1);
        if let Some(name) = tables::builtin_d(letter) {
            self.at += 2;
            return Some((self.add(Node::Text(name)), false));
        }
        let (type_, is_candidate) = match letter {
            b'n' => {
                self.at += 2;
                let name = if self.is_gnu() { "decltype(nullptr)" } else { "std::nullptr_t" };
                (self.add(Node::Text(name)), false)
            }
            b'F' => (self.float_type()?, false),
            b'B' | b'U' if !self.is_gnu() => (self.bit_int()?, false),
            b'k' | b'K' if !self.is_gnu() => (self.placeholder()?, true),
            b't' | b'T' => (self.decltype()?, true),
            b'p' => {
                self.at += 2;
                let pattern = self.type_()?;
                (self.add(Node::Expansion(pattern)), true)
            }
            b'o' | b'O' | b'w' | b'x' => (self.function_type()?, true),
            b'v' => (self.vector_type()?, true),
            _ => return None,
        };
        Some((type_, is_candidate))
    }

    fn float_type(&mut self) -> Option<Id> {
        self.at += 2;
        let digits = self.digits();
        if self.is_gnu() && digits.start == digits.end {
            return None;
        }
        let is_brain = self.is_gnu() && self.spanned(digits) == "16" && self.eat(b'b');
        if !is_brain {
            if self.is_gnu() && self.eat(b'x') {
                return Some(self.add(Node::FloatOf(self.span_from(digits.start as usize), false)));
            }
            self.expect(b"_")?;
        }
        Some(self.add(Node::FloatOf(digits, is_brain)))
    }

    fn bit_int(&mut self) -> Option<Id> {
        let is_signed = self.peek_at(1) == b'B';
        self.at += 2;
        let size = self.size()?;
        self.expect(b"_")?;
        Some(self.add(Node::BitInt(size, is_signed)))
    }

    /// A number, or an expression for one.
    fn size(&mut self) -> Option<Id> {
        if !self.peek().is_ascii_digit() {
            return self.expression();
        }
        let digits = self.digits();
        Some(self.add(Node::Name(digits)))
    }

    /// `auto` that is constrained.
    fn placeholder(&mut self) -> Option<Id> {
        let words = if self.peek_at(1) == b'k' { " auto" } else { " decltype(auto)" };
        self.at += 2;
        let constraint = self.name(None)?;
        Some(self.add(Node::Suffixed(constraint, words)))
    }

    fn vector_type(&mut self) -> Option<Id> {
        self.at += 2;
        let size = if self.is_gnu() { Some(self.gnu_vector_size()?) } else { self.llvm_vector_size()? };
        if let Some(size) = size {
            self.expect(b"_")?;
            if !self.is_gnu() && self.eat(b'p') {
                return Some(self.add(Node::PixelVector(size)));
            }
        }
        let element = self.type_()?;
        Some(self.add(Node::Vector(element, size)))
    }

    fn gnu_vector_size(&mut self) -> Option<Id> {
        if self.eat(b'_') {
            return self.expression();
        }
        self.peek().is_ascii_digit().then(|| self.size())?
    }

    /// LLVM takes a `_` for no size, and an expression without one.
    fn llvm_vector_size(&mut self) -> Option<Option<Id>> {
        if self.eat(b'_') { Some(None) } else { self.size().map(Some) }
    }

    /// What a function type says about exceptions and transactions.
    fn exceptions(&mut self) -> Option<Option<Id>> {
        let said = if self.eat_all(b"Do") {
            Some(self.add(Node::Text("noexcept")))
        } else if self.eat_all(b"DO") {
            let condition = self.expression()?;
            self.expect(b"E")?;
            Some(self.add(Node::Noexcept(condition)))
        } else if self.eat_all(b"Dw") {
            let types = self.list_until(b'E', Self::type_)?;
            Some(self.add(Node::Throws(types)))
        } else {
            None
        };
        let is_safe = self.eat_all(b"Dx");
        match (is_safe && self.is_gnu(), said) {
            (false, said) => Some(said),
            (true, None) => Some(Some(self.add(Node::Text("transaction_safe")))),
            (true, Some(_)) => None,
        }
    }

    fn function_type(&mut self) -> Option<Id> {
        let qualifiers = self.qualifiers();
        let extra = self.exceptions()?;
        self.expect(b"F")?;
        self.eat(b'Y');
        let result = Some(self.type_()?);
        let height = self.height();
        let parameters = if self.is_gnu() {
            self.gnu_parameters()?
        } else {
            while !(self.peek() == b'E' || (self.peek_at(1) == b'E' && matches!(self.peek(), b'R' | b'O'))) {
                if !self.eat(b'v') {
                    let type_ = self.type_()?;
                    self.push(type_);
                }
            }
            self.pop_list(height)
        };
        let reference = if self.eat(b'R') {
            Reference::Left
        } else if self.eat(b'O') {
            Reference::Right
        } else {
            Reference::None
        };
        self.expect(b"E")?;
        Some(self.signature(Signature {
            name: None,
            result,
            parameters,
            qualifiers,
            reference,
            extra,
            requires: None,
        }))
    }

    fn array_type(&mut self) -> Option<Id> {
        self.expect(b"A")?;
        let size = if self.peek() == b'_' { None } else { Some(self.size()?) };
        self.expect(b"_")?;
        let element = self.type_()?;
        Some(self.add(Node::Array(element, size)))
    }

    pub(super) fn decltype(&mut self) -> Option<Id> {
        self.at += 2;
        let expression = self.expression()?;
        self.expect(b"E")?;
        Some(self.add(Node::Decltype(expression)))
    }
}
