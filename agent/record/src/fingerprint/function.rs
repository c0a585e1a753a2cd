//! The part of a function's name that stays the same from build to build and from version to version of a language.

use super::token;
use crate::family::Family;

/// Normalizes the name of a function, for a call of `family`.
pub(super) fn normalize(function: &str, family: Family) -> String {
    let name = function.strip_prefix("async ").unwrap_or(function);
    let name = match family {
        Family::Rust => rust(name),
        Family::Cpp => {
            without_suffixes(name, &[" [clone ", ".part.", ".isra.", ".constprop.", ".cold", ".lto_priv."])
        }
        Family::Go => go(name),
        Family::Java => java(name),
        Family::Dotnet => numberless(name, &["c__DisplayClass", "b__", "d__", "g__"]),
        Family::Php => php(name),
        Family::Node if name == "<anonymous>" => String::new(),
        Family::Elixir => numberless(name, &["-fun-", "-", "^"]),
        _ => name.to_owned(),
    };
    token::without_ids(&name)
}

/// Rust: no hash, no generic arguments of the last element, and one name for what the two manglings call closures and the
/// bodies of async functions.
fn rust(name: &str) -> String {
    let name = without_suffixes(name, &[".llvm."]);
    let name = match name.rsplit_once("::h") {
        Some((rest, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => rest,
        _ => &name,
    };
    let mut plain = String::with_capacity(name.len());
    for part in name.split("::").filter(|part| !(part.starts_with('<') && part.ends_with('>'))) {
        if !plain.is_empty() {
            plain.push_str("::");
        }
        let body = ["{{closure}}", "{closure", "{async_fn", "{async_block", "{{async_"];
        plain.push_str(if body.iter().any(|start| part.starts_with(start)) { "{closure}" } else { part });
    }
    plain
}

/// Go: no type arguments, no numbers of function literals (`func1`, `gowrap2`), no `-fm` of a method value.
fn go(name: &str) -> String {
    let name = name.split('[').next().unwrap_or(name);
    let name = name.strip_suffix("-fm").unwrap_or(name);
    let parts: Vec<&str> = name
        .split('.')
        .map(|part| {
            let word = part.trim_end_matches(|c: char| c.is_ascii_digit());
            if matches!(word, "func" | "gowrap" | "deferwrap" | "") && !part.is_empty() { word } else { part }
        })
        .collect();
    parts.join(".")
}

/// Java: no numbers of classes that were made while the program ran. Those of lambdas are the compiler's, and stay.
fn java(name: &str) -> String {
    let name = match name.split_once("$$Lambda") {
        Some((rest, made)) => {
            let method = made.rsplit_once('.').map_or("", |(_, method)| method);
            format!("{rest}$$Lambda.{method}")
        }
        None => name.to_owned(),
    };
    let name = numberless(
        &name,
        &["$Proxy", "GeneratedMethodAccessor", "GeneratedConstructorAccessor", "SpringCGLIB$$"],
    );
    match name.split_once("$$EnhancerBy").or_else(|| name.split_once("$$FastClassBy")) {
        Some((rest, made)) => format!("{rest}$$.{}", made.rsplit('.').next().unwrap_or_default()),
        None => name,
    }
}

/// PHP: 8.4 says where a closure was written, in lines.
fn php(name: &str) -> String {
    let place = name.find("{closure:").map(|at| at + "{closure".len());
    let end = place.and_then(|at| Some(at + name[at..].rfind('}')?));
    match (place, end) {
        (Some(place), Some(end)) => format!("{}{}", &name[..place], &name[end..]),
        _ => name.to_owned(),
    }
}

/// What stands before the first of `suffixes`.
fn without_suffixes(name: &str, suffixes: &[&str]) -> String {
    let end = suffixes.iter().filter_map(|suffix| name.find(suffix)).filter(|at| *at > 0).min();
    name[..end.unwrap_or(name.len())].to_owned()
}

/// The name without the digits and underscores that follow each of `words`.
fn numberless(name: &str, words: &[&str]) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let word = words.iter().find(|word| rest.starts_with(**word));
        let taken = word.map_or(first.len_utf8(), |word| word.len());
        plain.push_str(&rest[..taken]);
        rest = &rest[taken..];
        if word.is_some() {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_between_builds_goes() {
        for (family, function, normal) in [
            (Family::Rust, "shop::price::h0123456789abcdef", "shop::price"),
            (Family::Rust, "shop::handler::{{closure}}", "shop::handler::{closure}"),
            (Family::Rust, "shop::handler::{async_fn#0}", "shop::handler::{closure}"),
            (Family::Rust, "shop::parse::<u32>", "shop::parse"),
            (Family::Rust, "shop::price.llvm.1234567890", "shop::price"),
            (Family::Cpp, "price(int) [clone .cold]", "price(int)"),
            (Family::Cpp, "price.part.0", "price"),
            (Family::Go, "main.worker.func1.2", "main.worker.func."),
            (Family::Go, "main.Map[...]", "main.Map"),
            (Family::Go, "main.(*Cart).Item-fm", "main.(*Cart).Item"),
            (Family::Java, "com.example.A.lambda$handle$0", "com.example.A.lambda$handle$0"),
            (
                Family::Java,
                "com.example.A$$Lambda$14/0x0000000800c03000.apply",
                "com.example.A$$Lambda.apply",
            ),
            (Family::Java, "com.example.A$$Lambda/0x00007f8a1c.apply", "com.example.A$$Lambda.apply"),
            (Family::Java, "com.sun.proxy.$Proxy12.call", "com.sun.proxy.$Proxy.call"),
            (Family::Java, "com.example.A$$EnhancerBySpringCGLIB$$3f2a.call", "com.example.A$$.call"),
            (
                Family::Dotnet,
                "Shop.Handler.<>c__DisplayClass3_0.<Run>b__0",
                "Shop.Handler.<>c__DisplayClass.<Run>b__",
            ),
            (Family::Php, "{closure:/var/task/x.php:3}", "{closure}"),
            (Family::Node, "async Promise.all", "Promise.all"),
            (Family::Node, "<anonymous>", ""),
            (Family::Elixir, "Enum.\"-map/2-lists^map/1-1-\"/2", "Enum.\"-map/2-lists^map/1--\"/2"),
            (
                Family::Ruby,
                "_app_views_orders_index_html_erb___1234567890_12345678",
                "_app_views_orders_index_html_erb___0_0",
            ),
            (Family::Python, "handler2", "handler2"),
        ] {
            assert_eq!(normalize(function, family), normal, "{function}");
        }
    }
}
