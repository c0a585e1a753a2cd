//! Printed failures of Go.
//!
//! ```text
//! panic: first failure [recovered]
//!         panic: cleanup after: first failure        each panic on top of the one before
//! [signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x737fa0]
//!
//! goroutine 1 [running]:                             the one that failed comes first
//! main.(*Cart).Item(0x84468a?, 0x9?)
//!         /var/task/main.go:19 +0x26
//! main.helper(...)                                   inlined
//!         /var/task/main.go:42
//! created by main.runCase in goroutine 1
//!         /var/task/main.go:129 +0x699
//! ```
//!
//! The lines of a message behind its first are indented by a tab (from Go 1.18 on), so nothing in it can be taken for a
//! goroutine. With GOTRACEBACK=system goroutines and frames carry registers.

use crate::failure::{Frame, Kind, Record, Relation, StackEntry, Thread};
use crate::normalize::CAUSES_DEPTH_MAX;
use crate::normalize::language::{Claim, Held, Language, Opening, State, posts_nothing};
use crate::normalize::line::Line;
use crate::normalize::stack::{self, Stack};

/// How Go prints failures.
pub(crate) static LANGUAGE: Language = Language {
    name: RUNTIME,
    begins: b"pfSruW",
    signs: &[
        RACE,
        "panic: ",
        SERVING,
        "fatal error: ",
        "runtime: goroutine stack exceeds ",
        "unexpected fault address ",
        "SIG",
    ],
    opens,
    continues,
    read,
    posted: posts_nothing,
};

/// The runtime's name in a record.
const RUNTIME: &str = "go";

/// The most other goroutines that a record keeps. The rest is counted in `truncated`.
const THREADS_MAX: usize = 32;

/// The most calls of another goroutine that a record keeps.
const THREAD_CALLS_MAX: usize = 32;

/// The line above and below the report of a data race has only these.
const RACE: &str = "WARNING: DATA RACE";

/// What `net/http` logs of a panic that it recovered: the address of the client and the message follow.
const SERVING: &str = "http: panic serving ";

/// The message is being read; goroutines follow.
const HEAD: State = State(0);
/// A goroutine is being read.
const GOROUTINE: State = State(1);
/// A goroutine ended; another one, or registers, may follow.
const BETWEEN: State = State(2);
/// The report of a data race is being read.
const RACING: State = State(3);

fn opens(line: &Line<'_>, _: &Held<'_>) -> Option<Opening> {
    let text = line.text;
    if text == RACE {
        return Some(Opening::Here(RACING));
    }
    let begins = [
        "panic: ",
        SERVING,
        "fatal error: ",
        "runtime: goroutine stack exceeds ",
        "unexpected fault address ",
    ];
    let is_begun = begins.iter().any(|begin| text.starts_with(begin)) || signal(text).is_some();
    is_begun.then_some(Opening::Here(HEAD))
}

fn continues(state: State, line: &Line<'_>) -> Claim {
    let text = line.raw;
    if text.starts_with("exit status ") {
        return Claim::Last;
    }
    match state {
        RACING if text.starts_with("======") => Claim::Last,
        RACING => Claim::Likely(RACING),
        _ if goroutine(text).is_some() => Claim::Own(GOROUTINE),
        HEAD if text.starts_with(['\t', '[']) || line.is_blank() => Claim::Likely(HEAD),
        HEAD if is_preface(text) || text.starts_with("fatal error: ") => Claim::Own(HEAD),
        HEAD if function(text).is_some() => Claim::Own(HEAD),
        HEAD if text.starts_with("panic: ") => Claim::No,
        HEAD => Claim::Message(HEAD),
        GOROUTINE if text.starts_with('\t') || text.starts_with("created by ") || text.starts_with("...") => {
            Claim::Own(GOROUTINE)
        }
        GOROUTINE if function(text).is_some() => Claim::Own(GOROUTINE),
        GOROUTINE | BETWEEN if line.is_blank() => Claim::Message(BETWEEN),
        BETWEEN if is_register(text) => Claim::Own(BETWEEN),
        _ => Claim::No,
    }
}

