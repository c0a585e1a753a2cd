//! A failure with everything behind it, while it is read: a tree that is built without recursion and stays bounded.

use crate::failure::{Cause, Frame, Record, Relation, StackEntry};
use crate::normalize::stack::Stack;
use crate::normalize::{CAUSES_DEPTH_MAX, CAUSES_MAX, FRAMES_MAX};

/// The most calls that a failure and all its causes keep together: traces that are filled in from one another could otherwise
/// grow with the square of their text.
const CALLS_MAX: usize = 8 * FRAMES_MAX;

/// Names one failure of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(usize);

/// One failure of the tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) error_type: Option<String>,
    pub(crate) error_message: String,
    /// Its calls, most recent first or last: as the language prints them.
    pub(crate) stack: Stack,
    /// The failure that it is behind of, its relation to that, and how deep it is.
    parent: Option<(Id, Relation)>,
    depth: usize,
}

/// The failures, each behind the one that it belongs to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    calls: usize,
    skipped: u64,
}

impl Tree {
    /// Adds the failure itself; must come first.
    pub(crate) fn root(&mut self) -> Id {
        self.nodes.push(Node::default());
        Id(self.nodes.len() - 1)
    }

    /// Adds a failure behind another one. `None` if there are too many, or too deep ones: then it is counted.
    pub(crate) fn add(&mut self, parent: Id, relation: Relation) -> Option<Id> {
        let depth = self.nodes[parent.0].depth + 1;
        if depth > CAUSES_DEPTH_MAX || self.nodes.len() > CAUSES_MAX {
            self.skipped += 1;
            return None;
        }
        self.nodes.push(Node { parent: Some((parent, relation)), depth, ..Node::default() });
        Some(Id(self.nodes.len() - 1))
    }

    pub(crate) fn node(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id.0]
    }

    /// The failure that `id` is behind of.
    pub(crate) fn parent(&self, id: Id) -> Option<Id> {
        self.nodes[id.0].parent.map(|(parent, _)| parent)
    }

    /// True if a failure is behind `id`.
    pub(crate) fn has_children(&self, id: Id) -> bool {
        self.nodes.iter().any(|node| node.parent.is_some_and(|(parent, _)| parent == id))
    }

    /// Adds a call to a failure.
    pub(crate) fn push(&mut self, id: Id, entry: StackEntry, frame: Frame) {
        if self.calls < CALLS_MAX {
            self.calls += 1;
            self.nodes[id.0].stack.push(entry, frame);
        } else {
            self.nodes[id.0].stack.elide(1);
        }
    }

    /// Adds the last `count` calls of `from`, as they were read, to `id`: `... 5 more`.
    pub(crate) fn repeat(&mut self, id: Id, from: Id, count: usize) {
        let calls = self.nodes[from.0].stack.calls();
        let there = count.min(calls.len());
        let taken = there.min(CALLS_MAX.saturating_sub(self.calls));
        let calls = calls[calls.len() - there..][..taken].to_vec();
        self.calls += taken;
        let stack = &mut self.nodes[id.0].stack;
        stack.extend(calls);
        if count > taken {
            stack.elide((count - taken) as u64);
        }
    }

    /// Makes the record. `order` brings the calls of each failure into the order of a record, most recent last.
    pub(crate) fn into_record(self, order: fn(Stack) -> Stack) -> Record {
        let mut done: Vec<Vec<Cause>> = vec![Vec::new(); self.nodes.len()];
        let mut record = Record::default();
        // What is behind a failure comes after it, so from the end on everything behind a failure is complete.
        for (index, node) in self.nodes.into_iter().enumerate().rev() {
            let mut causes = std::mem::take(&mut done[index]);
            causes.reverse();
            match node.parent {
                Some((parent, relation)) => done[parent.0].push(Cause {
                    error_message: node.error_message,
                    stack_trace: order(node.stack).into_entries(),
                    error_type: node.error_type,
                    relation: Some(relation),
                    causes,
                }),
                None => {
                    record.error_type = node.error_type;
                    record.error_message = node.error_message;
                    record.causes = causes;
                    order(node.stack).put_into(&mut record);
                }
            }
        }
        if self.skipped > 0 {
            record.truncated.insert("causes".to_owned(), self.skipped);
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_bounded_in_depth_and_number() {
        let mut tree = Tree::default();
        let root = tree.root();
        let mut last = root;
        for _ in 0..100_000 {
            last = tree.add(last, Relation::Cause).unwrap_or(last);
        }
        for _ in 0..100_000 {
            tree.add(root, Relation::Member);
        }
        let record = tree.into_record(|stack| stack);
        assert_eq!(record.truncated["causes"], 200_000 - CAUSES_MAX as u64);
        assert_eq!(record.causes.len(), CAUSES_MAX - CAUSES_DEPTH_MAX + 1);
    }

    #[test]
    fn calls_that_are_filled_in_are_bounded_together() {
        let mut tree = Tree::default();
        let mut last = tree.root();
        (0..FRAMES_MAX).for_each(|_| tree.push(last, StackEntry::default(), Frame::default()));
        for _ in 0..40 {
            let next = tree.add(last, Relation::Cause).unwrap();
            tree.repeat(next, last, FRAMES_MAX);
            last = next;
        }
        assert_eq!(tree.calls, CALLS_MAX);
    }
}
