//! Printed failures of Bash: `/var/task/function.sh: line 4: TABLE_NAME: unbound variable`.

use crate::failure::{Record, StackEntry};
use crate::normalize::language::{Claim, Language, Opening, posts_nothing};

/// How Bash prints failures.
pub(crate) static LANGUAGE: Language = Language {
    name: RUNTIME,
    begins: b"/",
    signs: &[": line "],
    opens: |line, _| read(line.text).map(|_| Opening::Whole),
    continues: |_, _| Claim::No,
    read,
    posted: posts_nothing,
};

/// The runtime's name in a record.
const RUNTIME: &str = "bash";

fn read(text: &str) -> Option<Record> {
    let text = text.trim_end();
    let (file, rest) = text.split_once(": line ")?;
    let (line, said) = rest.split_once(": ")?;
    let is_script = !file.is_empty()
        && !file.contains([' ', '\t', '"', '\n'])
        && (file.contains('/') || file == "bash" || file == "sh");
    let line = line.parse().ok().filter(|_| is_script && !said.contains('\n'))?;
    Some(Record {
        error_message: said.to_owned(),
        stack_trace: vec![StackEntry {
            file: Some(file.to_owned()),
            line: Some(line),
            ..StackEntry::default()
        }],
        runtime: Some(RUNTIME.to_owned()),
        ..Record::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_and_the_message_are_read() {
        let record = read("/var/task/unbound.sh: line 4: TABLE_NAME: unbound variable\n").unwrap();
        assert_eq!(
            (record.error_message.as_str(), record.stack_trace[0].line),
            ("TABLE_NAME: unbound variable", Some(4))
        );
        for text in ["", "error in a file: line 4: x", "/a.sh: line x: y", "/a.sh: line 4", "note: line 4: x"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
