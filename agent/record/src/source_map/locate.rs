//! Where the map of a file is, and the maps that were read.
//!
//! The code says it in its last line: `//# sourceMappingURL=index.js.map`, or the map itself as a `data:` URL. Where the code says
//! nothing or is not there, a map with the file's name and `.map` is taken.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use memchr::memmem;

use super::SourceMap;
use super::mappings::digit;
use crate::percent;

/// Files remembered at most, with a map or without. When they are this many, all are forgotten.
const FILES_MAX: usize = 256;

/// Bytes of maps remembered at most. When they are more, all are forgotten.
const BYTES_MAX: usize = 64 << 20;

/// Maps by the files whose code they are of.
#[derive(Debug, Default)]
pub struct SourceMaps {
    files: HashMap<String, Option<Arc<SourceMap>>>,
    bytes: usize,
}

impl SourceMaps {
    /// The map of the code in `file`. `read` gives the bytes of a file, and decides which ones may be read at all: the paths come
    /// from records and maps.
    pub fn of(
        &mut self,
        file: &str,
        read: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
    ) -> Option<Arc<SourceMap>> {
        if let Some(known) = self.files.get(file) {
            return known.clone();
        }
        let map = load(file, read).map(Arc::new);
        let bytes = map.as_ref().map_or(0, |map| map.weight());
        if self.files.len() >= FILES_MAX || self.bytes + bytes > BYTES_MAX {
            *self = Self::default();
        }
        self.bytes += bytes;
        self.files.insert(file.to_owned(), map.clone());
        map
    }
}

fn load(file: &str, read: &mut dyn FnMut(&str) -> Option<Vec<u8>>) -> Option<SourceMap> {
    let code = read(file);
    let url = code.as_deref().and_then(url);
    if let Some(data) = url.and_then(|url| url.strip_prefix("data:")) {
        return SourceMap::parse(&data_of(data)?, file);
    }
    let named = url.filter(|url| !has_scheme(url) || url.starts_with("file:"));
    let beside = format!("{file}.map");
    let candidates = named.map(|url| resolved(file, "", url)).into_iter().chain([beside]);
    candidates.into_iter().find_map(|path| SourceMap::parse(&read(&path)?, &path))
}

/// What the last `//# sourceMappingURL=` of the code says.
fn url(code: &[u8]) -> Option<&str> {
    const MARK: &[u8] = b"sourceMappingURL=";
    let mark = memmem::rfind(code, MARK)?;
    let comment = code[..mark].trim_ascii_end();
    comment.strip_suffix(b"#").or_else(|| comment.strip_suffix(b"@"))?.strip_suffix(b"//")?;
    let rest = &code[mark + MARK.len()..];
    let end = rest.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(rest.len());
    std::str::from_utf8(&rest[..end]).ok().filter(|url| !url.is_empty())
}

/// The bytes of a `data:` URL, behind its scheme: `application/json;charset=utf-8;base64,eyJ2…`.
fn data_of(data: &str) -> Option<Cow<'_, [u8]>> {
    let (kind, data) = data.split_once(',')?;
    if kind.ends_with(";base64") {
        return base64_decoded(data).map(Cow::Owned);
    }
    Some(Cow::Owned(percent::decoded(data).into_bytes()))
}

fn base64_decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let mut bits = 0_u32;
    let mut count = 0;
    for byte in text.trim_end_matches('=').bytes() {
        bits = bits << 6 | u32::from(digit(byte)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count).to_le_bytes()[0]);
            bits &= (1 << count) - 1;
        }
    }
    Some(decoded)
}

/// The path of `url` as it stands in the file `base`, below `root` if that says anything. A URL that names no file stays as it is.
pub(super) fn resolved(base: &str, root: &str, url: &str) -> String {
    let url = match root.strip_suffix('/').unwrap_or(root) {
        "" if root.is_empty() => Cow::Borrowed(url),
        _ if has_scheme(url) || url.starts_with('/') => Cow::Borrowed(url),
        root => Cow::Owned(format!("{root}/{url}")),
    };
    if let Some(path) = url.strip_prefix("file://") {
        return percent::decoded(path);
    }
    if has_scheme(&url) {
        return url.into_owned();
    }
    let path = percent::decoded(&url);
    // A path of Windows, where the file has one.
    if !base.contains('/') && base.contains('\\') {
        let directory = base.rsplit_once('\\').map_or("", |(directory, _)| directory).replace('\\', "/");
        return normal(&format!("{directory}/{path}")).replace('/', "\\");
    }
    match base.rsplit_once('/') {
        _ if path.starts_with('/') => normal(&path),
        Some((directory, _)) => normal(&format!("{directory}/{path}")),
        None => normal(&path),
    }
}

/// `C:/x` has a drive and no scheme.
fn has_scheme(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    })
}

