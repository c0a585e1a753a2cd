//! The part of a file's path that stays the same wherever and however often a program is built and deployed.

use super::token;
use crate::family::Family;

/// The folders into which installers put packages: what follows the last of them names the package.
const PACKAGES: &[&str] = &[
    "/site-packages/",
    "/dist-packages/",
    "/node_modules/",
    "/gems/",
    "/pkg/mod/",
    "/vendor/",
    "/.cargo/git/checkouts/",
];

/// Where deployments put the user's own code.
const DEPLOYMENTS: &[&str] =
    &["/var/task/", "/var/runtime/", "/var/lang/", "/opt/", "/usr/src/app/", "/app/", "./"];

/// How many elements of a path are kept whose root nobody knows.
const ELEMENTS_MAX: usize = 3;

/// Normalizes `file`, for a call of `family`.
///
/// Where a function's name says all (`shop::cart::price`), the file is its last element: compilers record the folder in
/// which somebody built. Elsewhere it is what stands behind the folder of packages or of the deployment, without
/// versions, and hashes of content are `0`.
pub(super) fn normalize(file: &str, family: Family) -> String {
    let file = file.strip_prefix("file://").unwrap_or(file).replace('\\', "/");
    // A module may have been loaded from a URL.
    let file = file.split('?').next().unwrap_or_default().to_owned();
    if family.names_are_qualified() {
        let name = file.rsplit('/').next().unwrap_or_default();
        return token::without_ids(name);
    }
    let in_package = PACKAGES.iter().filter_map(|folder| Some(file.rfind(folder)? + folder.len())).max();
    let (known, path) = match in_package {
        Some(at) => (true, &file[at..]),
        None => match DEPLOYMENTS.iter().find_map(|folder| file.strip_prefix(folder)) {
            Some(path) => (true, path),
            None => (!file.starts_with('/') && file.get(1..3) != Some(":/"), file.as_str()),
        },
    };
    let elements: Vec<&str> = path.split('/').filter(|element| !matches!(*element, "" | ".")).collect();
    let skipped = if known { 0 } else { elements.len().saturating_sub(ELEMENTS_MAX) };
    let elements: Vec<String> =
        elements[skipped..].iter().map(|element| token::without_ids(without_version(element))).collect();
    elements.join("/")
}

/// An element of a path without the version behind it: `pkg@v1.2.3`, `pkg@1.2.3_peer`, `pg-1.5.4`.
fn without_version(element: &str) -> &str {
    let versioned = |(at, _): &(usize, char)| {
        *at > 0 && element[at + 1..].trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit())
    };
    let at = element.char_indices().filter(|(_, c)| *c == '@').find(versioned);
    let dash =
        || element.char_indices().filter(|(at, c)| *c == '-' && element[*at..].contains('.')).find(versioned);
    at.or_else(dash).map_or(element, |(at, _)| &element[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_versions_and_hashes_go() {
        for (family, file, normal) in [
            (Family::Python, "/var/task/shop/cart.py", "shop/cart.py"),
            (Family::Python, "/opt/python/lib/python3.12/site-packages/pg/x.py", "pg/x.py"),
            (Family::Python, "/srv/releases/20261126101500/shop/cart.py", "0/shop/cart.py"),
            (
                Family::Node,
                "/var/task/node_modules/.pnpm/pg@8.11.3/node_modules/pg/lib/client.js",
                "pg/lib/client.js",
            ),
            (Family::Node, "file:///var/task/index.mjs", "index.mjs"),
            (Family::Node, "/var/task/dist/main.3f9a2c1b.js", "dist/main.0.js"),
            (Family::Node, "C:\\app\\src\\index.js", "app/src/index.js"),
            (Family::Ruby, "/var/task/vendor/bundle/ruby/3.2.0/gems/pg-1.5.4/lib/pg.rb", "pg/lib/pg.rb"),
            (Family::Ruby, "./main.rb", "main.rb"),
            (Family::Go, "/home/ci/build-77/shop/cart.go", "cart.go"),
            (Family::Rust, "/codebuild/output/src123/src/main.rs", "main.rs"),
            (Family::Rust, "src/main.rs", "main.rs"),
            (Family::Php, "/var/task/src/Cart.php", "src/Cart.php"),
            (Family::Unknown, "", ""),
            (Family::Unknown, "@", "@"),
        ] {
            assert_eq!(normalize(file, family), normal, "{file}");
        }
    }
}
