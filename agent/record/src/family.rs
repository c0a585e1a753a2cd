//! Which language wrote one call.
//!
//! A stack may hold calls of several languages (a Python handler that calls a Rust extension), so the file decides before the
//! record's runtime does. What is the user's own code, and which parts of a name change from build to build, depends on it.

use crate::failure::StackEntry;

/// Languages whose files and functions are named alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Python,
    Node,
    Java,
    Ruby,
    Dotnet,
    Go,
    Rust,
    Cpp,
    Php,
    Swift,
    Dart,
    Elixir,
    /// Nothing says which.
    Unknown,
}

/// What the names of files end with.
const BY_FILE: &[(&str, Family)] = &[
    (".py", Family::Python),
    (".js", Family::Node),
    (".mjs", Family::Node),
    (".cjs", Family::Node),
    (".ts", Family::Node),
    (".mts", Family::Node),
    (".cts", Family::Node),
    (".tsx", Family::Node),
    (".jsx", Family::Node),
    (".java", Family::Java),
    (".kt", Family::Java),
    (".scala", Family::Java),
    (".groovy", Family::Java),
    (".clj", Family::Java),
    (".rb", Family::Ruby),
    (".cs", Family::Dotnet),
    (".fs", Family::Dotnet),
    (".vb", Family::Dotnet),
    (".go", Family::Go),
    (".rs", Family::Rust),
    (".c", Family::Cpp),
    (".cc", Family::Cpp),
    (".cpp", Family::Cpp),
    (".cxx", Family::Cpp),
    (".h", Family::Cpp),
    (".hh", Family::Cpp),
    (".hpp", Family::Cpp),
    (".S", Family::Cpp),
    (".php", Family::Php),
    (".swift", Family::Swift),
    (".dart", Family::Dart),
    (".ex", Family::Elixir),
    (".exs", Family::Elixir),
    (".erl", Family::Elixir),
];

/// What [`Record::runtime`](crate::Record) says.
const BY_RUNTIME: &[(&str, Family)] = &[
    ("python", Family::Python),
    ("node", Family::Node),
    ("java", Family::Java),
    ("ruby", Family::Ruby),
    ("dotnet", Family::Dotnet),
    ("go", Family::Go),
    ("rust", Family::Rust),
    ("cpp", Family::Cpp),
    ("php", Family::Php),
    ("swift", Family::Swift),
    ("dart", Family::Dart),
    ("elixir", Family::Elixir),
];

impl Family {
    /// The family of one call of a record of `runtime`.
    pub(crate) fn of(entry: &StackEntry, runtime: Option<&str>) -> Self {
        let file = entry.file.as_deref().unwrap_or_default();
        let extension = file.rfind(['.', '/']).map_or("", |at| &file[at..]);
        let by_file = BY_FILE.iter().find(|(end, _)| *end == extension);
        let by_runtime = || BY_RUNTIME.iter().find(|(name, _)| Some(*name) == runtime);
        by_file.or_else(by_runtime).map_or(Self::Unknown, |(_, family)| *family)
    }

    /// Whether a function's name begins with its package, so that no other function has it.
    pub(crate) fn names_hold_packages(self) -> bool {
        self.names_are_qualified() && self != Self::Cpp
    }

    /// Whether a function's name holds the package, namespace or class, so that it says whose code it is without a file.
    pub(crate) fn names_are_qualified(self) -> bool {
        matches!(self, Self::Java | Self::Dotnet | Self::Go | Self::Rust | Self::Cpp | Self::Elixir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_decides_before_the_runtime() {
        let of = |file: &str, runtime| {
            Family::of(&StackEntry { file: Some(file.into()), ..StackEntry::default() }, runtime)
        };
        assert_eq!(of("/var/task/src/lib.rs", Some("python")), Family::Rust);
        assert_eq!(of("node:internal/timers", Some("node")), Family::Node);
        assert_eq!(of("/var/task/v1.go/handler", None), Family::Unknown);
        assert_eq!(of("Chain.java", None), Family::Java);
    }
}