/// Takes `.` and `..` out of a path, as far as there are directories for them.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." if matches!(parts.last(), Some(last) if !matches!(*last, "" | "..")) => {
                parts.pop();
            }
            ".." if parts == [""] => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = r#"{"version":3,"sources":["../src/a.ts"],"mappings":"AAAA"}"#;

    /// The file that the first column of the first line came from.
    fn origin(files: &[(&str, &str)]) -> Option<String> {
        let mut read = |path: &str| {
            let found = files.iter().find(|(name, _)| *name == path);
            found.map(|(_, text)| text.as_bytes().to_vec())
        };
        let map = SourceMaps::default().of("/var/task/dist/index.js", &mut read)?;
        Some(map.original(1, Some(1))?.file.to_owned())
    }

    #[test]
    fn a_map_is_found_where_the_code_says_or_beside_it() {
        let code = "/var/task/dist/index.js";
        let found = Some("/var/task/src/a.ts".to_owned());
        assert_eq!(
            origin(&[
                (code, "f();\n//# sourceMappingURL=index.js.map\n"),
                ("/var/task/dist/index.js.map", MAP)
            ]),
            found
        );
        assert_eq!(
            origin(&[
                (code, "f();\n//@ sourceMappingURL=my%20map.json"),
                ("/var/task/dist/my map.json", MAP)
            ]),
            found
        );
        assert_eq!(origin(&[(code, "f();\n"), ("/var/task/dist/index.js.map", MAP)]), found);
        assert_eq!(origin(&[("/var/task/dist/index.js.map", MAP)]), found);
        assert_eq!(
            origin(&[(code, "//# sourceMappingURL=https://x/index.js.map"), ("https://x/index.js.map", MAP)]),
            None
        );
        assert_eq!(
            origin(&[(code, "let s = 'sourceMappingURL=a.map'"), ("/var/task/dist/a.map", MAP)]),
            None
        );
    }

    #[test]
    fn a_map_may_stand_in_the_code() {
        let code = "/var/task/dist/index.js";
        // The map above in base 64.
        let inline = "//# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbIi4uL3NyYy9hLnRzIl0sIm1hcHBpbmdzIjoiQUFBQSJ9";
        assert_eq!(origin(&[(code, inline)]).as_deref(), Some("/var/task/src/a.ts"));
        let escaped = format!("//# sourceMappingURL=data:application/json,{}", MAP.replace('"', "%22"));
        assert_eq!(origin(&[(code, &escaped)]).as_deref(), Some("/var/task/src/a.ts"));
        for broken in ["data:", "data:application/json;base64,é", "data:application/json;base64,e", "data:x"]
        {
            assert_eq!(origin(&[(code, &format!("//# sourceMappingURL={broken}"))]), None);
        }
    }

    #[test]
    fn base_64_is_decoded() {
        assert_eq!(base64_decoded("").as_deref(), Some(&b""[..]));
        assert_eq!(base64_decoded("aGk=").as_deref(), Some(&b"hi"[..]));
        assert_eq!(base64_decoded("aGlq").as_deref(), Some(&b"hij"[..]));
        assert_eq!(base64_decoded("aGlqaw==").as_deref(), Some(&b"hijk"[..]));
        assert_eq!(base64_decoded("a b"), None);
    }

    #[test]
    fn sources_are_relative_to_the_map() {
        for (base, root, url, path) in [
            ("/var/task/dist/index.js.map", "", "../src/a.ts", "/var/task/src/a.ts"),
            ("/var/task/index.js.map", "src/", "./a.ts", "/var/task/src/a.ts"),
            ("/var/task/index.js.map", "/opt", "a.ts", "/opt/a.ts"),
            ("/var/task/index.js.map", "", "/etc/../a.ts", "/a.ts"),
            ("/x.map", "", "../../../a.ts", "/a.ts"),
            ("index.js.map", "", "../src/a%20b.ts", "../src/a b.ts"),
            ("/var/task/index.js.map", "", "file:///a%20b.ts", "/a b.ts"),
            ("/var/task/index.js.map", "src", "webpack://app/./src/a.ts", "webpack://app/./src/a.ts"),
            (r"C:\app\dist\x.js.map", "", "../src/a.ts", r"C:\app\src\a.ts"),
        ] {
            assert_eq!(resolved(base, root, url), path);
        }
    }

    #[test]
    fn what_was_read_is_remembered_and_bounded() {
        let mut maps = SourceMaps::default();
        let mut reads = 0;
        for number in 0..3 * FILES_MAX {
            let mut read = |_: &str| {
                reads += 1;
                None
            };
            assert!(maps.of(&format!("{number}.js"), &mut read).is_none());
            assert!(maps.of(&format!("{number}.js"), &mut read).is_none());
            assert!(maps.files.len() <= FILES_MAX);
        }
        assert_eq!(reads, 2 * 3 * FILES_MAX);
    }
}
