//! From the tree of a name to its text.
//!
//! A type is written in two halves around what it declares: `int (*` and `)[3]`. To LLVM all parameters of templates are
//! resolved in the tree already; for the binutils the printer knows which template arguments are in force (its scopes), as
//! the same parameter means another thing in another function.

mod list;
mod name;
mod pack;
mod scope;
mod types;
mod expression;
mod gnu_expression;
mod float;
mod suffix;

use std::fmt::Write as _;

use crate::node::{Arena, Id, List, Node, Span};
use crate::{Dialect, Form, NAME_BYTES_MAX};
use scope::Scope;

/// How deep printing may nest; a part of a name takes two levels or three.
const DEPTH_MAX: u32 = 1000;

/// Steps of one name. Honest names take some hundred, those that repeat themselves exponentially end here, within a few
/// milliseconds.
const STEPS_MAX: u32 = 100_000;

/// The bit of pending qualifiers that tells that they are those of an array.
const OF_ARRAY: u8 = 0x80;

/// How often a parameter may be written within itself: the binutils give up one later.
const NESTED_MAX: usize = 2;

/// What is kept between names.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    scopes: Vec<Scope>,
    first_scopes: Vec<(Id, usize)>,
    /// The parameters that are being written, the outermost first.
    written: Vec<Id>,
}

/// Which element of packs is written.
#[derive(Debug, Clone, Copy, Default)]
struct PackState {
    /// `None` for all elements at once.
    index: Option<usize>,
    /// The length of the first pack that was met in the expansion that is written.
    length: Option<usize>,
    is_expanding: bool,
}

pub(crate) struct Printer<'a> {
    text: &'a str,
    arena: &'a Arena,
    memory: &'a mut Memory,
    dialect: Dialect,
    form: Form,
    out: &'a mut String,
    depth: u32,
    steps: u32,
    pack: PackState,
    /// Brackets that are open in the innermost template arguments: in one, a `>` ends nothing.
    open: u32,
    /// Where the binutils took a comma back, but still believe that a blank is the last letter.
    blank_at: Option<usize>,
    /// The template arguments in force, by number from one; 0 for none.
    scope: usize,
    /// The arguments of the template whose name is written.
    template: Option<List>,
    /// How many lambdas' parameters are written: in one, template parameters are its own.
    lambdas: u32,
    head: List,
    /// Qualifiers that will be written behind what is written now.
    pending: u8,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(
        text: &'a str,
        arena: &'a Arena,
        memory: &'a mut Memory,
        dialect: Dialect,
        form: Form,
        out: &'a mut String,
    ) -> Printer<'a> {
        memory.scopes.clear();
        memory.first_scopes.clear();
        memory.written.clear();
        Printer {
            text,
            arena,
            memory,
            dialect,
            form,
            out,
            depth: 0,
            steps: 0,
            pack: PackState { index: Some(0), length: None, is_expanding: false },
            open: 1,
            blank_at: None,
            scope: 0,
            template: None,
            lambdas: 0,
            head: List::EMPTY,
            pending: 0,
        }
    }

    /// Writes a name and its suffix; whether that went well.
    pub(crate) fn whole(mut self, root: Id, suffix: &str) -> bool {
        let printed = self.print(root);
        let suffix = if self.form == Form::Full { suffix } else { "" };
        printed.and_then(|()| self.suffix(suffix)).is_some()
    }

    fn is_gnu(&self) -> bool {
        self.dialect == Dialect::Gnu
    }

    fn is_short(&self) -> bool {
        self.form == Form::Short
    }

    fn get(&self, id: Id) -> Node {
        self.arena.get(id)
    }

    fn spanned(&self, span: Span) -> &'a str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn write(&mut self, text: &str) -> Option<()> {
        if self.out.len() + text.len() > NAME_BYTES_MAX {
            return None;
        }
        self.out.push_str(text);
        Some(())
    }

    fn write_span(&mut self, span: Span) -> Option<()> {
        self.write(self.spanned(span))
    }

    fn write_number(&mut self, number: u32) -> Option<()> {
        // Of all numbers the longest has ten digits.
        const DIGITS_MAX: usize = 10;
        if self.out.len() + DIGITS_MAX > NAME_BYTES_MAX {
            return None;
        }
        write!(self.out, "{number}").ok()
    }

    /// The last letter that was written, to the tool.
    fn last(&self) -> u8 {
        if self.blank_at == Some(self.out.len()) {
            return b' ';
        }
        self.out.as_bytes().last().copied().unwrap_or(0)
    }

    fn step(&mut self) -> Option<()> {
        self.steps += 1;
        self.depth += 1;
        (self.steps <= STEPS_MAX && self.depth <= DEPTH_MAX).then_some(())
    }

    /// Writes a node as a whole.
    fn print(&mut self, id: Id) -> Option<()> {
        let node = self.get(id);
        if let Node::Name(span) = node {
            return self.write_span(span);
        }
        self.left_of(id, node)?;
        if has_halves(node) { self.right(id) } else { Some(()) }
    }

    fn left(&mut self, id: Id) -> Option<()> {
        self.left_of(id, self.get(id))
    }

    fn left_of(&mut self, id: Id, node: Node) -> Option<()> {
        self.step()?;
        let pending = std::mem::take(&mut self.pending);
        let done = match node {
            Node::Name(span) => self.write_span(span),
            Node::Text(text) => self.write(text),
            Node::Nested(scope, name) => {
                if self.is_gnu() && self.is_odd_scope(scope) {
                    return None;
                }
                self.print(scope)?;
                self.write("::")?;
                self.print(name)
            }
            Node::Template(name, arguments) => self.template(name, arguments),
            Node::Parameter(index) if self.lambdas > 0 => self.lambda_parameter(index),
            Node::Forward(..) | Node::ParameterPack(_) => {
                self.pending = pending;
                self.indirect(node, Self::left)
            }
            Node::Parameter(_) => {
                self.pending = pending;
                self.within(id, |printer| printer.indirect(node, Self::left))
            }
            Node::Qualified(inner, qualifiers) => self.qualified(inner, qualifiers.0, pending),
            Node::Array(element, _) => {
                if self.is_gnu() && self.is_function(element) {
                    return None;
                }
                self.pending = if pending > 0 { pending | OF_ARRAY } else { 0 };
                self.left(element)
            }
            Node::Reference(inner, _) if matches!(self.get(inner), Node::Parameter(_)) => {
                self.within(id, |printer| printer.type_left(id, node))
            }
            Node::Pointer(_)
            | Node::Reference(..)
            | Node::MemberPointer(..)
            | Node::VendorQualified(..)
            | Node::Function(_) => self.type_left(id, node),
            Node::Encoding(number) => self.encoding_left(number),
            _ => self.other(node),
        };
        self.depth -= 1;
        done
    }

    /// Writes a type's left half and its qualifiers, less those that the binutils will write behind it anyway.
    fn qualified(&mut self, inner: Id, qualifiers: u8, pending: u8) -> Option<()> {
        self.pending = pending | qualifiers;
        self.left(inner)?;
        if !self.is_gnu() {
            return self.qualifiers(qualifiers);
        }
        let own = qualifiers & !pending;
        // In which order those of an array and of its elements follow each other, or those of a function, is not worked
        // out.
        let is_unclear = pending & OF_ARRAY != 0 || (pending != 0 && self.is_declarator(inner));
        if own != 0 && (is_unclear || self.is_function(inner)) {
            return None;
        }
        self.qualifiers(own)
    }

    /// Writes something of a parameter, unless it is written within itself already.
    fn within(&mut self, id: Id, step: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let nested = self.memory.written.iter().filter(|written| **written == id).count();
        if nested >= NESTED_MAX {
            return None;
        }
        self.memory.written.push(id);
        let done = step(self);
        self.memory.written.pop();
        done
    }

    fn right(&mut self, id: Id) -> Option<()> {
        self.step()?;
        let node = self.get(id);
        let done = match node {
            Node::Parameter(_) if self.lambdas > 0 => Some(()),
            Node::Forward(..) | Node::Parameter(_) | Node::ParameterPack(_) => {
                self.indirect(node, Self::right)
            }
            Node::Encoding(number) => self.encoding_right(number),
            Node::Reference(inner, _) if matches!(self.get(inner), Node::Parameter(_)) => {
                self.within(id, |printer| printer.type_right(id, node))
            }
            _ => self.type_right(id, node),
        };
        self.depth -= 1;
        done
    }

    /// Nodes that have no right half, and are not in the hot path.
    fn other(&mut self, node: Node) -> Option<()> {
        if is_name(node) {
            self.name(node)
        } else if is_type(node) {
            self.type_(node)
        } else if self.is_gnu() {
            self.gnu_expression(node)
        } else {
            self.expression(node)
        }
    }
}

