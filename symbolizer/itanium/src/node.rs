//! The tree of a name. Nodes refer to each other by number, so that a substitution shares what it repeats, and to text
//! of the mangled name by position, so that the tree's memory can be used again for the next name.

use std::num::NonZeroU32;

/// The number of a node, counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(NonZeroU32);

/// Where some text of the mangled name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// Nodes in a row, by their places in the tree's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct List {
    start: u32,
    end: u32,
}

impl List {
    pub(crate) const EMPTY: List = List { start: 0, end: 0 };

    pub(crate) fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }
}

/// `const`, `volatile` and `restrict`, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Qualifiers(pub(crate) u8);

impl Qualifiers {
    pub(crate) const NONE: Qualifiers = Qualifiers(0);
    pub(crate) const CONST: u8 = 1;
    pub(crate) const VOLATILE: u8 = 2;
    pub(crate) const RESTRICT: u8 = 4;
}

/// `&` and `&&`, of a type or behind the parameters of a member function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reference {
    #[default]
    None,
    Left,
    Right,
}

/// One of the names that the ABI has abbreviations for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abbreviation {
    Allocator,
    BasicString,
    String,
    Istream,
    Ostream,
    Iostream,
}

/// What is declared by a template parameter of a lambda.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParameterKind {
    Type,
    Value,
    Template,
}

/// All that belongs to a function, or to the type of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signature {
    /// `None` for a type.
    pub(crate) name: Option<Id>,
    pub(crate) result: Option<Id>,
    pub(crate) parameters: List,
    pub(crate) qualifiers: Qualifiers,
    pub(crate) reference: Reference,
    /// What a type says about exceptions, or the conditions of `enable_if`.
    pub(crate) extra: Option<Id>,
    pub(crate) requires: Option<Id>,
}

/// A lambda: what stands between `{lambda` and its number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closure {
    pub(crate) head: List,
    pub(crate) head_requires: Option<Id>,
    pub(crate) parameters: List,
    pub(crate) requires: Option<Id>,
    pub(crate) count: Count,
}

/// The number of a lambda or an unnamed type: its digits (LLVM prints them) and their meaning (GNU prints that).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) digits: Span,
    /// Counted from one.
    pub(crate) ordinal: u32,
}

/// Operands of an expression that has more than fit into a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct New {
    pub(crate) is_global: bool,
    pub(crate) is_array: bool,
    pub(crate) placement: List,
    pub(crate) type_: Id,
    pub(crate) values: List,
}

/// A part of a name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node {
    // Names.
    Name(Span),
    Text(&'static str),
    Std {
        name: Abbreviation,
        is_whole: bool,
    },
    Nested(Id, Id),
    Friend(Id, Id),
    Local(Id, Id),
    DefaultArgument(Id, u32),
    Module {
        parent: Option<Id>,
        name: Id,
        is_partition: bool,
    },
    InModule(Id, Id),
    Template(Id, List),
    Tagged(Id, Span),
    Binding(List),
    Constructor(Option<Id>),
    Destructor(Option<Id>),
    Conversion(Id),
    Operator(u8),
    LiteralOperator(Id),
    Closure(u32),
    Unnamed(Count),
    Encoding(u32),
    /// An object whose name has the qualifiers of a member function.
    ThisQualified(Id, Qualifiers, Reference),
    Prefixed(&'static str, Id),
    InConstruction(Id, Id),
    ReferenceTemporary(Id, u32),
    Global(Id),
    Tilde(Id),

    // Template arguments.
    Pack(List),
    /// What a parameter stands for whose argument is a pack.
    ParameterPack(List),
    Expansion(Id),
    /// A parameter whose arguments follow later in the name.
    Forward(u32, Option<Id>),
    /// A parameter that means what the arguments say that are in force when it is printed.
    Parameter(u32),
    EnableIf(List),
    Synthetic(ParameterKind, u32),
    DeclaredType(Id),
    DeclaredConstrained(Id, Id),
    DeclaredValue(Id, Id),
    DeclaredTemplate(Id, List),
    DeclaredPack(Id),

    // Types.
    Qualified(Id, Qualifiers),
    VendorQualified(Id, Span, Option<Id>),
    VendorType(Span, Id),
    Arguments(List),
    Pointer(Id),
    Reference(Id, Reference),
    MemberPointer(Id, Id),
    Array(Id, Option<Id>),
    Function(u32),
    Noexcept(Id),
    Throws(List),
    Vector(Id, Option<Id>),
    PixelVector(Id),
    Decltype(Id),
    Elaborated(&'static str, Id),
    Suffixed(Id, &'static str),
    Complex(Id, &'static str),
    BitInt(Id, bool),
    FloatOf(Span, bool),
    This(Id),

    // Expressions of both.
    Literal(Id, Span),
    Integer(Span, &'static str),
    Bool(bool),
    /// A floating-point number as the binutils show it.
    Bits(Id, Span),
    External(Id),
    FunctionParameter(Span, u32),
    InitList(Option<Id>, List),
    Unary(u8, Id),
    Postfix(u8, Id),
    Binary(u8, Id, Id),
    Conditional(Id, Id, Id),
    Cast(u8, Id, Id),
    Call(Id, List),
    Convert(Id, List),
    New(u32),
    Fold {
        code: u8,
        operator: u8,
        first: Id,
        second: Option<Id>,
    },
    SizeofPack(Id),
    SizeofArguments(List),
    Designated {
        is_index: bool,
        what: Id,
        value: Id,
    },
    DesignatedRange(Id, Id, Id),
    VendorCall(Id, List),

    // Expressions of LLVM only.
    Enclosing(&'static str, Id, u8),
    Delete {
        is_global: bool,
        is_array: bool,
        what: Id,
    },
    Float(u8, Span),
    StringLiteral(Id),
    Lambda(Id),
    Subobject(Id, Id, Span),
    MemberConvert(Id, Id),
}

/// All nodes of a name.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    nodes: Vec<Node>,
    lists: Vec<Id>,
    pub(crate) signatures: Vec<Signature>,
    pub(crate) closures: Vec<Closure>,
    pub(crate) news: Vec<New>,
}

impl Arena {
    /// Forgets the name, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.lists.clear();
        self.signatures.clear();
        self.closures.clear();
        self.news.clear();
    }

    pub(crate) fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        // A name is shorter than 64 KiB, and each of its bytes makes a few nodes at most.
        let number = u32::try_from(self.nodes.len()).ok().and_then(NonZeroU32::new);
        Id(number.expect("the nodes of a bounded name fit into a u32, and one was just added"))
    }

    pub(crate) fn get(&self, id: Id) -> Node {
        self.nodes.get(id.0.get() as usize - 1).copied().unwrap_or(Node::Text(""))
    }

    pub(crate) fn replace(&mut self, id: Id, node: Node) {
        if let Some(place) = self.nodes.get_mut(id.0.get() as usize - 1) {
            *place = node;
        }
    }

    /// Makes a list of what was put on a stack since it had this height.
    pub(crate) fn list(&mut self, stack: &mut Vec<Id>, height: usize) -> List {
        let start = self.lists.len() as u32;
        self.lists.extend(stack.drain(height.min(stack.len())..));
        List { start, end: self.lists.len() as u32 }
    }

    pub(crate) fn items(&self, list: List) -> &[Id] {
        self.lists.get(list.start as usize..list.end as usize).unwrap_or_default()
    }

    pub(crate) fn item(&self, list: List, index: usize) -> Option<Id> {
        self.items(list).get(index).copied()
    }
}
