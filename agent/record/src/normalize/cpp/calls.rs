//! Calls that stand on a line each, innermost first.
//!
//! | who prints it | form |
//! |---|---|
//! | sanitizers | `    #0 0x5574493e666a in shop::deref(int*) /var/task/crash.cpp:37`, or `… in _start (/opt/asan+0x12530)` |
//! | gdb | `#0  0x00005555 in shop::deref (p=0x0) at crash.cpp:37` |
//! | `backtrace_symbols` | `/opt/dump(_ZN4shop5derefEPi+0x1d)[0x55f6350e5401]` |
//! | `std::stacktrace`, Boost | ` 0# shop::deref(int*) at /var/task/crash.cpp:37` |
//! | glog, abseil | `    @     0x5574493e666a  16  shop::deref()` |

use crate::failure::{Frame, StackEntry};
use crate::normalize::stack::Stack;

/// Folders of the system's libraries. A text names no build of them, and another machine's file would give wrong names.
const SYSTEM: [&str; 2] = ["/lib", "/usr/lib"];

/// True for a line that is a call in one of the forms.
pub(super) fn is_call(line: &str) -> bool {
    call(line).is_some()
}

/// True for a call as `backtrace_symbols` prints it.
pub(super) fn is_symbols(line: &str) -> bool {
    symbols(line).is_some()
}

/// True for the innermost call of a `std::stacktrace`.
pub(super) fn is_first_numbered(line: &str) -> bool {
    line.trim_start().starts_with("0# ")
}

/// Reads the first run of calls: of several stacks in one report the first is that of the failure.
pub(super) fn first(lines: &[&str]) -> Option<Stack> {
    let start = lines.iter().position(|line| is_call(line))?;
    let mut stack = Stack::default();
    stack.extend(lines[start..].iter().map_while(|line| call(line)));
    Some(stack.reversed())
}

fn call(line: &str) -> Option<(StackEntry, Frame)> {
    symbols(line).or_else(|| {
        let text = line.trim_start();
        let rest = text.trim_start_matches('#').trim_start_matches(|c: char| c.is_ascii_digit());
        if text.starts_with('#') && rest.len() + 1 < text.len() {
            return hashed(rest.trim_start());
        }
        if let Some(rest) = rest.strip_prefix("# ").filter(|_| rest.len() < text.len()) {
            return Some(placed(rest.trim_start()));
        }
        at_sign(text)
    })
}

/// `0x5574 in shop::deref(int*) /var/task/crash.cpp:37` and its relatives, behind `#0`.
fn hashed(text: &str) -> Option<(StackEntry, Frame)> {
    let rest = match text.strip_prefix("0x") {
        Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_hexdigit()).trim_start(),
        None => text,
    };
    // gdb leaves the address of the innermost call out; what has neither address nor place is another language's.
    if rest.len() == text.len() && !text.contains(" at ") {
        return None;
    }
    let rest = rest.strip_prefix("in ").unwrap_or(rest);
    if let Some((name, place)) = rest.rsplit_once(" at ").filter(|(_, place)| location(place).is_some()) {
        // gdb prints the arguments and their values behind a blank.
        let name = name.split_once(" (").map_or(name, |(name, _)| name);
        return Some((
            entry(location(place).map(|(file, line, _)| (file, line)), Some(name)),
            Frame::default(),
        ));
    }
    Some(placed(rest))
}

/// A name and its place: `shop::deref(int*) /var/task/crash.cpp:37:5`, `f() at /a.cpp:3`, `_start (/opt/asan+0x12530)`, or a name alone.
fn placed(text: &str) -> (StackEntry, Frame) {
    let text = match text.strip_suffix(']').and_then(|text| text.rsplit_once(" [0x")) {
        Some((text, _)) => text,
        None => text,
    };
    // Newer sanitizers name the build as well.
    let text = text.find(" (BuildId: ").map_or(text, |at| &text[..at]);
    if let Some((name, module)) = module(text) {
        return in_module(module.0, module.1, name);
    }
    if let Some((name, place)) = text.rsplit_once(' ')
        && let Some((file, line, column)) = location(place)
    {
        let name = name.strip_suffix(" at").unwrap_or(name);
        let frame = Frame { column, ..Frame::default() };
        return (entry(Some((file, line)), Some(name)), frame);
    }
    match text.rsplit_once(" in ") {
        Some((name, file)) => {
            (StackEntry { file: Some(file.to_owned()), ..entry(None, Some(name)) }, Frame::default())
        }
        None => (entry(None, Some(text)), Frame::default()),
    }
}

