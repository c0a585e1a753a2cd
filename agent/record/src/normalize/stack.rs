//! A stack as it is read: entries with what four values cannot hold, bounded.

use crate::failure::{Cause, Frame, Record, Relation, StackEntry};
use crate::normalize::FRAMES_MAX;

/// The calls of one failure in the order in which they were read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stack {
    calls: Vec<(StackEntry, Frame)>,
    /// How many calls are known to be missing.
    missing: u64,
}

impl Stack {
    /// Adds a call. Above [`FRAMES_MAX`] it is only counted.
    pub(crate) fn push(&mut self, entry: StackEntry, frame: Frame) {
        if self.calls.len() < FRAMES_MAX {
            self.calls.push((entry, frame));
        } else {
            self.missing += 1;
        }
    }

    /// Adds the last `length` calls again, `times` times, as `[Previous line repeated 996 more times]` says.
    pub(crate) fn repeat(&mut self, length: usize, times: u64) {
        let length = length.min(self.calls.len());
        let cycle = self.calls[self.calls.len() - length..].to_vec();
        let wanted = times.saturating_mul(length as u64);
        let room = (FRAMES_MAX - self.calls.len()) as u64;
        let added = wanted.min(room);
        self.calls.extend(cycle.into_iter().cycle().take(usize::try_from(added).unwrap_or(FRAMES_MAX)));
        self.missing = self.missing.saturating_add(wanted - added);
    }

    /// Adds the calls of another stack.
    pub(crate) fn extend(&mut self, calls: impl IntoIterator<Item = (StackEntry, Frame)>) {
        calls.into_iter().for_each(|(entry, frame)| self.push(entry, frame));
    }

    /// Notes that the text itself leaves out so many calls.
    pub(crate) fn elide(&mut self, calls: u64) {
        self.missing = self.missing.saturating_add(calls);
    }

    /// Turns the order around: most runtimes print the most recent call first, and a record has it last.
    #[must_use]
    pub(crate) fn reversed(mut self) -> Self {
        self.calls.reverse();
        self
    }

    /// The call that was read last.
    pub(crate) fn last_mut(&mut self) -> Option<&mut StackEntry> {
        self.calls.last_mut().map(|(entry, _)| entry)
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// The calls as they were read.
    pub(crate) fn calls(&self) -> &[(StackEntry, Frame)] {
        &self.calls
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Puts the stack, whose last call is the most recent one, into `record`.
    pub(crate) fn put_into(self, record: &mut Record) {
        let (entries, frames): (Vec<StackEntry>, Vec<Frame>) = self.calls.into_iter().unzip();
        record.stack_trace = entries;
        record.frames = if frames.iter().all(Frame::is_empty) { Vec::new() } else { frames };
        if self.missing > 0 {
            *record.truncated.entry("stackTrace".to_owned()).or_default() += self.missing;
        }
    }

    /// The entries alone, as causes have them.
    pub(crate) fn into_entries(self) -> Vec<StackEntry> {
        self.calls.into_iter().map(|(entry, _)| entry).collect()
    }
}

/// Makes a record the cause of another one.
pub(crate) fn cause(record: Record, relation: Relation) -> Cause {
    Cause {
        error_message: record.error_message,
        stack_trace: record.stack_trace,
        error_type: record.error_type,
        relation: Some(relation),
        causes: record.causes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: u32) -> StackEntry {
        StackEntry { line: Some(line), ..StackEntry::default() }
    }

    #[test]
    fn a_stack_is_bounded_and_counts_what_it_leaves_out() {
        let mut stack = Stack::default();
        stack.push(call(1), Frame::default());
        stack.push(call(2), Frame::default());
        stack.repeat(2, 2);
        assert_eq!(
            stack.calls().iter().filter_map(|(entry, _)| entry.line).collect::<Vec<_>>(),
            [1, 2, 1, 2, 1, 2]
        );
        stack.repeat(1, u64::MAX);
        let mut record = Record::default();
        stack.put_into(&mut record);
        assert_eq!(record.stack_trace.len(), FRAMES_MAX);
        assert_eq!(record.truncated["stackTrace"], u64::MAX - (FRAMES_MAX as u64 - 6));
    }
}