/// What the runtime says around a failure, before its goroutines.
fn is_preface(line: &str) -> bool {
    [
        "runtime: ",
        "runtime stack:",
        "PC=",
        "signal arrived during ",
        "unexpected fault address ",
        "goroutine running on ",
    ]
    .iter()
    .any(|begin| line.starts_with(begin))
}

/// `SIGSEGV: segmentation violation`: a signal that came while C code ran, or that somebody sent.
fn signal(line: &str) -> Option<(&str, &str)> {
    let (name, said) = line.split_once(": ")?;
    let is_name =
        name.len() > 3 && name.starts_with("SIG") && name.bytes().all(|byte| byte.is_ascii_uppercase());
    is_name.then_some((name, said))
}

/// `rax    0xc000050000`.
fn is_register(line: &str) -> bool {
    line.split_once(' ').is_some_and(|(name, value)| {
        name.len() <= 6
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && value.trim_start().starts_with("0x")
    })
}

/// The name and the state of `goroutine 18 gp=0xc000002380 m=0 mp=0x5aa1c0 [chan receive, 2 minutes]:`.
fn goroutine(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("goroutine ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let state = rest.trim_end().strip_suffix("]:")?;
    let (_, state) = state.split_once(" [")?;
    (digits > 0).then_some((&line[.."goroutine ".len() + digits], state))
}

/// The name in `main.(*Cart).Item(0x84468a?, 0x9?)`, and whether it was inlined: then its arguments are `...`.
fn function(line: &str) -> Option<(&str, bool)> {
    let call = line.strip_suffix(')').filter(|call| !call.starts_with([' ', '\t', '(']))?;
    let mut depth = 1;
    let open = call.bytes().enumerate().rev().find_map(|(at, byte)| {
        depth += match byte {
            b')' => 1,
            b'(' => -1,
            _ => 0,
        };
        (depth == 0).then_some(at)
    })?;
    let name = &call[..open];
    (!name.is_empty() && !name.contains(' ')).then_some((name, &call[open + 1..] == "..."))
}

/// The file and line in `\t/var/task/main.go:19 +0x26 fp=… sp=… pc=…`.
fn location(line: &str) -> Option<(&str, u32)> {
    let text = line.strip_prefix('\t').or_else(|| line.strip_prefix("      "))?;
    let text = text.split_once(" +0x").map_or(text, |(place, _)| place);
    let text = text.split_once(" fp=0x").map_or(text, |(place, _)| place);
    let (file, line) = text.rsplit_once(':')?;
    Some((file, line.parse().ok()?))
}

fn read(text: &str) -> Option<Record> {
    let lines: Vec<&str> = text.lines().collect();
    let mut record = if lines.contains(&RACE) { race(&lines)? } else { failure(&lines)? };
    record.runtime = Some(RUNTIME.to_owned());
    Some(record)
}

fn failure(lines: &[&str]) -> Option<Record> {
    let begin = lines.iter().position(|line| !is_preface(line) && !line.is_empty())?;
    let sections: Vec<usize> =
        (begin..lines.len()).filter(|index| goroutine(lines[*index]).is_some()).collect();
    let head = &lines[begin..sections.first().copied().unwrap_or(lines.len())];
    let mut record = said(head)?;
    // Goroutine 0 is the scheduler's own; with a signal from outside it comes first and says nothing.
    let is_own = |index: &&usize| goroutine(lines[**index]).is_some_and(|(name, _)| name != "goroutine 0");
    let failing = sections.iter().find(is_own).or(sections.first()).copied();
    for (number, start) in sections.iter().enumerate() {
        let end = sections.get(number + 1).copied().unwrap_or(lines.len());
        let calls = &lines[start + 1..end];
        if Some(*start) == failing {
            record.created_by = created_by(calls);
            let calls = if head[0].starts_with(SERVING) { below_panic(calls) } else { calls };
            stack(calls).reversed().put_into(&mut record);
        } else if record.threads.len() < THREADS_MAX {
            record.threads.extend(thread(lines[*start], calls));
        } else {
            *record.truncated.entry("threads".to_owned()).or_default() += 1;
        }
    }
    Some(record)
}

