//! Page after page, and again when there is more.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use trace_record::Record;
use trace_record::retry::{self, Next};
use tracing::warn;

use super::selection::Selection;
use crate::read::{Page, Reader};
use crate::sink::Error;

/// How often a group is asked whether there is more, and how seldom if there never is.
const POLL: Duration = Duration::from_secs(1);
const POLL_MAX: Duration = Duration::from_secs(5);

/// How far back each poll looks: a record stands at the time of its failure, and comes when it comes.
const OVERLAP_MS: i64 = 5 * 60 * 1_000;

/// The most lines, and the most records, that are remembered not to be shown twice.
const SEEN_MAX: usize = 100_000;

/// The longest name that is remembered, in bytes: twice an event id of CloudWatch. What has a longer one may be shown twice.
const NAME_BYTES_MAX: usize = 128;

/// How often one page is asked for. Once something has been read, whoever follows waits for as long as it takes.
const TRIES_MAX: u32 = 10;

/// A wanted record, and the line that it was.
pub(super) struct Line {
    pub(super) record: Record,
    pub(super) message: String,
}

/// A query on its way.
pub(super) struct Tail {
    reader: Box<dyn Reader>,
    selection: Selection,
    is_followed: bool,
    clock: fn() -> i64,
    /// What continues the query; nothing at its start and at its end.
    next: Option<String>,
    is_begun: bool,
    /// Whether this poll has found anything.
    is_fruitful: bool,
    wait: Duration,
    newest_ms: i64,
    lines: Seen,
    records: Seen,
    twice: u64,
    other: u64,
}

impl Tail {
    /// `clock` gives the time in milliseconds since 1970.
    pub(super) fn new(
        reader: Box<dyn Reader>,
        selection: Selection,
        is_followed: bool,
        clock: fn() -> i64,
    ) -> Self {
        let newest_ms = selection.query.start_ms.unwrap_or(0);
        Self {
            reader,
            selection,
            is_followed,
            clock,
            next: None,
            is_begun: false,
            is_fruitful: false,
            wait: Duration::ZERO,
            newest_ms,
            lines: Seen::default(),
            records: Seen::default(),
            twice: 0,
            other: 0,
        }
    }

    /// The wanted records of the next page, or nothing at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Line>>, Error> {
        if self.is_begun && self.next.is_none() {
            if !self.is_followed {
                return Ok(None);
            }
            self.wait = if self.is_fruitful { POLL } else { (self.wait * 2).clamp(POLL, POLL_MAX) };
            self.is_fruitful = false;
            tokio::time::sleep(self.wait).await;
            // A record whose clock is ahead must not hide those that come at their time.
            let start_ms = self.newest_ms.min((self.clock)()).saturating_sub(OVERLAP_MS);
            self.selection.query.start_ms = self.selection.query.start_ms.max(Some(start_ms));
        }
        let page = self.page().await?;
        self.is_begun = true;
        self.next.clone_from(&page.next);
        let lines = self.wanted(page);
        self.is_fruitful |= !lines.is_empty();
        Ok(Some(lines))
    }

    /// Tells what is not shown.
    pub(super) fn say(&self) {
        if self.twice > 0 {
            anstream::eprintln!("trace-agent: {} records were delivered more than once", self.twice);
        }
        if self.other > 0 {
            anstream::eprintln!("trace-agent: {} lines are no records", self.other);
        }
    }

    async fn page(&self) -> Result<Page, Error> {
        let mut attempt: u32 = 0;
        loop {
            let error = match self.reader.page(&self.selection.query, self.next.as_deref()).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            attempt = attempt.saturating_add(1);
            // Half of the longest wait: nobody else reads this group in step with us.
            match retry::after(error.fault, attempt, u32::MAX / 2) {
                Next::Wait(wait) if attempt < TRIES_MAX || (self.is_followed && self.is_begun) => {
                    if attempt == 1 {
                        warn!(error = %error, "the records are asked for again");
                    }
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(error),
            }
        }
    }

    fn wanted(&mut self, page: Page) -> Vec<Line> {
        let mut lines = Vec::new();
        for event in page.events {
            self.newest_ms = self.newest_ms.max(event.timestamp_ms);
            // Each poll looks at the last ones again.
            if self.is_followed && !self.lines.is_new(&event.id) {
                continue;
            }
            let Some(record) = record(&event.message) else {
                self.other += 1;
                continue;
            };
            if !self.selection.has(&record) {
                continue;
            }
            if record.id.as_ref().is_some_and(|id| !self.records.is_new(id)) {
                self.twice += 1;
                continue;
            }
            lines.push(Line { record, message: event.message });
        }
        lines
    }
}

