//! The codes of the ABI that stand for words.

/// Types of the language, by their one letter.
pub(super) fn builtin(letter: u8) -> Option<&'static str> {
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

/// Operators, by their two letters, as they stand behind `operator`.
pub(super) fn operator(code: &[u8]) -> Option<&'static str> {
    Some(match code {
        b"nw" => " new",
        b"na" => " new[]",
        b"dl" => " delete",
        b"da" => " delete[]",
        b"aw" => " co_await",
        b"ps" => "+",
        b"ng" => "-",
        b"ad" => "&",
        b"de" => "*",
        b"co" => "~",
        b"pl" => "+",
        b"mi" => "-",
        b"ml" => "*",
        b"dv" => "/",
        b"rm" => "%",
        b"an" => "&",
        b"or" => "|",
        b"eo" => "^",
        b"aS" => "=",
        b"pL" => "+=",
        b"mI" => "-=",
        b"mL" => "*=",
        b"dV" => "/=",
        b"rM" => "%=",
        b"aN" => "&=",
        b"oR" => "|=",
        b"eO" => "^=",
        b"ls" => "<<",
        b"rs" => ">>",
        b"lS" => "<<=",
        b"rS" => ">>=",
        b"eq" => "==",
        b"ne" => "!=",
        b"lt" => "<",
        b"gt" => ">",
        b"le" => "<=",
        b"ge" => ">=",
        b"ss" => "<=>",
        b"nt" => "!",
        b"aa" => "&&",
        b"oo" => "||",
        b"pp" => "++",
        b"mm" => "--",
        b"cm" => ",",
        b"pm" => "->*",
        b"pt" => "->",
        b"cl" => "()",
        b"ix" => "[]",
        b"qu" => "?",
        _ => return None,
    })
}

/// What stands in front of a type's or a function's name, by the two letters behind `_Z`: for the binutils and for LLVM.
pub(super) fn special(code: &[u8]) -> Option<(&'static str, &'static str)> {
    let both = |words| Some((words, words));
    match code {
        b"TV" => both("vtable for "),
        b"TT" => both("VTT for "),
        b"TI" => both("typeinfo for "),
        b"TS" => both("typeinfo name for "),
        b"TH" => Some(("TLS init function for ", "thread-local initialization routine for ")),
        b"TW" => Some(("TLS wrapper function for ", "thread-local wrapper routine for ")),
        b"TA" => both("template parameter object for "),
        b"GV" => both("guard variable for "),
        _ => None,
    }
}
