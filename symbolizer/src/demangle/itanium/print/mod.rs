//! From the tree of a name to its text. A type is written in two halves around what it declares: `int (*` and `)[3]`.

mod parts;

use self::parts::short;
use super::node::{Id, List, Node, Qualifiers, Reference};
use super::parse::Parser;
use super::{Dialect, NAME_BYTES_MAX};

/// How deep printing may nest.
const DEPTH_MAX: u32 = 500;

/// Steps of one name. Names that repeat themselves exponentially end here; honest ones take some hundred.
const STEPS_MAX: u32 = 100_000;

pub(super) struct Printer<'p, 'a> {
    parser: &'p Parser<'a>,
    dialect: Dialect,
    pub(super) text: String,
    depth: u32,
    steps: u32,
    /// Which element of packs is written, and of how many, while a pack is expanded.
    pack: Option<Pack>,
    /// Where the last empty item of a list was left out.
    dropped_at: Option<usize>,
}

#[derive(Clone, Copy)]
struct Pack {
    index: u32,
    /// Not known before the first pack is met.
    length: Option<u32>,
}

impl<'p, 'a> Printer<'p, 'a> {
    pub(super) fn new(parser: &'p Parser<'a>, dialect: Dialect) -> Printer<'p, 'a> {
        Printer { parser, dialect, text: String::new(), depth: 0, steps: 0, pack: None, dropped_at: None }
    }