/// The record in a line, if it is one of ours.
fn record(line: &str) -> Option<Record> {
    let record: Record = serde_json::from_str(line).ok()?;
    record.schema.is_some().then_some(record)
}

/// Names that were met, as many as are remembered.
#[derive(Default)]
struct Seen {
    names: HashSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    fn is_new(&mut self, name: &str) -> bool {
        if name.len() > NAME_BYTES_MAX {
            return true;
        }
        if self.names.contains(name) {
            return false;
        }
        if self.order.len() >= SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
        self.names.insert(name.to_owned());
        self.order.push_back(name.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::logs::Args;
    use crate::read::{Query, Reading, Stored};
    use clap::Parser;
    use std::sync::{Arc, Mutex};
    use trace_record::retry::Fault;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// What was asked: from when on, and what it continues.
    type Asked = Arc<Mutex<Vec<(Option<i64>, Option<String>)>>>;

    /// Gives recorded answers, and notes what was asked.
    struct Recorded {
        answers: Mutex<VecDeque<Result<Page, Fault>>>,
        asked: Asked,
    }

    impl Reader for Recorded {
        fn page<'a>(&'a self, query: &'a Query, next: Option<&'a str>) -> Reading<'a> {
            self.asked.lock().unwrap().push((query.start_ms, next.map(str::to_owned)));
            let answer = self.answers.lock().unwrap().pop_front().expect("there is an answer");
            let error = |fault| Error { fault, sink: "recorded".to_owned(), message: "recorded".to_owned() };
            Box::pin(std::future::ready(answer.map_err(error)))
        }
    }

    const NOW_MS: i64 = 1_795_419_012_532;

    fn page(events: &[(&str, &str)], next: Option<&str>) -> Result<Page, Fault> {
        page_at(NOW_MS, events, next)
    }

    fn page_at(timestamp_ms: i64, events: &[(&str, &str)], next: Option<&str>) -> Result<Page, Fault> {
        let events = events.iter().map(|(id, message)| Stored {
            id: (*id).to_owned(),
            timestamp_ms,
            message: (*message).to_owned(),
        });
        Ok(Page { events: events.collect(), next: next.map(str::to_owned) })
    }

    fn tail(arguments: &[&str], answers: Vec<Result<Page, Fault>>) -> (Tail, Asked) {
        let line = ["logs", "/g", "--since", "2026-11-23T07:00:00Z"].iter().chain(arguments);
        let args = Line::try_parse_from(line).unwrap().args;
        let asked = Arc::default();
        let reader = Recorded { answers: Mutex::new(answers.into()), asked: Arc::clone(&asked) };
        let selection = Selection::new(&args, NOW_MS).unwrap();
        (Tail::new(Box::new(reader), selection, args.follow, || NOW_MS), asked)
    }