/// Whether a node may have a right half.
fn has_halves(node: Node) -> bool {
    matches!(
        node,
        Node::Pointer(_)
            | Node::Reference(..)
            | Node::Qualified(..)
            | Node::VendorQualified(..)
            | Node::MemberPointer(..)
            | Node::Array(..)
            | Node::Function(_)
            | Node::Encoding(_)
            | Node::Forward(..)
            | Node::Parameter(_)
            | Node::ParameterPack(_)
            | Node::DeclaredType(_)
            | Node::DeclaredConstrained(..)
            | Node::DeclaredValue(..)
            | Node::DeclaredTemplate(..)
            | Node::DeclaredPack(_)
    )
}

fn is_name(node: Node) -> bool {
    matches!(
        node,
        Node::Std { .. }
            | Node::Friend(..)
            | Node::Local(..)
            | Node::DefaultArgument(..)
            | Node::Module { .. }
            | Node::InModule(..)
            | Node::Tagged(..)
            | Node::Binding(_)
            | Node::Constructor(_)
            | Node::Destructor(_)
            | Node::Conversion(_)
            | Node::Operator(_)
            | Node::LiteralOperator(_)
            | Node::Closure(_)
            | Node::Unnamed(_)
            | Node::ThisQualified(..)
            | Node::Prefixed(..)
            | Node::InConstruction(..)
            | Node::ReferenceTemporary(..)
            | Node::Tilde(_)
    )
}

fn is_type(node: Node) -> bool {
    matches!(
        node,
        Node::Pack(_)
            | Node::Expansion(_)
            | Node::EnableIf(_)
            | Node::Synthetic(..)
            | Node::DeclaredType(_)
            | Node::DeclaredConstrained(..)
            | Node::DeclaredValue(..)
            | Node::DeclaredTemplate(..)
            | Node::DeclaredPack(_)
            | Node::VendorType(..)
            | Node::Arguments(_)
            | Node::Noexcept(_)
            | Node::Throws(_)
            | Node::Vector(..)
            | Node::PixelVector(_)
            | Node::Decltype(_)
            | Node::Elaborated(..)
            | Node::Suffixed(..)
            | Node::Complex(..)
            | Node::BitInt(..)
            | Node::FloatOf(..)
            | Node::This(_)
    )
}
