//! The codes of the ABI that stand for words: types of the language, operators, abbreviations of the standard library.

use crate::node::Abbreviation;

/// The types that have one letter.
pub(crate) fn builtin(letter: u8) -> Option<&'static str> {
    Some(match letter {
        b'v' => "void",
        b'w' => "wchar_t",
        b'b' => "bool",
        b'c' => "char",
        b'a' => "signed char",
        b'h' => "unsigned char",
        b's' => "short",
        b't' => "unsigned short",
        b'i' => "int",
        b'j' => "unsigned int",
        b'l' => "long",
        b'm' => "unsigned long",
        b'x' => "long long",
        b'y' => "unsigned long long",
        b'n' => "__int128",
        b'o' => "unsigned __int128",
        b'f' => "float",
        b'd' => "double",
        b'e' => "long double",
        b'g' => "__float128",
        b'z' => "...",
        _ => return None,
    })
}

/// The types that have a `D` and one letter, and the same name in both dialects.
pub(crate) fn builtin_d(letter: u8) -> Option<&'static str> {
    Some(match letter {
        b'd' => "decimal64",
        b'e' => "decimal128",
        b'f' => "decimal32",
        b'h' => "half",
        b'i' => "char32_t",
        b's' => "char16_t",
        b'u' => "char8_t",
        b'a' => "auto",
        b'c' => "decltype(auto)",
        _ => return None,
    })
}

/// How strongly an expression holds together, the strongest first: LLVM prints brackets by it.
pub(crate) mod precedence {
    pub(crate) const PRIMARY: u8 = 0;
    pub(crate) const POSTFIX: u8 = 1;
    pub(crate) const UNARY: u8 = 2;
    pub(crate) const CAST: u8 = 3;
    pub(crate) const MEMBER: u8 = 4;
    pub(crate) const PRODUCT: u8 = 5;
    pub(crate) const SUM: u8 = 6;
    pub(crate) const SHIFT: u8 = 7;
    pub(crate) const SPACESHIP: u8 = 8;
    pub(crate) const ORDER: u8 = 9;
    pub(crate) const EQUALITY: u8 = 10;
    pub(crate) const AND: u8 = 11;
    pub(crate) const XOR: u8 = 12;
    pub(crate) const OR: u8 = 13;
    pub(crate) const AND_IF: u8 = 14;
    pub(crate) const OR_IF: u8 = 15;
    pub(crate) const CONDITIONAL: u8 = 16;
    pub(crate) const ASSIGN: u8 = 17;
    pub(crate) const COMMA: u8 = 18;
    pub(crate) const DEFAULT: u8 = 19;
}

use precedence as p;

/// What an operator is in an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Prefix,
    /// `x++`, and `++x` where a `_` follows the code.
    Postfix,
    Binary,
    Subscript,
    /// `.`, `->` and their kin; whether it is also the name of a function.
    Member(bool),
    /// `new`; whether of an array.
    New(bool),
    Delete(bool),
    Call,
    Conditional,
    NamedCast,
    /// `sizeof` and its kin; whether of a type.
    Of(bool),
    /// No expression.
    NameOnly,
    /// Known to the binutils alone, with so many operands.
    GnuOnly(u8),
}

/// An operator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operator {
    pub(crate) code: [u8; 2],
    /// In an expression of the binutils; LLVM leaves the last blank out of names.
    pub(crate) text: &'static str,
    pub(crate) used: Use,
    pub(crate) precedence: u8,
}

const fn op(code: &[u8; 2], text: &'static str, used: Use, precedence: u8) -> Operator {
    Operator { code: *code, text, used, precedence }
}