/// The calls that led to a panic, of a stack that was taken while it was recovered.
fn below_panic<'a, 'b>(calls: &'a [&'b str]) -> &'a [&'b str] {
    let panic = calls.iter().position(|line| line.starts_with("panic("));
    // A place stands below each call.
    panic.map_or(calls, |at| calls.get(at + 2..).unwrap_or_default())
}

/// What stands above the goroutines.
fn said(head: &[&str]) -> Option<Record> {
    let first = head.first()?;
    if first.starts_with("panic: ") {
        return Some(panics(head));
    }
    if let Some((_, said)) = first.strip_prefix(SERVING).and_then(|rest| rest.split_once(": ")) {
        let mut message = said.to_owned();
        head[1..].iter().for_each(|line| message.extend(["\n", line]));
        return Some(Record {
            error_message: message.trim_end().to_owned(),
            error_type: Some("panic".to_owned()),
            kind: Some(Kind::Panic),
            handled: Some(true),
            ..Record::default()
        });
    }
    let line = |prefix: &str| head.iter().find_map(|line| line.strip_prefix(prefix));
    let record = |error_type: &str, said: &str, kind| Record {
        error_message: said.to_owned(),
        error_type: Some(error_type.to_owned()),
        kind: Some(kind),
        ..Record::default()
    };
    match (signal(first), line("fatal error: ")) {
        (Some((name, said)), _) => Some(record(name, said, Kind::Signal)),
        (None, Some(said)) => Some(record("fatal error", said, Kind::Abort)),
        (None, None) => None,
    }
}

/// The panics of one goroutine. Each but the first happened while the one before was dealt with; the last one is the failure.
fn panics(head: &[&str]) -> Record {
    let mut messages: Vec<String> = Vec::new();
    for line in head {
        let unindented = line.strip_prefix('\t').unwrap_or(line);
        if let Some(said) = unindented.strip_prefix("panic: ") {
            messages.push(said.to_owned());
        } else if line.starts_with("[signal ") || line.starts_with("[originating ") {
            break;
        } else if let Some(last) = messages.last_mut() {
            last.push('\n');
            last.push_str(unindented);
        }
    }
    let skipped = messages.len().saturating_sub(CAUSES_DEPTH_MAX + 1);
    let mut record = Record::default();
    for message in messages.into_iter().skip(skipped) {
        let earlier = std::mem::take(&mut record);
        record = Record {
            error_message: without_notes(&message).to_owned(),
            error_type: Some("panic".to_owned()),
            ..Record::default()
        };
        if earlier.error_type.is_some() {
            record.causes.push(stack::cause(earlier, Relation::Context));
        }
    }
    record.kind = Some(Kind::Panic);
    if skipped > 0 {
        record.truncated.insert("causes".to_owned(), skipped as u64);
    }
    record
}

/// A message without what the runtime says of its fate: ` [recovered]`, ` [recovered, repanicked]`.
fn without_notes(message: &str) -> &str {
    let message = message.trim_end_matches('\n');
    [" [recovered]", " [recovered, repanicked]", " [recovered, reraised]"]
        .iter()
        .find_map(|note| message.strip_suffix(note))
        .unwrap_or(message)
}