/// The name before, the file of, and the offset in `_start (/opt/asan+0x12530)`.
fn module(text: &str) -> Option<(Option<&str>, (&str, u64))> {
    let (name, module) = text.strip_suffix(')')?.rsplit_once('(')?;
    let (file, offset) = module.rsplit_once("+0x")?;
    let name = Some(name.trim_end()).filter(|name| !name.is_empty());
    file.contains('/').then_some((name, (file, u64::from_str_radix(offset, 16).ok()?)))
}

/// `/opt/dump(_ZN4shop5derefEPi+0x1d)[0x55f6350e5401]`, `/opt/dump(+0x3597)[0x…]` or `/opt/dump[0x…]`.
fn symbols(line: &str) -> Option<(StackEntry, Frame)> {
    let (rest, address) = line.trim_end().strip_suffix(']')?.rsplit_once("[0x")?;
    let is_address = !address.is_empty() && address.bytes().all(|digit| digit.is_ascii_hexdigit());
    let (file, symbol) = match rest.trim_end().strip_suffix(')') {
        Some(rest) => rest.split_once('(')?,
        None => (rest.trim_end(), ""),
    };
    if !is_address || !file.contains('/') || file.contains([' ', '"']) {
        return None;
    }
    let (name, offset) = symbol.rsplit_once("+0x").unwrap_or((symbol, "0"));
    let offset = u64::from_str_radix(offset, 16).ok()?;
    Some(in_module(file, offset, Some(name).filter(|name| !name.is_empty())))
}

/// `@     0x5574493e666a  16  shop::deref()`: an address, perhaps the size of the frame, and a name.
fn at_sign(text: &str) -> Option<(StackEntry, Frame)> {
    let rest =
        text.strip_prefix("PC: ").unwrap_or(text).strip_prefix("@ ")?.trim_start().strip_prefix("0x")?;
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit()).trim_start();
    let name = match rest.split_once(' ') {
        Some((size, name)) if size.bytes().all(|digit| digit.is_ascii_digit()) => name.trim_start(),
        _ => rest,
    };
    let name = Some(name).filter(|name| *name != "(unknown)" && !name.is_empty());
    Some((entry(None, name), Frame::default()))
}

/// A call of which the offset in its file is known. Without a name the agent may find it, if the file is the function's own.
fn in_module(file: &str, offset: u64, name: Option<&str>) -> (StackEntry, Frame) {
    let is_system = SYSTEM.iter().any(|folder| file.starts_with(folder));
    let frame = match offset.checked_sub(1) {
        // The offset is that of the return; the call is before it.
        Some(call) if !is_system => {
            let (module, call) = (Some(file.to_owned()), Some(format!("{call:#x}")));
            match name {
                None => Frame { module, address: call, ..Frame::default() },
                Some(_) => Frame { module, offset: call, ..Frame::default() },
            }
        }
        _ => Frame::default(),
    };
    (StackEntry { file: Some(file.to_owned()), ..entry(None, name) }, frame)
}

fn entry(place: Option<(&str, u32)>, name: Option<&str>) -> StackEntry {
    StackEntry {
        file: place.map(|(file, _)| file.to_owned()),
        line: place.map(|(_, line)| line),
        function: name.map(str::to_owned),
        source: None,
    }
}

