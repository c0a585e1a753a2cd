//! The tree of a name. Nodes refer to each other by number, so that a substitution shares what it repeats.

/// The number of a node.
pub(super) type Id = u32;

/// A list of nodes: where it starts in the arena's lists, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct List {
    pub(super) start: u32,
    pub(super) length: u32,
}

impl List {
    pub(super) const EMPTY: List = List { start: 0, length: 0 };
}

/// `const`, `volatile` and `restrict`, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Qualifiers(pub(super) u8);

impl Qualifiers {
    pub(super) const CONST: u8 = 1;
    pub(super) const VOLATILE: u8 = 2;
    pub(super) const RESTRICT: u8 = 4;
}

/// What stands behind the parameters of a member function: `&`, `&&`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reference {
    #[default]
    None,
    Left,
    Right,
}

/// What a function promises about exceptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceptions {
    Unsaid,
    Noexcept,
    NoexceptIf(Id),
    Throws(List),
}

/// One of the names that the ABI has abbreviations for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    Allocator,
    BasicString,
    String,
    Istream,
    Ostream,
    Iostream,
}

/// A part of a name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node<'a> {
    /// An identifier, or a type that has a name of its own.
    Name(&'a str),
    Special(Special),
    /// The same written out, where a constructor needs it.
    SpecialWhole(Special),
    Nested(Id, Id),
    /// Something in a function.
    Local(Id, Id),
    WithArguments(Id, List),
    /// What a pack stands for, as one template argument.
    ArgumentPack(List),
    /// What a template parameter that is a pack stands for.
    ParameterPack(List),
    PackExpansion(Id),
    /// A template parameter whose arguments follow later.
    Forward(u32),
    Qualified(Id, Qualifiers),
    VendorQualified(Id, &'a str, List),
    Pointer(Id),
    Reference(Id, Reference),
    MemberPointer(Id, Id),
    Array(Id, Option<Id>),
    Function {
        result: Id,
        parameters: List,
        qualifiers: Qualifiers,
        reference: Reference,
        exceptions: Exceptions,
    },
    Encoding {
        result: Option<Id>,
        name: Id,
        parameters: List,
        qualifiers: Qualifiers,
        reference: Reference,
    },
    /// Words in front of a name: `vtable for`.
    Prefixed(&'static str, Id),
    InConstruction(Id, Id),
    ReferenceTemporary(Id, u64),
    Constructor(Id),
    Destructor(Id),
    Conversion(Id),
    LiteralOperator(&'a str),
    Operator(&'static str),
    Closure(List, u64),
    Unnamed(u64),
    Tagged(Id, &'a str),
    StructuredBinding(List),
    Vector(Id, Id),
    Decltype(Id),
    Elaborated(&'static str, Id),
    /// Words behind a type: `complex`.
    Suffixed(Id, &'static str),
    /// An integer of so many bits, signed or not.
    BitInt(&'a str, bool),
    FloatOf(&'a str),
    DefaultArgument(Id, u64),
    StringLiteral(Id),
    /// A number of a type, or of an enumeration.
    Literal(Id, &'a str),
    Integer(&'a str, &'static str),
    Bool(bool),
    Nullptr,
    /// `sizeof...` of a pack.
    SizeofPack(Id),
    /// `&` of a function or object that is a template argument.
    AddressOf(Id),
    Not(Id),
    /// Two conditions, and the operator between them.
    Both(Id, &'static str, Id),
    Call(Id, List),
    /// A name that stands for itself in an expression.
    External(Id),
}

/// All nodes of a name.
#[derive(Debug, Default)]
pub(super) struct Arena<'a> {
    nodes: Vec<Node<'a>>,
    lists: Vec<Id>,
}

impl<'a> Arena<'a> {
    pub(super) fn add(&mut self, node: Node<'a>) -> Id {
        // Each node takes a byte of a name of less than 64 KiB, or a few.
        self.nodes.push(node);
        (self.nodes.len() - 1) as Id
    }

    pub(super) fn list(&mut self, items: &[Id]) -> List {
        let start = self.lists.len() as u32;
        self.lists.extend_from_slice(items);
        List { start, length: items.len() as u32 }
    }

    pub(super) fn get(&self, id: Id) -> Node<'a> {
        self.nodes.get(id as usize).copied().unwrap_or(Node::Name(""))
    }

    pub(super) fn items(&self, list: List) -> &[Id] {
        self.lists.get(list.start as usize..(list.start + list.length) as usize).unwrap_or_default()
    }
}