/// The calls of one goroutine, most recent first.
fn stack(lines: &[&str]) -> Stack {
    let mut stack = Stack::default();
    let mut pending: Option<(&str, bool)> = None;
    for line in lines {
        if let Some((name, inlined)) = pending.take() {
            let place = location(line);
            let entry = StackEntry {
                file: place.map(|(file, _)| file.to_owned()),
                line: place.map(|(_, line)| line),
                function: Some(name.to_owned()),
                source: None,
            };
            stack.push(entry, Frame { inlined: inlined.then_some(true), ..Frame::default() });
            if place.is_some() {
                continue;
            }
        }
        if line.starts_with("created by ") || line.is_empty() {
            break;
        }
        if let Some(elided) = line.strip_prefix("...") {
            stack.elide(elided.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(1));
        }
        pending = function(line.trim_start_matches(' '));
    }
    stack
}

/// `created by main.runCase in goroutine 1`, and the line below it.
fn created_by(lines: &[&str]) -> Option<StackEntry> {
    let at = lines.iter().position(|line| line.starts_with("created by "))?;
    let name = lines[at].strip_prefix("created by ")?;
    let place = lines.get(at + 1).and_then(|line| location(line));
    Some(StackEntry {
        file: place.map(|(file, _)| file.to_owned()),
        line: place.map(|(_, line)| line),
        function: Some(name.split_once(" in goroutine ").map_or(name, |(name, _)| name).to_owned()),
        source: None,
    })
}

fn thread(header: &str, calls: &[&str]) -> Option<Thread> {
    let (name, state) = goroutine(header)?;
    let mut entries = stack(calls).reversed().into_entries();
    entries.drain(..entries.len().saturating_sub(THREAD_CALLS_MAX));
    Some(Thread { name: name.to_owned(), state: Some(state.to_owned()), stack_trace: entries })
}