/// A file, a line and perhaps a column.
fn location(text: &str) -> Option<(&str, u32, Option<u32>)> {
    let (rest, last) = text.rsplit_once(':')?;
    let last: u32 = last.parse().ok()?;
    match rest.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?))) {
        Some((file, line)) => Some((file, line, Some(last))),
        None => Some((rest, last, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (Option<String>, Option<u32>, Option<String>) {
        let (entry, _) = call(line).unwrap();
        (entry.file, entry.line, entry.function)
    }

    #[test]
    fn every_form_is_read() {
        for (line, file, number, function) in [
            (
                "    #0 0x5574493e666a in shop::deref(int*) /var/task/crash.cpp:37",
                Some("/var/task/crash.cpp"),
                Some(37),
                Some("shop::deref(int*)"),
            ),
            ("    #11 0x5574493e6530 in _start (/opt/asan+0x12530)", Some("/opt/asan"), None, Some("_start")),
            (
                "    #11 0x5574493e6530 in f(int) (/opt/asan+0x12530) (BuildId: 01ab)",
                Some("/opt/asan"),
                None,
                Some("f(int)"),
            ),
            ("    #2 0x7f8e89845249  (/lib/libc.so.6+0x27249)", Some("/lib/libc.so.6"), None, None),
            (
                "#1  0x0000555555555171 in main (argc=1, argv=0x7ffe) at crash.cpp:41",
                Some("crash.cpp"),
                Some(41),
                Some("main"),
            ),
            ("#0  shop::deref (p=0x0) at crash.cpp:37", Some("crash.cpp"), Some(37), Some("shop::deref")),
            ("/opt/dump(main+0x344)[0x55f6350e58f4]", Some("/opt/dump"), None, Some("main")),
            ("/opt/dump(+0x3597) [0x55f6350e5597]", Some("/opt/dump"), None, None),
            (
                "   0# shop::deref(int*) at /var/task/crash.cpp:37",
                Some("/var/task/crash.cpp"),
                Some(37),
                Some("shop::deref(int*)"),
            ),
            ("  12# main at /a.cpp:3 [0x55f6350e58f4]", Some("/a.cpp"), Some(3), Some("main")),
            (
                " 3# __libc_start_main in /lib/libc.so.6",
                Some("/lib/libc.so.6"),
                None,
                Some("__libc_start_main"),
            ),
            ("    @     0x5574493e666a  16  shop::deref()", None, None, Some("shop::deref()")),
            ("    @     0x5574493e666a (unknown)", None, None, None),
        ] {
            assert_eq!(read(line), (file.map(str::to_owned), number, function.map(str::to_owned)), "{line}");
        }
        for line in [
            "",
            "#",
            "#0 {main}",
            "#0 /app/x.php(3): f()",
            "@ home",
            "[0x1]",
            "a(b)[0x]",
            "# 1",
            "0: f",
            "    at f (a.js:1:2)",
        ] {
            assert!(call(line).is_none(), "{line}");
        }
    }

    #[test]
    fn an_unnamed_call_of_the_functions_own_file_can_be_named_later() {
        let (_, frame) = call("/opt/dump(+0x3597)[0x55f6350e5597]").unwrap();
        assert_eq!((frame.module.as_deref(), frame.address.as_deref()), (Some("/opt/dump"), Some("0x3596")));
        let (_, frame) = call("/lib/x86_64-linux-gnu/libc.so.6(+0x3c050)[0x7fb9ed05a050]").unwrap();
        assert_eq!(frame, Frame::default());
    }

    #[test]
    fn only_the_first_stack_of_a_report_is_the_failures() {
        let lines = [
            "==1==ERROR: x",
            "READ of size 4",
            "    #0 0x1 in f /a.c:1",
            "    #1 0x2 in main /a.c:2",
            "",
            "freed by",
            "    #0 0x3 in g /a.c:3",
        ];
        let stack = first(&lines).unwrap();
        assert_eq!(
            stack.calls().iter().map(|(entry, _)| entry.function.as_deref().unwrap()).collect::<Vec<_>>(),
            ["main", "f"]
        );
    }
}
