//! Printed failures of Elixir.
//!
//! ```text
//! ** (RuntimeError) boom
//!     (myapp 0.1.0) lib/my_app/orders.ex:12: MyApp.Orders.total/1
//!     lib/main.exs:3: (file)
//! ```

use crate::failure::{Frame, Record, StackEntry};
use crate::normalize::language::{Claim, Held, Language, Opening, State, posts_nothing};
use crate::normalize::line::Line;
use crate::normalize::stack::Stack;

/// How Elixir prints failures.
pub(crate) static LANGUAGE: Language =
    Language { name: RUNTIME, begins: b"*", signs: &["** ("], opens, continues, read, posted: posts_nothing };

/// The runtime's name in a record.
const RUNTIME: &str = "elixir";

/// The message may go on; calls follow.
const MESSAGE: State = State(0);
/// Calls are being read.
const CALLS: State = State(1);

fn opens(line: &Line<'_>, _: &Held<'_>) -> Option<Opening> {
    header(line.text).map(|_| Opening::Here(MESSAGE))
}

fn continues(state: State, line: &Line<'_>) -> Claim {
    if call(line.raw).is_some() {
        Claim::Own(CALLS)
    } else if state == MESSAGE {
        Claim::Message(MESSAGE)
    } else {
        Claim::No
    }
}

/// The type and the first line of the message in `** (RuntimeError) boom`; also in `** (EXIT from #PID<0.95.0>) …`.
fn header(text: &str) -> Option<(&str, &str)> {
    let (name, said) = text.strip_prefix("** (")?.split_once(')')?;
    let is_type = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_alphanumeric() || ".# <>_".contains(c));
    is_type.then(|| (name, said.strip_prefix(' ').unwrap_or(said)))
}

/// `    (myapp 0.1.0) lib/orders.ex:12: MyApp.Orders.total/1`.
fn call(line: &str) -> Option<StackEntry> {
    let text = line.strip_prefix("    ").filter(|text| !text.starts_with(' '))?;
    let text = match text.strip_prefix('(').and_then(|text| text.split_once(") ")) {
        Some((_, text)) => text,
        None => text,
    };
    let (place, name) = text.split_once(": ")?;
    let (file, line) = place.rsplit_once(':')?;
    let is_file = [".ex", ".exs", ".erl"].iter().any(|end| file.ends_with(end));
    let line = line.parse().ok().filter(|_| is_file)?;
    Some(StackEntry {
        file: Some(file.to_owned()),
        line: Some(line),
        function: Some(name.to_owned()),
        source: None,
    })
}

fn read(text: &str) -> Option<Record> {
    let lines: Vec<&str> = text.lines().collect();
    let (error_type, said) = header(lines.first()?)?;
    let first = lines.iter().position(|line| call(line).is_some()).unwrap_or(lines.len());
    let mut message = said.to_owned();
    for line in &lines[1..first] {
        message.push('\n');
        message.push_str(line);
    }
    message.truncate(message.trim_end().len());
    let mut stack = Stack::default();
    stack.extend(lines[first..].iter().map_while(|line| call(line)).map(|entry| (entry, Frame::default())));
    let mut record = Record {
        error_message: message,
        error_type: Some(error_type.to_owned()),
        runtime: Some(RUNTIME.to_owned()),
        ..Record::default()
    };
    stack.reversed().put_into(&mut record);
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_elixir_prints_is_read() {
        let record = read("** (RuntimeError) boom\nagain\n    (myapp 0.1.0) lib/my_app/orders.ex:12: MyApp.Orders.total/1\n    (elixir 1.16.2) lib/enum.ex:1700: Enum.\"-map/2-lists^map/1-1-\"/2\n").unwrap();
        assert_eq!(
            (record.error_type.as_deref(), record.error_message.as_str()),
            (Some("RuntimeError"), "boom\nagain")
        );
        assert_eq!(
            (record.stack_trace[1].line, record.stack_trace[1].function.as_deref()),
            (Some(12), Some("MyApp.Orders.total/1"))
        );
        for text in ["", "** bold **", "** (x) y", "** ("] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