/// The report of the race detector: the access that it noticed is the failure, the other goroutines are kept apart.
fn race(lines: &[&str]) -> Option<Record> {
    let at = lines.iter().position(|line| *line == RACE)?;
    let said = lines.get(at + 1)?.trim_end_matches(':');
    let calls = &lines[at + 2..];
    let end = calls.iter().position(|line| line.is_empty()).unwrap_or(calls.len());
    let mut record = Record {
        error_message: said.to_owned(),
        error_type: Some("DATA RACE".to_owned()),
        handled: Some(true),
        ..Record::default()
    };
    stack(&calls[..end]).reversed().put_into(&mut record);
    let mut name = None;
    let mut start = end + 1;
    for (index, line) in calls.iter().enumerate().skip(end + 1) {
        if !line.starts_with(' ') && line.ends_with(':') {
            (name, start) = (Some(line.trim_end_matches(':')), index + 1);
        }
        let is_last = index + 1 == calls.len();
        if let Some(name) =
            name.filter(|_| (line.is_empty() || is_last) && record.threads.len() < THREADS_MAX)
        {
            let entries = stack(&calls[start..=index]).reversed().into_entries();
            record.threads.push(Thread { name: name.to_owned(), state: None, stack_trace: entries });
        }
        name = name.filter(|_| !line.is_empty());
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_that_the_server_recovered_has_the_stack_below_it() {
        // Go 1.24, net/http.
        let record = read("http: panic serving 127.0.0.1:5555: runtime error: index out of range [5] with length 3\ngoroutine 34 [running]:\nnet/http.(*conn).serve.func1()\n\t/usr/local/go/src/net/http/server.go:1947 +0xbe\npanic({0x6a5f40?, 0xc0000140a8?})\n\t/usr/local/go/src/runtime/panic.go:792 +0x132\nmain.handler({0x7a2c50?, 0xc00011c0e0?}, 0x0?)\n\t/app/main.go:12 +0x1d\ncreated by net/http.(*Server).Serve in goroutine 1\n\t/usr/local/go/src/net/http/server.go:3454 +0x485\n").unwrap();
        assert_eq!(record.error_message, "runtime error: index out of range [5] with length 3");
        let last = record.stack_trace.last().unwrap();
        assert_eq!((last.function.as_deref(), last.line), (Some("main.handler"), Some(12)));
        assert_eq!(record.handled, Some(true));
    }

    #[test]
    fn the_last_of_several_panics_is_the_failure() {
        // Go 1.24.11.
        let record = read("panic: first failure [recovered]\n\tpanic: cleanup after: first failure\n\tmore\n\ngoroutine 1 [running]:\nmain.repanic.func1()\n\t/var/task/main.go:62 +0x59\npanic({0x7b40c0?, 0x8da470?})\n\t/var/lang/src/runtime/panic.go:792 +0x132\n").unwrap();
        assert_eq!(record.error_message, "cleanup after: first failure\nmore");
        assert_eq!(record.causes[0].error_message, "first failure");
        assert_eq!(record.stack_trace[1].function.as_deref(), Some("main.repanic.func1"));
        assert_eq!(record.stack_trace[0].function.as_deref(), Some("panic"));
    }

    #[test]
    fn other_goroutines_are_kept_apart() {
        let record = read("fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\t/var/task/main.go:34 +0x11e\n\ngoroutine 18 [select]:\nmain.wait(...)\n\t/var/task/main.go:9\ncreated by main.main in goroutine 1\n\t/var/task/main.go:30 +0x10\n").unwrap();
        assert_eq!(record.error_type.as_deref(), Some("fatal error"));
        assert_eq!((record.stack_trace.len(), record.threads.len()), (1, 1));
        assert_eq!(
            (record.threads[0].name.as_str(), record.threads[0].state.as_deref()),
            ("goroutine 18", Some("select"))
        );
        assert_eq!(record.created_by, None);
    }

    #[test]
    fn elided_frames_are_counted() {
        let record = read("runtime: goroutine stack exceeds 1000000000-byte limit\nfatal error: stack overflow\n\nruntime stack:\nruntime.throw({0x1, 0x2})\n\t/x/panic.go:1 +0x1\n\ngoroutine 1 [running]:\nmain.f(0x1)\n\t/var/task/main.go:13 +0x33 fp=0xc0 sp=0xc0 pc=0x4b\n...22369477 frames elided...\nmain.main()\n\t/var/task/main.go:2 +0x1\n").unwrap();
        assert_eq!(record.truncated["stackTrace"], 22_369_477);
        assert_eq!((record.error_message.as_str(), record.stack_trace.len()), ("stack overflow", 2));
    }

    #[test]
    fn the_access_that_the_race_detector_noticed_is_the_failure() {
        let record = read("WARNING: DATA RACE\nWrite at 0x00c0000140a8 by goroutine 7:\n  main.main.func1()\n      /src/r.go:8 +0x3c\n\nPrevious read at 0x00c0000140a8 by main goroutine:\n  main.main()\n      /src/r.go:11 +0x88\n\nGoroutine 7 (running) created at:\n  main.main()\n      /src/r.go:7 +0x7a\n==================\n").unwrap();
        assert_eq!(record.error_message, "Write at 0x00c0000140a8 by goroutine 7");
        assert_eq!(record.stack_trace[0].line, Some(8));
        assert_eq!(record.threads.len(), 2);
    }

    #[test]
    fn names_lose_their_arguments() {
        for (line, name) in [
            ("main.(*Cart).Item(0x84468a?, 0x9?)", "main.(*Cart).Item"),
            ("store.(*Table[...]).MustGet(0x8de440?, {0x840b88, 0x3})", "store.(*Table[...]).MustGet"),
            ("main.helper(...)", "main.helper"),
            ("panic({0x7b40c0?, 0x8da480?})", "panic"),
        ] {
            assert_eq!(function(line).map(|(name, _)| name), Some(name));
        }
        for line in ["", ")", "()", "some words (in brackets)", "\tf()", "f(", "))"] {
            assert_eq!(function(line), None, "{line}");
        }
    }
}
