//! Where in a stream of lines a failure begins and ends.
//!
//! A line is classified by its first bytes, never by a regular expression. Most lines of a healthy log cost one look at the
//! first byte, since no language's failures begin with it, and one copy into the lookback (`lookback.rs`).
//!
//! Several failures may be open at once, one for each language: two programs that share a log write line by line. Each line
//! goes to the first of these that takes it:
//!
//! 1. an open failure that knows the line by its shape, or else by its place;
//! 2. a failure that begins here;
//! 3. an open failure whose message the line may continue;
//! 4. nobody: then nothing that is open goes on, and the line is kept in the lookback.

use crate::failure::Record;
use crate::normalize::language::{Claim, Language, Opening, State};
use crate::normalize::line::Line;
use crate::normalize::lookback::{HELD_LINES_MAX, Lookback};
use crate::normalize::{LANGUAGES, languages_beginning_with, languages_of};
use crate::text;

/// The longest block that is collected, in bytes; CloudWatch takes no longer event (1 MiB less 26 bytes). What comes
/// after it in the same block is left out.
pub const BLOCK_BYTES_MAX: usize = 1_048_576 - 26;

/// The longest line that is looked at, in bytes. Longer ones are cut before they are classified.
pub const LINE_BYTES_MAX: usize = 1_048_576 - 26;

/// How many lines a block may wait for while others write. Then it is taken to be complete.
const OTHERS_LINES_MAX: u32 = 1_024;

/// What is known of the lines of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// Lines of a log: what follows a failure is seldom its message.
    #[default]
    Stream,
    /// A text that somebody framed: one event of the Telemetry API, a file given to `normalize`. What stands at its end belongs to
    /// the failure before it, if nothing else is known of it.
    Framed,
}

/// A text that one failure printed, with its line ends.
#[derive(Clone, Debug)]
pub struct Block<P> {
    /// The lines.
    pub text: String,
    /// Where the first of them stood.
    pub at: P,
    /// Who knows how to read it.
    language: &'static Language,
}

impl<P> Block<P> {
    /// Reads the block. `None` if it is no failure after all.
    #[must_use]
    pub fn read(&self) -> Option<Record> {
        super::read_with(self.language, &self.text)
    }

    /// The name of the reader.
    #[must_use]
    pub fn reader(&self) -> &'static str {
        self.language.name
    }
}

/// Finds the blocks of one source of lines. Sources must not be mixed: each has a detector of its own.
///
/// `P` is whatever says where a line stood: an offset, the number of an event.
#[derive(Debug)]
pub struct Detector<P> {
    extent: Extent,
    lookback: Lookback<P>,
    /// The failures that are open, the oldest first. At most one of each language.
    open: Vec<Open<P>>,
}

impl<P> Default for Detector<P> {
    fn default() -> Self {
        Self { extent: Extent::default(), lookback: Lookback::default(), open: Vec::new() }
    }
}

/// A failure whose end has not come.
#[derive(Debug)]
struct Open<P> {
    block: Block<P>,
    state: State,
    /// How much of the text is sure to belong to the failure, in bytes.
    sure: usize,
    /// How many lines came after that.
    unsure_lines: usize,
    /// How many lines went to others since its last one.
    waited: u32,
}

/// What the open failures say of a line, each by its index.
struct Claims {
    /// The one that knows the line by its shape.
    own: Option<(usize, Claim)>,
    /// The one whose message the line may continue, and the state that this would leave it in.
    message: Option<(usize, State)>,
}

impl<P: Clone> Detector<P> {
    /// A detector for a source of which `extent` is known.
    #[must_use]
    pub fn new(extent: Extent) -> Self {
        Self { extent, ..Self::default() }
    }

    /// Takes the next line, with or without its line end, and gives the blocks that it closed.
    pub fn line(&mut self, line: &str, at: P) -> Vec<Block<P>> {
        let line = Line::new(text::prefix(line, LINE_BYTES_MAX));
        debug_assert!(self.signs_are_complete(&line), "a line opens a failure without its signs: {line:?}");
        let languages = languages_of(&line);
        if self.open.is_empty() && languages == 0 {
            self.lookback.push(line.raw, at);
            return Vec::new();
        }
        let Claims { own, message } = self.claims(&line);
        match (own, self.opening(if own.is_none() { languages } else { 0 }, &line), message) {
            (Some((index, claim)), ..) => self.take_own(index, claim, &line),
            (None, Some((language, opening)), _) => self.begin(language, opening, &line, at),
            (None, None, Some((index, state))) => self.take_unsure(index, state, &line, at),
            (None, None, None) => {
                if self.is_open() {
                    self.lookback.clear();
                }
                self.lookback.push(line.raw, at);
                self.close_all(false)
            }
        }
    }

