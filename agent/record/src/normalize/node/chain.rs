//! An error and those behind it, before they become a record.
//!
//! Node prints of a stack only what its cause's stack does not have as well:
//!
//! ```text
//!     at Object.<anonymous> (/var/task/main.js:5:1)
//!     ... 5 lines matching cause stack trace ...
//!     at node:internal/main/run_main_module:28:49 {
//! ```
//!
//! What is left out stands in the cause's stack between the same two lines.

use crate::failure::{Frame, Record, Relation, StackEntry};
use crate::normalize::stack::{Stack, cause};

/// One line of a stack.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly every line is a call")]
pub(super) enum StackLine {
    Call(StackEntry, Frame),
    /// So many lines are left out, which the stack of the cause has as well.
    Matching(u64),
}

/// An error and those behind it.
#[derive(Debug, Default)]
pub(super) struct Failure {
    pub(super) error_type: Option<String>,
    pub(super) raw_error_type: Option<String>,
    pub(super) message: String,
    /// The most recent call first.
    pub(super) lines: Vec<StackLine>,
    pub(super) causes: Vec<(Relation, Failure)>,
    pub(super) truncated: u64,
}

impl Failure {
    /// True if the text showed a stack.
    pub(super) fn has_stack(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Makes a record of it. What matches a cause's stack is filled in from there.
    pub(super) fn into_record(self) -> Record {
        let (record, _) = self.resolved();
        record
    }

    /// The record, and its stack with the most recent call first.
    fn resolved(self) -> (Record, Stack) {
        let mut record = Record {
            error_type: self.error_type,
            raw_error_type: self.raw_error_type,
            error_message: self.message,
            ..Record::default()
        };
        let mut first_cause = None;
        for (relation, failure) in self.causes {
            let (inner, stack) = failure.resolved();
            if let Some(calls) = inner.truncated.get("stackTrace") {
                *record.truncated.entry("stackTrace".to_owned()).or_default() += calls;
            }
            if relation == Relation::Cause && first_cause.is_none() {
                first_cause = Some(stack);
            }
            record.causes.push(cause(inner, relation));
        }
        if self.truncated > 0 {
            record.truncated.insert("causes".to_owned(), self.truncated);
        }
        let stack = filled(self.lines, first_cause.as_ref().map_or(&[], Stack::calls));
        stack.clone().reversed().put_into(&mut record);
        (record, stack)
    }
}

/// The stack, with the lines that match the cause's taken from there.
fn filled(lines: Vec<StackLine>, cause: &[(StackEntry, Frame)]) -> Stack {
    let mut stack = Stack::default();
    let mut lines = lines.into_iter().peekable();
    while let Some(line) = lines.next() {
        match line {
            StackLine::Call(entry, frame) => stack.push(entry, frame),
            StackLine::Matching(count) => {
                let after = match lines.peek() {
                    Some(StackLine::Call(entry, frame)) => Some((entry, frame)),
                    _ => None,
                };
                match matching(cause, stack.calls().last(), after, count) {
                    Some(calls) => stack.extend(calls.iter().cloned()),
                    None => stack.elide(count),
                }
            }
        }
    }
    stack
}

/// The `count` calls of the cause's stack that stand between these two.
fn matching<'a>(
    cause: &'a [(StackEntry, Frame)],
    before: Option<&(StackEntry, Frame)>,
    after: Option<(&StackEntry, &Frame)>,
    count: u64,
) -> Option<&'a [(StackEntry, Frame)]> {
    let before = before?;
    let start = cause.iter().position(|call| call == before)? + 1;
    let end = start.checked_add(usize::try_from(count).ok()?)?;
    let calls = cause.get(start..end)?;
    let (entry, frame) = after?;
    cause.get(end).filter(|call| (&call.0, &call.1) == (entry, frame)).map(|_| calls)
}
