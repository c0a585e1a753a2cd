//! What the C++ runtime, the C library, the sanitizers and others say of a failure.

use crate::failure::{Kind, Record, StackEntry};

/// The beginnings of what the C library says before it gives up (malloc/malloc.c), and how that goes on.
const HEAP: [&str; 8] = [
    "free(): ",
    "malloc(): ",
    "realloc(): ",
    "calloc(): ",
    "munmap_chunk(): ",
    "malloc_consolidate(): ",
    "mremap_chunk(): ",
    "tcache_thread_shutdown(): ",
];
const HEAP_WORDS: [&str; 12] = [
    "invalid",
    "corrupted",
    "double",
    "memory",
    "unaligned",
    "mismatching",
    "smallbin",
    "largebin",
    "too many",
    "unsorted",
    "chunk",
    "unlink",
];

/// The beginning of the line with the message of an exception.
pub(super) const WHAT: &str = "  what():  ";

/// Whole messages of the C library, or their beginnings.
const CORRUPTION: [&str; 4] = [
    "double free or corruption",
    "corrupted size vs. prev_size",
    "corrupted double-linked list",
    "break adjusted to free malloc space",
];

/// The words of the C library (`strsignal`) and of shells for signals that end a process.
const SIGNALS: [(&str, &str); 6] = [
    ("Segmentation fault", "SIGSEGV"),
    ("Aborted", "SIGABRT"),
    ("Bus error", "SIGBUS"),
    ("Floating point exception", "SIGFPE"),
    ("Illegal instruction", "SIGILL"),
    ("Trace/breakpoint trap", "SIGTRAP"),
];

/// The signal in `Segmentation fault (Address not mapped to object [(nil)])`.
pub(super) fn signal(line: &str) -> Option<(&'static str, Kind)> {
    let (name, signal) = SIGNALS.iter().find(|(name, _)| line.starts_with(name))?;
    let rest = line[name.len()..].trim();
    let is_end = rest.is_empty() || rest.starts_with('(') && rest.ends_with(')');
    is_end.then_some((*signal, if *signal == "SIGABRT" { Kind::Abort } else { Kind::Signal }))
}

/// True for the first line of a report whose calls follow after some lines.
pub(super) fn is_report(line: &str) -> bool {
    sanitizer(line).is_some() || received(line).is_some()
}

/// The tool and what it found: `==29144==ERROR: AddressSanitizer: SEGV on unknown address 0x0 (pc 0x…)`.
fn sanitizer(line: &str) -> Option<(&str, &str)> {
    let rest = match line.strip_prefix("==") {
        Some(rest) => {
            let (pid, rest) = rest.split_once("==")?;
            pid.parse::<u32>().ok()?;
            rest.strip_prefix("ERROR: ").or(rest.strip_prefix("WARNING: "))?
        }
        None => line.strip_prefix("WARNING: ")?,
    };
    let (tool, said) = rest.split_once(": ")?;
    // Addresses of code say nothing to people, and the calls follow.
    let said = said.split(" (pc 0x").next()?.split(" at pc 0x").next()?.split(" (pid=").next()?;
    tool.ends_with("Sanitizer").then_some((tool, said))
}

/// The signal in `*** SIGSEGV (@0x0) received by PID 12 (TID 0x7f) from PID 0; stack trace: ***`, as glog and abseil print it.
fn received(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix("*** ")?.split_once(' ')?;
    (name.starts_with("SIG") && rest.contains("received ") && rest.ends_with("***")).then_some(name)
}

/// Reads what one line says.
pub(super) fn read(line: &str) -> Option<Record> {
    let record = |error_type: &str, said: &str, kind| Record {
        error_message: said.to_owned(),
        error_type: Some(error_type.to_owned()),
        kind: Some(kind),
        ..Record::default()
    };
    if let Some((tool, said)) = sanitizer(line) {
        return Some(record(tool, said, Kind::Abort));
    }
    if let Some(signal) = received(line) {
        return Some(record(signal, line.trim_start_matches("*** ").trim_end_matches(" ***"), Kind::Signal));
    }
    if let Some(rest) = line.strip_prefix("terminate called after throwing an instance of '") {
        return Some(record(rest.strip_suffix('\'')?, "", Kind::Abort));
    }
    if line.starts_with("pure virtual method called") || line.starts_with("terminate called ") {
        return Some(record("std::terminate", line, Kind::Abort));
    }
    if let Some(rest) = line.strip_prefix("libc++abi: terminating") {
        return Some(libcxx(rest));
    }
    if let Some(record) = assertion(line).or_else(|| undefined(line)) {
        return Some(record);
    }
    let is_heap = HEAP.iter().any(|begin| {
        line.strip_prefix(begin).is_some_and(|rest| HEAP_WORDS.iter().any(|word| rest.starts_with(word)))
    });
    if is_heap || CORRUPTION.iter().any(|said| line.starts_with(said)) {
        return Some(record("SIGABRT", line, Kind::Abort));
    }
    if let Some((said, _)) = line.strip_prefix("*** ").and_then(|rest| rest.split_once(" ***: ")) {
        return said.ends_with(" detected").then(|| record("SIGABRT", said, Kind::Abort));
    }
    let (name, kind) = signal(line)?;
    Some(record(name, line, kind))
}