    /// Takes one event of a source: a line, or several that whoever logged them framed as one text, so that what stands at its
    /// end belongs to the failure before it.
    pub fn event(&mut self, text: &str, at: &P) -> Vec<Block<P>> {
        let is_framed = text.trim_end().contains('\n');
        let extent = self.extent;
        if is_framed {
            self.extent = Extent::Framed;
        }
        let mut closed: Vec<Block<P>> =
            text.split_inclusive('\n').flat_map(|line| self.line(line, at.clone())).collect();
        self.extent = extent;
        if is_framed {
            let ended = self.open.extract_if(.., |open| open.unsure_lines > 0);
            closed.extend(ended.map(|open| open.block));
        }
        closed
    }

    /// Closes what is open: the stream ended, or has been idle for long enough.
    pub fn finish(&mut self) -> Vec<Block<P>> {
        let closed = self.close_all(self.extent == Extent::Framed);
        self.lookback.clear();
        closed
    }

    /// Where the first line stood that may still become part of a failure: it must not be acknowledged yet.
    #[must_use]
    pub fn held(&self) -> Option<&P> {
        self.open.first().map(|open| &open.block.at).or_else(|| self.lookback.first())
    }

    /// True if a failure is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The open failure that knows the line by its shape, and the one whose message it may continue. The one that was opened last is
    /// asked first, and what waits for the end of its message goes before what may have ended.
    fn claims(&self, line: &Line<'_>) -> Claims {
        let (mut likely, mut message, mut tail) = (None, None, None);
        let continues = !line.begins_record();
        for (index, open) in self.open.iter().enumerate().rev() {
            match (open.block.language.continues)(open.state, line) {
                claim @ (Claim::Own(_) | Claim::Last) => {
                    return Claims { own: Some((index, claim)), message: None };
                }
                Claim::Likely(state) => likely = likely.or(Some((index, Claim::Own(state)))),
                Claim::Trailing(state) if message.is_none() => {
                    likely = likely.or(Some((index, Claim::Own(state))));
                }
                Claim::Message(state) if continues && open.unsure_lines < HELD_LINES_MAX => {
                    message = message.or(Some((index, state)));
                }
                Claim::Tail(state)
                    if continues && self.extent == Extent::Framed && open.unsure_lines < HELD_LINES_MAX =>
                {
                    tail = tail.or(Some((index, state)));
                }
                Claim::Trailing(_) | Claim::Message(_) | Claim::Tail(_) | Claim::No => {}
            }
        }
        Claims { own: likely, message: message.or(tail) }
    }

    /// The failure that the line opens, asked of `languages`.
    fn opening(&self, languages: u32, line: &Line<'_>) -> Option<(&'static Language, Opening)> {
        let held = self.lookback.held();
        let asked = LANGUAGES.iter().enumerate().filter(|(row, _)| languages & (1 << row) != 0);
        asked
            .map(|(_, language)| *language)
            .find_map(|language| (language.opens)(line, &held).map(|opening| (language, opening)))
    }

    /// Whether every language that takes the line has its signs there. Checked wherever tests and fuzzing show lines.
    fn signs_are_complete(&self, line: &Line<'_>) -> bool {
        let beginning = languages_beginning_with(line);
        let opening = self.opening(beginning, line).map(|(language, _)| language.name);
        opening == self.opening(languages_of(line), line).map(|(language, _)| language.name)
    }

    fn take_own(&mut self, index: usize, claim: Claim, line: &Line<'_>) -> Vec<Block<P>> {
        if self.open.len() == 1 || self.open[index].unsure_lines > 0 {
            self.lookback.clear();
        }
        self.open[index].push(line.raw);
        self.open[index].confirm();
        if let Claim::Own(state) = claim {
            self.open[index].state = state;
            return self.wait(index);
        }
        vec![self.open.remove(index).block]
    }