    fn node(&self, id: Id) -> Node<'a> {
        self.parser.arena.get(id)
    }

    fn push(&mut self, text: &str) -> Option<()> {
        if self.text.len() + text.len() > NAME_BYTES_MAX {
            return None;
        }
        self.text.push_str(text);
        Some(())
    }

    fn step(&mut self) -> Option<()> {
        self.steps += 1;
        (self.steps <= STEPS_MAX && self.depth < DEPTH_MAX).then_some(())
    }

    /// Writes a node as a whole.
    pub(super) fn print(&mut self, id: Id) -> Option<()> {
        self.left(id)?;
        self.right(id)
    }

    /// What a forward reference, or the element of a pack that is written now, stands for.
    fn resolved(&mut self, id: Id) -> Option<Id> {
        let mut id = id;
        for _ in 0..DEPTH_MAX {
            id = match self.node(id) {
                Node::Forward(number) => (*self.parser.forwards.get(number as usize)?)?,
                Node::ParameterPack(list) => match self.element(list) {
                    Some(element) => element,
                    None => return Some(id),
                },
                _ => return Some(id),
            };
        }
        None
    }

    /// The element of a pack that is written now.
    fn element(&mut self, list: List) -> Option<Id> {
        let pack = self.pack.as_mut()?;
        pack.length.get_or_insert(list.length);
        self.parser.arena.items(list).get(pack.index as usize).copied()
    }

    fn has_array(&mut self, id: Id) -> bool {
        self.declares(id, |node| matches!(node, Node::Array(..)))
    }

    fn has_function(&mut self, id: Id) -> bool {
        self.declares(id, |node| matches!(node, Node::Function { .. }))
    }

    fn declares(&mut self, id: Id, wanted: fn(Node<'a>) -> bool) -> bool {
        let mut id = id;
        for _ in 0..DEPTH_MAX {
            let Some(resolved) = self.resolved(id) else { return false };
            match self.node(resolved) {
                Node::Qualified(inner, _) | Node::VendorQualified(inner, ..) => id = inner,
                node => return wanted(node),
            }
        }
        false
    }

    /// Whether something of a type stands behind what it declares.
    fn has_right(&mut self, id: Id) -> bool {
        let mut id = id;
        for _ in 0..DEPTH_MAX {
            let Some(resolved) = self.resolved(id) else { return false };
            match self.node(resolved) {
                Node::Qualified(inner, _)
                | Node::VendorQualified(inner, ..)
                | Node::Pointer(inner)
                | Node::Reference(inner, _)
                | Node::MemberPointer(_, inner) => id = inner,
                node => {
                    return matches!(node, Node::Array(..) | Node::Function { .. } | Node::Encoding { .. });
                }
            }
        }
        false
    }

    fn left(&mut self, id: Id) -> Option<()> {
        self.step()?;
        self.depth += 1;
        let done = self.left_inner(id);
        self.depth -= 1;
        done
    }

    fn left_inner(&mut self, id: Id) -> Option<()> {
        match self.node(id) {
            Node::Name(name) => self.push(name),
            Node::Special(special) => self.push(short(special)),
            Node::SpecialWhole(special) => self.special_whole(special),
            Node::Nested(scope, name) => {
                self.print(scope)?;
                self.push("::")?;
                self.print(name)
            }
            Node::Local(function, entity) => {
                self.local_function(function)?;
                self.push("::")?;
                self.print(entity)
            }
            Node::WithArguments(name, arguments) => {
                self.print(name)?;
                self.arguments(arguments)
            }
            Node::ArgumentPack(list) => self.list(list),
            Node::ParameterPack(list) => match self.element(list) {
                Some(element) => self.left(element),
                // Nothing is expanded: the pack as a whole.
                None if self.pack.is_none() => self.list(list),
                None => Some(()),
            },
            Node::PackExpansion(pattern) => self.expansion(pattern),
            Node::Forward(_) => {
                let target = self.resolved(id)?;
                self.left(target)
            }
            Node::Qualified(inner, qualifiers) => {
                self.left(inner)?;
                // What a template argument is already, GNU does not say again.
                let said = match (self.dialect, self.resolved(inner).map(|inner| self.node(inner))) {
                    (Dialect::Gnu, Some(Node::Qualified(_, said))) => said.0,
                    _ => 0,
                };
                self.qualifiers(Qualifiers(qualifiers.0 & !said))
            }
            Node::VendorQualified(inner, name, arguments) => {
                self.left(inner)?;
                self.push(" ")?;
                self.push(name)?;
                if arguments.length > 0 { self.arguments(arguments) } else { Some(()) }
            }
            Node::Pointer(pointee) => {
                self.left(pointee)?;
                self.open_declarator(pointee)?;
                self.push("*")
            }
            Node::Reference(..) => {
                let (referred, kind) = self.collapsed(id)?;
                self.left(referred)?;
                self.open_declarator(referred)?;
                self.push(if kind == Reference::Left { "&" } else { "&&" })
            }
            Node::MemberPointer(class, member) => {
                self.left(member)?;
                if self.has_array(member) || self.has_function(member) {
                    self.open_declarator(member)?;
                } else {
                    self.push(" ")?;
                }
                self.print(class)?;
                self.push("::*")
            }
            Node::Array(element, _) => self.left(element),
            Node::Function { result, .. } => {
                self.left(result)?;
                self.push(" ")
            }
            Node::Encoding { result, name, .. } => {
                if let Some(result) = result {
                    self.left(result)?;
                    if !self.has_right(result) {
                        self.push(" ")?;
                    }
                }
                self.print(name)
            }
            Node::Prefixed(words, named) => {
                self.push(words)?;
                self.print(named)
            }
            Node::InConstruction(first, second) => {
                self.push("construction vtable for ")?;
                self.print(first)?;
                self.push("-in-")?;
                self.print(second)
            }
            Node::ReferenceTemporary(object, number) => {
                match self.dialect {
                    Dialect::Gnu => self.push(&format!("reference temporary #{number} for "))?,
                    Dialect::Llvm => self.push("reference temporary for ")?,
                }
                self.print(object)
            }
            Node::Constructor(class) => self.base_name(class),
            Node::Destructor(class) => {
                self.push("~")?;
                self.base_name(class)
            }
            Node::Conversion(type_) => {
                self.push("operator ")?;
                self.print(type_)
            }
            Node::LiteralOperator(name) => {
                self.push("operator\"\" ")?;
                self.push(name)
            }
            Node::Operator(operator) => {
                self.push("operator")?;
                self.push(operator)
            }
            Node::Closure(parameters, number) => self.closure(parameters, number),
            Node::Unnamed(number) => match self.dialect {
                Dialect::Gnu => self.push(&format!("{{unnamed type#{}}}", number + 1)),
                Dialect::Llvm => self.push(&format!("'unnamed{}'", llvm_number(number))),
            },
            Node::Tagged(name, tag) => {
                self.print(name)?;
                self.push("[abi:")?;
                self.push(tag)?;
                self.push("]")
            }
            Node::StructuredBinding(names) => {
                self.push("[")?;
                self.list(names)?;
                self.push("]")
            }
            Node::Vector(element, length) => match self.dialect {
                Dialect::Gnu => {
                    self.print(element)?;
                    self.push(" __vector(")?;
                    self.print(length)?;
                    self.push(")")
                }
                Dialect::Llvm => {
                    self.print(element)?;
                    self.push(" vector[")?;
                    self.print(length)?;
                    self.push("]")
                }
            },
            Node::Decltype(expression) => {
                self.push(if self.dialect == Dialect::Gnu { "decltype (" } else { "decltype(" })?;
                self.print(expression)?;
                self.push(")")
            }
            Node::Elaborated(words, name) => {
                self.push(words)?;
                self.push(" ")?;
                self.print(name)
            }
            Node::Suffixed(type_, words) => {
                self.print(type_)?;
                self.push(words)
            }
            Node::BitInt(size, is_signed) => {
                self.push(if is_signed { "_BitInt(" } else { "unsigned _BitInt(" })?;
                self.push(size)?;
                self.push(")")
            }
            Node::FloatOf(digits) => {
                self.push("_Float")?;
                self.push(digits)
            }
            Node::DefaultArgument(entity, number) => {
                match self.dialect {
                    Dialect::Gnu => self.push(&format!("{{default arg#{}}}::", number + 1))?,
                    Dialect::Llvm => {}
                }
                self.print(entity)
            }
            Node::StringLiteral(function) => {
                self.local_function(function)?;
                self.push("::string literal")
            }
            Node::Literal(type_, value) => {
                self.push("(")?;
                self.print(type_)?;
                self.push(")")?;
                self.number(value)
            }
            Node::Integer(value, suffix) => {
                self.number(value)?;
                self.push(suffix)
            }
            Node::Bool(value) => self.push(if value { "true" } else { "false" }),
            Node::Nullptr => {
                self.push(if self.dialect == Dialect::Gnu { "(decltype(nullptr))0" } else { "nullptr" })
            }
            Node::SizeofPack(pack) => self.sizeof_pack(pack),
            Node::AddressOf(object) => match self.dialect {
                Dialect::Gnu => match self.qualified_function(object) {
                    // The name of a member tells which, its parameters are left out.
                    Some(name) => {
                        self.push("&")?;
                        self.print(name)
                    }
                    None => {
                        self.push("&(")?;
                        self.print(object)?;
                        self.push(")")
                    }
                },
                Dialect::Llvm => {
                    self.push("&")?;
                    self.print(object)
                }
            },
            Node::Not(condition) => {
                self.push("!")?;
                self.print(condition)
            }
            Node::Both(left, operator, right) => {
                self.print(left)?;
                self.push(operator)?;
                self.print(right)
            }
            Node::Call(callee, arguments) => {
                self.print(callee)?;
                self.parameters(arguments)
            }
            Node::External(named) => self.print(named),
        }
    }

    fn right(&mut self, id: Id) -> Option<()> {
        self.step()?;
        self.depth += 1;
        let done = self.right_inner(id);
        self.depth -= 1;
        done
    }

    fn right_inner(&mut self, id: Id) -> Option<()> {
        match self.node(id) {
            Node::ParameterPack(list) => match self.element(list) {
                Some(element) => self.right(element),
                None => Some(()),
            },
            Node::Forward(_) => {
                let target = self.resolved(id)?;
                self.right(target)
            }
            Node::Qualified(inner, _) | Node::VendorQualified(inner, ..) => self.right(inner),
            Node::Pointer(inner) | Node::MemberPointer(_, inner) => {
                self.close_declarator(inner)?;
                self.right(inner)
            }
            Node::Reference(..) => {
                let (referred, _) = self.collapsed(id)?;
                self.close_declarator(referred)?;
                self.right(referred)
            }
            Node::Array(element, length) => {
                if !self.text.ends_with(']') {
                    self.push(" ")?;
                }
                self.push("[")?;
                if let Some(length) = length {
                    self.print(length)?;
                }
                self.push("]")?;
                self.right(element)
            }
            Node::Function { result, parameters, qualifiers, reference, exceptions } => {
                self.parameters(parameters)?;
                self.right(result)?;
                self.qualifiers(qualifiers)?;
                self.reference(reference)?;
                self.exceptions(exceptions)
            }
            Node::Encoding { result, parameters, qualifiers, reference, .. } => {
                self.parameters(parameters)?;
                if let Some(result) = result {
                    self.right(result)?;
                }
                self.qualifiers(qualifiers)?;
                self.reference(reference)
            }
            _ => Some(()),
        }
    }
}

/// LLVM counts from nothing, 0, 1.
fn llvm_number(number: u64) -> String {
    number.checked_sub(1).map_or_else(String::new, |number| number.to_string())
}
