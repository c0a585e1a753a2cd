//! What the detector and the JSON reader must know of a language: how its failures begin and go on in a stream of lines,
//! and how a text or a posted stack of it is read.

use crate::failure::Record;
use crate::normalize::line::Line;

/// One language, or one other form in which failures are printed.
#[derive(Debug)]
pub(crate) struct Language {
    /// The name, as it stands in `runtime` of a record.
    pub(crate) name: &'static str,
    /// The bytes with which the text of a line may begin that [`Language::opens`] wants to see, white space aside. A line
    /// with a logger's prefix is always shown.
    pub(crate) begins: &'static [u8],
    /// What one of must stand in every line that [`Language::opens`] takes, unless it begins with a mark (`^`); none where that cannot be said. All languages' are
    /// looked for in one pass, which spares nearly every line all further questions.
    pub(crate) signs: &'static [&'static str],
    /// Says whether a failure begins in this line, or in one of those before it.
    pub(crate) opens: fn(&Line<'_>, &Held<'_>) -> Option<Opening>,
    /// Says whether this line belongs to a failure that is open in the given state.
    pub(crate) continues: fn(State, &Line<'_>) -> Claim,
    /// Reads the text of one failure: a block of the detector, or a whole input. The logger's prefix of the first line
    /// has been taken off. Must take no other language's text.
    pub(crate) read: fn(&str) -> Option<Record>,
    /// Reads a stack that was posted as an array of strings. Must take no other language's stack.
    pub(crate) posted: fn(&Posted<'_>) -> Option<Record>,
}

/// Where in a failure's text its language stands. What the numbers mean is each language's own affair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(pub(crate) u8);

/// Where a failure begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// In this line.
    Here(State),
    /// So many lines before this one: the line alone shows that something was begun.
    Before {
        /// How many of the lines before belong to the failure.
        lines: usize,
        /// The state after this line.
        state: State,
    },
    /// The line is the whole of a failure.
    Whole,
}

/// What a line is to an open failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Part of it, by its shape: no other language writes this.
    Own(State),
    /// Part of it, by its place or a shape that others have too: another open failure that knows the line goes first.
    Likely(State),
    /// As [`Claim::Likely`], but the failure may have ended before: one that began later and waits for the end of its message
    /// goes first.
    Trailing(State),
    /// Its last line.
    Last,
    /// Perhaps a line of its message: what must come after a message has not come yet.
    Message(State),
    /// Perhaps a line of its message or of what its logger says below, where nothing needs to come any more. Such lines count
    /// only if the text ends with them, or a line of the failure's own follows.
    Tail(State),
    /// No part of it.
    No,
}

/// The lines before the one that is looked at, which belong to no failure so far.
pub(crate) struct Held<'a> {
    pub(crate) text: &'a str,
}

impl<'a> Held<'a> {
    /// The lines without their line ends, the latest first.
    pub(crate) fn back(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let text = self.text.strip_suffix('\n').unwrap_or(self.text);
        let lines = if self.text.is_empty() { None } else { Some(text.rsplit('\n')) };
        lines.into_iter().flatten().map(|line| line.strip_suffix('\r').unwrap_or(line))
    }
}

/// A stack that was posted as strings.
pub(crate) struct Posted<'a> {
    /// The strings.
    pub(crate) stack: &'a [&'a str],
    /// The type of the error, as it was posted.
    pub(crate) error_type: Option<&'a str>,
    /// The message, as it was posted.
    pub(crate) error_message: &'a str,
}

/// For a language whose stacks are never posted as strings.
pub(crate) fn posts_nothing(_: &Posted<'_>) -> Option<Record> {
    None
}