    fn take_unsure(&mut self, index: usize, state: State, line: &Line<'_>, at: P) -> Vec<Block<P>> {
        let open = &mut self.open[index];
        open.push(line.raw);
        open.unsure_lines += 1;
        open.state = state;
        // It may as well be the first line of the next failure.
        self.lookback.push(line.raw, at);
        self.wait(index)
    }

    /// Opens a failure, and closes what it ends: everything that is of the same language, and everything whose text had come to an end.
    fn begin(
        &mut self,
        language: &'static Language,
        opening: Opening,
        line: &Line<'_>,
        at: P,
    ) -> Vec<Block<P>> {
        let mut closed = Vec::new();
        let whole = opening == Opening::Whole;
        let mut index = 0;
        while index < self.open.len() {
            self.open[index].cut();
            if whole || std::ptr::eq(self.open[index].block.language, language) {
                closed.push(self.open.remove(index).block);
            } else {
                index += 1;
            }
        }
        let (mut text, mut first, mut state) = (String::new(), at, State(0));
        match opening {
            Opening::Whole => self.lookback.clear(),
            Opening::Here(here) => {
                self.lookback.clear();
                state = here;
            }
            Opening::Before { lines, state: here } => {
                let (before, place) = self.lookback.take(lines);
                text = before;
                first = place.unwrap_or(first);
                state = here;
            }
        }
        let block = Block { text, at: first, language };
        let mut open = Open { block, state, sure: 0, unsure_lines: 0, waited: 0 };
        open.push(line.raw);
        open.confirm();
        if whole {
            closed.push(open.block);
        } else {
            self.open.push(open);
        }
        closed
    }

    /// Lets all others wait for one line more, and closes those that waited for too long.
    fn wait(&mut self, taken: usize) -> Vec<Block<P>> {
        if self.open.len() == 1 {
            self.open[taken].waited = 0;
            return Vec::new();
        }
        for (index, open) in self.open.iter_mut().enumerate() {
            open.waited = if index == taken { 0 } else { open.waited + 1 };
        }
        let is_over = |open: &mut Open<P>| open.waited > OTHERS_LINES_MAX;
        self.open.extract_if(.., is_over).map(Open::close).collect()
    }

    fn close_all(&mut self, with_tails: bool) -> Vec<Block<P>> {
        let close = |open: Open<P>| if with_tails { open.block } else { open.close() };
        std::mem::take(&mut self.open).into_iter().map(close).collect()
    }
}

impl<P> Open<P> {
    fn push(&mut self, line: &str) {
        let text = &mut self.block.text;
        let room = BLOCK_BYTES_MAX.saturating_sub(text.len() + 1);
        text.push_str(text::prefix(line, room));
        if room > 0 {
            text.push('\n');
        }
    }

    /// Everything so far belongs to the failure.
    fn confirm(&mut self) {
        self.sure = self.block.text.len();
        self.unsure_lines = 0;
    }

    /// Drops the lines that are not sure to belong to the failure.
    fn cut(&mut self) {
        self.block.text.truncate(self.sure);
        self.unsure_lines = 0;
    }