/// All operators, by code.
pub(crate) const OPERATORS: [Operator; 69] = [
    op(b"aN", "&=", Use::Binary, p::ASSIGN),
    op(b"aS", "=", Use::Binary, p::ASSIGN),
    op(b"aa", "&&", Use::Binary, p::AND_IF),
    op(b"ad", "&", Use::Prefix, p::UNARY),
    op(b"an", "&", Use::Binary, p::AND),
    op(b"at", "alignof ", Use::Of(true), p::UNARY),
    op(b"aw", "co_await ", Use::NameOnly, p::PRIMARY),
    op(b"az", "alignof ", Use::Of(false), p::UNARY),
    op(b"cc", "const_cast", Use::NamedCast, p::POSTFIX),
    op(b"cl", "()", Use::Call, p::POSTFIX),
    op(b"cm", ",", Use::Binary, p::COMMA),
    op(b"co", "~", Use::Prefix, p::UNARY),
    op(b"dV", "/=", Use::Binary, p::ASSIGN),
    op(b"dX", "[...]=", Use::GnuOnly(3), p::PRIMARY),
    op(b"da", "delete[] ", Use::Delete(true), p::UNARY),
    op(b"dc", "dynamic_cast", Use::NamedCast, p::POSTFIX),
    op(b"de", "*", Use::Prefix, p::UNARY),
    op(b"di", "=", Use::GnuOnly(2), p::PRIMARY),
    op(b"dl", "delete ", Use::Delete(false), p::UNARY),
    op(b"ds", ".*", Use::Member(false), p::MEMBER),
    op(b"dt", ".", Use::Member(false), p::POSTFIX),
    op(b"dv", "/", Use::Binary, p::PRODUCT),
    op(b"dx", "]=", Use::GnuOnly(2), p::PRIMARY),
    op(b"eO", "^=", Use::Binary, p::ASSIGN),
    op(b"eo", "^", Use::Binary, p::XOR),
    op(b"eq", "==", Use::Binary, p::EQUALITY),
    op(b"fL", "...", Use::GnuOnly(3), p::PRIMARY),
    op(b"fR", "...", Use::GnuOnly(3), p::PRIMARY),
    op(b"fl", "...", Use::GnuOnly(2), p::PRIMARY),
    op(b"fr", "...", Use::GnuOnly(2), p::PRIMARY),
    op(b"ge", ">=", Use::Binary, p::ORDER),
    op(b"gs", "::", Use::GnuOnly(1), p::PRIMARY),
    op(b"gt", ">", Use::Binary, p::ORDER),
    op(b"ix", "[]", Use::Subscript, p::POSTFIX),
    op(b"lS", "<<=", Use::Binary, p::ASSIGN),
    op(b"le", "<=", Use::Binary, p::ORDER),
    op(b"ls", "<<", Use::Binary, p::SHIFT),
    op(b"lt", "<", Use::Binary, p::ORDER),
    op(b"mI", "-=", Use::Binary, p::ASSIGN),
    op(b"mL", "*=", Use::Binary, p::ASSIGN),
    op(b"mi", "-", Use::Binary, p::SUM),
    op(b"ml", "*", Use::Binary, p::PRODUCT),
    op(b"mm", "--", Use::Postfix, p::POSTFIX),
    op(b"na", "new[]", Use::New(true), p::UNARY),
    op(b"ne", "!=", Use::Binary, p::EQUALITY),
    op(b"ng", "-", Use::Prefix, p::UNARY),
    op(b"nt", "!", Use::Prefix, p::UNARY),
    op(b"nw", "new", Use::New(false), p::UNARY),
    op(b"oR", "|=", Use::Binary, p::ASSIGN),
    op(b"oo", "||", Use::Binary, p::OR_IF),
    op(b"or", "|", Use::Binary, p::OR),
    op(b"pL", "+=", Use::Binary, p::ASSIGN),
    op(b"pl", "+", Use::Binary, p::SUM),
    op(b"pm", "->*", Use::Member(true), p::MEMBER),
    op(b"pp", "++", Use::Postfix, p::POSTFIX),
    op(b"ps", "+", Use::Prefix, p::UNARY),
    op(b"pt", "->", Use::Member(true), p::POSTFIX),
    op(b"qu", "?", Use::Conditional, p::CONDITIONAL),
    op(b"rM", "%=", Use::Binary, p::ASSIGN),
    op(b"rS", ">>=", Use::Binary, p::ASSIGN),
    op(b"rc", "reinterpret_cast", Use::NamedCast, p::POSTFIX),
    op(b"rm", "%", Use::Binary, p::PRODUCT),
    op(b"rs", ">>", Use::Binary, p::SHIFT),
    op(b"sc", "static_cast", Use::NamedCast, p::POSTFIX),
    op(b"ss", "<=>", Use::Binary, p::SPACESHIP),
    op(b"st", "sizeof ", Use::Of(true), p::UNARY),
    op(b"sz", "sizeof ", Use::Of(false), p::UNARY),
    op(b"te", "typeid ", Use::Of(false), p::POSTFIX),
    op(b"ti", "typeid ", Use::Of(true), p::POSTFIX),
];

/// The operator with this number, which came from [`operator_number`].
pub(crate) fn operator(number: u8) -> Operator {
    OPERATORS.get(usize::from(number)).copied().unwrap_or(OPERATORS[0])
}

/// The number of the operator with this code.
pub(crate) fn operator_number(code: [u8; 2]) -> Option<u8> {
    let found = OPERATORS.binary_search_by(|operator| operator.code.cmp(&code)).ok()?;
    u8::try_from(found).ok()
}

/// What a letter behind `S` abbreviates.
pub(crate) fn abbreviation(letter: u8) -> Option<Abbreviation> {
    Some(match letter {
        b'a' => Abbreviation::Allocator,
        b'b' => Abbreviation::BasicString,
        b's' => Abbreviation::String,
        b'i' => Abbreviation::Istream,
        b'o' => Abbreviation::Ostream,
        b'd' => Abbreviation::Iostream,
        _ => return None,
    })
}

/// An abbreviated name as a programmer writes it.
pub(crate) fn common(name: Abbreviation) -> &'static str {
    match name {
        Abbreviation::Allocator => "std::allocator",
        Abbreviation::BasicString => "std::basic_string",
        Abbreviation::String => "std::string",
        Abbreviation::Istream => "std::istream",
        Abbreviation::Ostream => "std::ostream",
        Abbreviation::Iostream => "std::iostream",
    }
}

/// The template that an abbreviated name is, and its arguments without the last `>`.
pub(crate) fn whole(name: Abbreviation) -> (&'static str, &'static str) {
    const TRAITS: &str = "<char, std::char_traits<char>";
    match name {
        Abbreviation::Allocator => ("std::allocator", ""),
        Abbreviation::BasicString => ("std::basic_string", ""),
        Abbreviation::String => ("std::basic_string", "<char, std::char_traits<char>, std::allocator<char>"),
        Abbreviation::Istream => ("std::basic_istream", TRAITS),
        Abbreviation::Ostream => ("std::basic_ostream", TRAITS),
        Abbreviation::Iostream => ("std::basic_iostream", TRAITS),
    }
}