/// ` due to uncaught exception of type std::logic_error: why`, as LLVM's runtime says it.
fn libcxx(rest: &str) -> Record {
    let thrown = rest.split_once("exception of type ").map(|(_, thrown)| thrown);
    // A type may hold colons in pairs; the message stands behind a single one.
    let (name, said) = thrown.map_or((None, rest), |thrown| match thrown.split_once(": ") {
        Some((name, said)) => (Some(name), said),
        None => (Some(thrown), ""),
    });
    Record {
        error_message: said.trim_start_matches([' ', ':']).to_owned(),
        error_type: Some(name.unwrap_or("std::terminate").to_owned()),
        kind: Some(Kind::Abort),
        ..Record::default()
    }
}

/// `crash: crash.cpp:78: int main(int, char**): Assertion `zero == 1' failed.`
fn assertion(line: &str) -> Option<Record> {
    let (place, said) = line.split_once(": Assertion `")?;
    let said = said.strip_suffix("' failed.")?;
    // The program's name, the file, the line and the function; the program's name may be missing.
    let mut parts = place.split(": ");
    let (file, number) = parts.by_ref().find_map(|part| {
        let (file, number) = part.rsplit_once(':')?;
        Some((file, number.parse().ok()?))
    })?;
    let function = parts.collect::<Vec<_>>().join(": ");
    Some(Record {
        error_message: said.to_owned(),
        error_type: Some("Assertion".to_owned()),
        stack_trace: vec![entry(file, number, Some(function).filter(|name| !name.is_empty()))],
        kind: Some(Kind::Abort),
        ..Record::default()
    })
}

/// `crash.cpp:37:54: runtime error: load of null pointer of type 'int'`, of the sanitizer for undefined behaviour.
fn undefined(line: &str) -> Option<Record> {
    let (place, said) = line.split_once(": runtime error: ")?;
    let (rest, column) = place.rsplit_once(':')?;
    column.parse::<u32>().ok()?;
    let (file, number) = rest.rsplit_once(':')?;
    Some(Record {
        error_message: said.to_owned(),
        error_type: Some("runtime error".to_owned()),
        stack_trace: vec![entry(file, number.parse().ok()?, None)],
        ..Record::default()
    })
}

fn entry(file: &str, line: u32, function: Option<String>) -> StackEntry {
    StackEntry { file: Some(file.to_owned()), line: Some(line), function, source: None }
}

/// Reads what is said above a trace, over several lines. `None` if the first of them says nothing.
pub(super) fn read_all(lines: &[&str]) -> Option<Record> {
    let mut record = read(lines.first()?)?;
    if let Some(said) = lines.get(1).and_then(|line| line.strip_prefix(WHAT)) {
        record.error_message = message(said, &lines[2..]);
    }
    Some(record)
}

/// What `what()` gave, whose further lines are not indented, up to a trace.
fn message(said: &str, more: &[&str]) -> String {
    let is_said = |line: &&&str| **line != super::backward::HEADER && !super::calls::is_call(line);
    let mut message = said.to_owned();
    for line in more.iter().take_while(is_said) {
        message.push('\n');
        message.push_str(line);
    }
    message.truncate(message.trim_end_matches('\n').len());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> (Option<String>, String) {
        let record = read(line).unwrap();
        (record.error_type, record.error_message)
    }

    #[test]
    fn each_of_them_is_understood() {
        for (line, error_type, message) in [
            ("terminate called after throwing an instance of 'int'", "int", ""),
            ("pure virtual method called", "std::terminate", "pure virtual method called"),
            (
                "libc++abi: terminating due to uncaught exception of type std::logic_error: a: b",
                "std::logic_error",
                "a: b",
            ),
            ("double free or corruption (top)", "SIGABRT", "double free or corruption (top)"),
            ("free(): invalid pointer", "SIGABRT", "free(): invalid pointer"),
            ("*** stack smashing detected ***: terminated", "SIGABRT", "stack smashing detected"),
            (
                "==29144==ERROR: AddressSanitizer: SEGV on unknown address 0x0 (pc 0x5574 bp 0x7f T0)",
                "AddressSanitizer",
                "SEGV on unknown address 0x0",
            ),
            ("WARNING: ThreadSanitizer: data race (pid=7)", "ThreadSanitizer", "data race"),
            ("a.cpp:37:54: runtime error: load of null pointer", "runtime error", "load of null pointer"),
            ("Segmentation fault (core dumped)", "SIGSEGV", "Segmentation fault (core dumped)"),
        ] {
            assert_eq!(said(line), (Some(error_type.to_owned()), message.to_owned()), "{line}");
        }
    }

    #[test]
    fn an_assertion_names_its_place() {
        let record =
            read("crash: a b/crash.cpp:78: int ns::f(int): Assertion `x == 1 && \"why\"' failed.").unwrap();
        assert_eq!(
            (record.error_type.as_deref(), record.error_message.as_str()),
            (Some("Assertion"), "x == 1 && \"why\"")
        );
        let entry = &record.stack_trace[0];
        assert_eq!(
            (entry.file.as_deref(), entry.line, entry.function.as_deref()),
            (Some("a b/crash.cpp"), Some(78), Some("int ns::f(int)"))
        );
    }
}