    fn close(mut self) -> Block<P> {
        self.cut();
        self.block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(extent: Extent, log: &str) -> Vec<String> {
        let mut detector = Detector::new(extent);
        let mut blocks: Vec<Block<usize>> = log
            .split_inclusive('\n')
            .enumerate()
            .flat_map(|(number, line)| detector.line(line, number))
            .collect();
        blocks.extend(detector.finish());
        blocks.into_iter().map(|block| block.text).collect()
    }

    fn stream(log: &str) -> Vec<String> {
        blocks(Extent::Stream, log)
    }

    const TRACE: &str = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\n    ^^^\nValueError: no\n";
    const DURING_HANDLING: &str = "During handling of the above exception, another exception occurred:";

    #[test]
    fn lines_of_two_programs_that_alternate_go_to_their_own() {
        let java = [
            "Exception in thread \"main\" java.lang.Error: m\n",
            "\tat a.B.c(B.java:6)\n",
            "\tat a.B.main(B.java:7)\n",
            "Caused by: java.lang.Error: n\n",
            "\t... 2 more\n",
        ];
        let log: String = TRACE.split_inclusive('\n').zip(java).flat_map(|(a, b)| [a, b]).collect();
        let mut found = stream(&log);
        found.sort_unstable_by_key(String::len);
        assert_eq!(found, [TRACE.to_owned(), java.concat()]);
    }

    #[test]
    fn a_failure_that_may_have_ended_leaves_the_message_to_the_next() {
        let ruby = "a.rb:6:in `f': one (E)\n\n    two\n\tfrom a.rb:7:in `<main>'\n";
        assert_eq!(stream(&format!("{TRACE}{ruby}")), [TRACE, ruby]);
    }

    #[test]
    fn a_traceback_between_log_lines_is_one_block() {
        let log = format!("2026-11-25 INFO start\n{TRACE}2026-11-25 INFO end\n{TRACE}");
        assert_eq!(stream(&log), [TRACE, TRACE]);
    }

    #[test]
    fn a_chain_is_one_block() {
        let log = format!("{TRACE}\n{DURING_HANDLING}\n\n{TRACE}next\n");
        let found = stream(&log);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].matches("ValueError").count(), 2);
    }

    #[test]
    fn what_follows_the_exception_is_its_message_only_at_the_end_of_a_framed_text() {
        let log = format!("{TRACE}next request handled\n");
        assert_eq!(stream(&log), [TRACE]);
        assert_eq!(blocks(Extent::Framed, &log), [log.as_str()]);
        assert_eq!(blocks(Extent::Framed, &format!("{log}{TRACE}")), [TRACE, TRACE]);
        assert_eq!(blocks(Extent::Framed, &format!("{TRACE}END RequestId: 1\n")), [TRACE]);
        let many = "more\n".repeat(HELD_LINES_MAX + 1);
        assert_eq!(blocks(Extent::Framed, &format!("{TRACE}{many}")), [TRACE]);
    }

    #[test]
    fn a_lambda_record_is_a_block_by_itself() {
        let line =
            "[ERROR] E: m\rTraceback (most recent call last):\r\u{a0}\u{a0}File \"a.py\", line 1, in f\n";
        assert_eq!(stream(&format!("START RequestId: 1 Version: 2\n{line}END RequestId: 1\n")), [line]);
    }

    #[test]
    fn a_lambda_record_with_line_feeds_is_one_block() {
        // awslambdaric 4.2.2 writing to the log descriptor: a message of two lines, then the frames.
        let record = "[ERROR] E: one\ntwo\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\n";
        assert_eq!(stream(&format!("{record}END RequestId: 1\n")), [record]);
    }

    #[test]
    fn a_healthy_log_holds_no_block() {
        assert!(stream("START RequestId: 1\n{\"level\":\"INFO\"}\nthe Traceback word\n\n").is_empty());
    }

    #[test]
    fn an_event_of_several_lines_is_a_text_by_itself() {
        let mut detector = Detector::default();
        let framed = format!("{TRACE}two");
        let closed = detector.event(&framed, &7);
        assert_eq!((closed[0].text.as_str(), closed[0].at), (format!("{framed}\n").as_str(), 7));
        // Without a framing runtime each line is an event of its own.
        let closed: Vec<_> =
            format!("{framed}\n").split_inclusive('\n').flat_map(|line| detector.event(line, &8)).collect();
        assert_eq!((closed.len(), closed[0].text.as_str()), (1, TRACE));
    }

    #[test]
    fn a_block_is_bounded() {
        let mut detector = Detector::default();
        detector.line("Traceback (most recent call last):\n", ());
        detector.line("  File \"a.py\", line 1, in f\n", ());
        let long = format!("    {}\n", "x".repeat(300_000));
        for _ in 0..10 {
            assert!(detector.line(&long, ()).is_empty());
        }
        assert!(detector.finish()[0].text.len() <= BLOCK_BYTES_MAX);
    }

    #[test]
    fn what_is_held_begins_where_a_failure_may_begin() {
        let mut detector = Detector::default();
        assert_eq!(detector.held(), None);
        detector.line("nothing\n", 1);
        assert_eq!(detector.held(), Some(&1));
        for (number, line) in TRACE.split_inclusive('\n').enumerate() {
            assert!(detector.line(line, 2 + number).is_empty());
        }
        assert!(detector.is_open());
        assert_eq!(detector.held(), Some(&2));
        assert_eq!(detector.line("next\n", 9)[0].at, 2);
        assert_eq!(detector.held(), Some(&9));
        detector.finish();
        assert_eq!(detector.held(), None);
    }
}