    fn line(id: &str) -> String {
        format!(r#"{{"errorMessage":"m","schema":1,"id":"{id}","fingerprint":"f{id}"}}"#)
    }

    async fn ids(tail: &mut Tail) -> Option<Vec<String>> {
        let lines = tail.next().await.map_err(|error| error.to_string()).unwrap()?;
        Some(lines.into_iter().filter_map(|line| line.record.id).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn empty_pages_throttles_and_second_deliveries_are_gone_through() {
        let (a, b) = (line("a"), line("b"));
        let (mut tail, asked) = tail(
            &[],
            vec![
                page(&[("1", &a)], Some("x")),
                Err(Fault::Throttled { after: None }),
                page(&[], Some("y")),
                page(&[("2", &a), ("3", "START RequestId"), ("4", &b), ("5", "{\"message\":1}")], None),
            ],
        );
        let mut shown = Vec::new();
        while let Some(ids) = ids(&mut tail).await {
            shown.extend(ids);
        }
        assert_eq!((shown, tail.twice, tail.other), (vec!["a".to_owned(), "b".to_owned()], 1, 2));
        let next: Vec<_> = asked.lock().unwrap().iter().map(|(_, next)| next.clone()).collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(next, [None, some("x"), some("x"), some("y")]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_followed_is_asked_for_again_and_shown_once() {
        let (a, b) = (line("a"), line("b"));
        let pages =
            vec![page(&[("1", &a)], None), page(&[("1", &a)], None), page(&[("1", &a), ("2", &b)], None)];
        let (mut tail, asked) = tail(&["--follow"], pages);
        assert_eq!(ids(&mut tail).await.unwrap(), ["a"]);
        assert!(ids(&mut tail).await.unwrap().is_empty());
        assert_eq!(ids(&mut tail).await.unwrap(), ["b"]);
        assert_eq!(tail.twice, 0);
        let start = asked.lock().unwrap()[2].0;
        assert_eq!(start, Some(NOW_MS - OVERLAP_MS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_is_ahead_hides_nothing() {
        let (a, b) = (line("a"), line("b"));
        let ahead = page_at(NOW_MS + 6_000_000, &[("1", &a)], None);
        let (mut tail, asked) = tail(&["--follow"], vec![ahead, page(&[("2", &b)], None)]);
        assert_eq!(ids(&mut tail).await.unwrap(), ["a"]);
        assert_eq!(ids(&mut tail).await.unwrap(), ["b"]);
        assert_eq!(asked.lock().unwrap()[1].0, Some(NOW_MS - OVERLAP_MS));
    }

    #[tokio::test(start_paused = true)]
    async fn polls_are_seldom_while_nothing_comes() {
        let a = line("a");
        let (none, empty) = (|| page(&[], None), || page(&[], Some("x")));
        // What a poll finds on any of its pages counts, and empty pages on the way do not.
        let pages =
            vec![empty(), none(), none(), none(), none(), page(&[("1", &a)], Some("y")), none(), none()];
        let (mut tail, _) = tail(&["--follow"], pages);
        let (mut waits, mut before) = (Vec::new(), tokio::time::Instant::now());
        for _ in 0..8 {
            tail.next().await.map_err(|error| error.to_string()).unwrap();
            waits.push(before.elapsed().as_secs());
            before = tokio::time::Instant::now();
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 5, 0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_ends_a_query_but_nobody_who_follows() {
        let outage = || (0..3 * TRIES_MAX).map(|_| Err(Fault::Unreachable));
        let a = line("a");
        let pages = std::iter::once(page(&[], None)).chain(outage()).chain([page(&[("1", &a)], None)]);
        let (mut followed, _) = tail(&["--follow"], pages.collect());
        assert!(ids(&mut followed).await.unwrap().is_empty());
        assert_eq!(ids(&mut followed).await.unwrap(), ["a"]);
        for arguments in [&[][..], &["--follow"]] {
            let (mut tail, asked) = tail(arguments, outage().collect());
            assert!(tail.next().await.is_err(), "it never answered");
            assert_eq!(asked.lock().unwrap().len(), TRIES_MAX as usize);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_wanted_is_shown() {
        let (a, b) = (line("a"), line("b"));
        let (mut tail, _) = tail(&["--fingerprint", "fb"], vec![page(&[("1", &a), ("2", &b)], None)]);
        assert_eq!(tail.selection.query.pattern.as_deref(), Some("\"fb\""));
        assert_eq!(ids(&mut tail).await.unwrap(), ["b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_denied_is_said_at_once() {
        let (mut tail, asked) = tail(&[], vec![Err(Fault::Denied)]);
        assert!(tail.next().await.is_err());
        assert_eq!(asked.lock().unwrap().len(), 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut seen = Seen::default();
        assert!((0..SEEN_MAX + 10).all(|number| seen.is_new(&number.to_string())));
        assert_eq!((seen.names.len(), seen.is_new("0"), seen.is_new("50")), (SEEN_MAX, true, false));
        let long = "n".repeat(NAME_BYTES_MAX + 1);
        assert!(seen.is_new(&long) && seen.is_new(&long) && !seen.names.contains(&long));
    }
}
