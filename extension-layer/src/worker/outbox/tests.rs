use std::cell::{Cell, RefCell};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use trace_agent_core::choose::Opened;
use trace_agent_core::config::{CloudWatchOptions, Settings};
use trace_agent_core::sink::{Error, Put, Receipt, Sink};
use trace_record::batch::Batch;

use super::*;
use crate::link::testing::Written;

/// What the sink does with a batch.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::worker) enum Mood {
    Stores,
    Hangs,
    Fails(Fault),
}

thread_local! {
    pub(in crate::worker) static MOOD: RefCell<Mood> = const { RefCell::new(Mood::Stores) };
    static STORED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static TRIES: RefCell<u32> = const { RefCell::new(0) };
    static OPENED: Cell<u32> = const { Cell::new(0) };
}

/// A sink with the mood of the test's thread.
struct Moody;

impl Sink for Moody {
    fn name(&self) -> String {
        "moody".to_owned()
    }

    fn line_bytes_max(&self) -> usize {
        render::CLOUDWATCH_LINE_BYTES_MAX
    }

    fn put<'a>(&'a self, _: &'a Destination, batch: &'a Batch) -> Put<'a> {
        TRIES.with_borrow_mut(|tries| *tries += 1);
        let mood = MOOD.with_borrow(|mood| *mood);
        Box::pin(async move {
            match mood {
                Mood::Stores => {}
                Mood::Hangs => std::future::pending().await,
                Mood::Fails(fault) => {
                    return Err(Error { fault, sink: "moody".to_owned(), message: "moody".to_owned() });
                }
            }
            let messages = batch.events().iter().map(|event| event.message.clone());
            STORED.with_borrow_mut(|stored| stored.extend(messages));
            Ok(Receipt { stored: batch.events().len(), rejected: Vec::new() })
        })
    }
}

fn connect(_: CloudWatchOptions) -> Opened<'static> {
    OPENED.set(OPENED.get() + 1);
    Box::pin(async { Ok(Arc::new(Moody) as Arc<dyn Sink>) })
}

/// An outbox before a moody sink, and what it prints.
pub(in crate::worker) struct Stand {
    pub(in crate::worker) outbox: Outbox,
    pub(in crate::worker) written: Written,
    pub(in crate::worker) folder: tempfile::TempDir,
}

impl Stand {
    pub(in crate::worker) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { sink: Some("cloudwatch".to_owned()), ..Settings::default() };
        let (config, _) = Config::read(&settings, SinkChoice::Auto);
        let written = Written::default();
        let outbox = Outbox::new(
            config,
            connect,
            Sandbox::default(),
            folder.path().join("spool"),
            Box::new(written.clone()),
        );
        Self { outbox, written, folder }
    }

    /// Ships one failure with this message within two seconds.
    async fn ship(&mut self, mood: Mood, message: &str, is_last: bool) {
        MOOD.set(mood);
        let record = Record {
            error_message: message.to_owned(),
            request_id: Some("r1".to_owned()),
            ..Record::default()
        };
        let closed = if message.is_empty() {
            vec![]
        } else {
            vec![Closed { record, invocation: None, event: None, number: 0, amends: None }]
        };
        let start = Instant::now();
        let wait = Duration::from_secs(2);
        self.outbox.ship(closed, &Function::default(), &mut Deadline::at(start + wait), is_last).await;
        assert!(start.elapsed() <= wait, "a dead back end holds nobody");
    }

    fn printed(&self) -> Vec<String> {
        messages(&self.written)
    }
}

fn message(line: &str) -> String {
    serde_json::from_str::<Record>(line).unwrap().error_message
}

pub(in crate::worker) fn messages(written: &Written) -> Vec<String> {
    written.lines().iter().map(|line| message(line)).collect()
}

pub(in crate::worker) fn stored() -> Vec<String> {
    STORED.with_borrow(|stored| stored.iter().map(|line| message(line)).collect())
}

fn tries() -> u32 {
    TRIES.with_borrow(|tries| *tries)
}

const NOTHING: [&str; 0] = [];

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_is_left_alone_and_what_waited_is_sent_when_it_is_well() {
    let mut stand = Stand::new();
    stand.ship(Mood::Hangs, "first", false).await;
    let before = tries();
    stand.ship(Mood::Hangs, "second", false).await;
    assert_eq!(tries(), before, "it rests");
    assert_eq!((stored().len(), stand.printed().len()), (0, 0));
    let folder = std::fs::metadata(stand.folder.path().join("spool")).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    tokio::time::advance(REST).await;
    // Without another failure, too.
    stand.ship(Mood::Stores, "", false).await;
    assert_eq!(stored(), ["first", "second"]);
    assert_eq!(stand.printed(), NOTHING);
    assert!(!spool::has_waiting(&stand.outbox.spool_folder));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_fails_again_and_again_is_asked_ever_more_seldom_and_never_given_up() {
    let mut stand = Stand::new();
    let fails = [Fault::Transient, Fault::Throttled { after: None }, Fault::Transient].map(Mood::Fails);
    for (rests, mood) in fails.into_iter().enumerate() {
        stand.ship(mood, &rests.to_string(), false).await;
        let before = tries();
        tokio::time::advance(REST * (1 << rests) - Duration::from_millis(1)).await;
        stand.ship(mood, "", false).await;
        assert_eq!(tries(), before, "it rests longer");
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    stand.ship(Mood::Stores, "", false).await;
    assert_eq!((stored().len(), stand.printed()), (3, vec![]));
    assert!(!spool::has_waiting(&stand.outbox.spool_folder));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_printed_oldest_first() {
    let mut stand = Stand::new();
    let long = "x".repeat(WAITING_BYTES_MAX / 3);
    for number in 0..4 {
        stand.ship(Mood::Hangs, &format!("{number}{long}"), false).await;
    }
    let first: String = stand.printed().iter().map(|message| &message[..1]).collect();
    assert_eq!(first, "01");
    stand.ship(Mood::Stores, "", true).await;
    assert_eq!(stored().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_freeze_a_new_sink_is_opened_and_asked_at_once() {
    let mut stand = Stand::new();
    stand.ship(Mood::Hangs, "first", false).await;
    stand.outbox.renew();
    stand.ship(Mood::Stores, "", false).await;
    assert_eq!((stored(), OPENED.get()), (vec!["first".to_owned()], 2));
}

#[tokio::test(start_paused = true)]
async fn a_warning_goes_the_same_way() {
    let mut stand = Stand::new();
    stand.outbox.warn(&Dropped { records: 3, reason: "slow".to_owned() }, &Function::default());
    stand.ship(Mood::Stores, "", false).await;
    let lines = STORED.with_borrow(Clone::clone);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains(r#""LogsDropped":3"#), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_denied_is_printed_at_once_and_all_that_follows() {
    let mut stand = Stand::new();
    stand.ship(Mood::Fails(Fault::Denied), "first", false).await;
    assert_eq!(stand.printed(), ["first"]);
    stand.ship(Mood::Stores, "second", false).await;
    assert_eq!((stand.printed(), tries()), (vec!["first".to_owned(), "second".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn at_shutdown_what_waits_is_tried_once_more_and_then_printed() {
    let mut stand = Stand::new();
    stand.ship(Mood::Hangs, "first", false).await;
    stand.ship(Mood::Hangs, "second", true).await;
    let mut printed = stand.printed();
    printed.sort();
    assert_eq!(printed, ["first", "second"]);
    assert!(!spool::has_waiting(&stand.outbox.spool_folder));
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_that_died_put_away_is_sent_by_the_next() {
    let mut died = Stand::new();
    died.ship(Mood::Hangs, "first", false).await;
    let mut next = Stand::new();
    next.outbox.spool_folder = died.outbox.spool_folder.clone();
    drop(died.outbox);
    next.ship(Mood::Stores, "second", false).await;
    assert_eq!(stored(), ["second", "first"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_refused_or_too_long_for_the_log_is_printed_within_its_bound() {
    let mut stand = Stand::new();
    stand.ship(Mood::Fails(Fault::Invalid), &"x".repeat(900_000), false).await;
    let lines = stand.written.lines();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].len() <= STDOUT_LINE_BYTES_MAX && message(&lines[0]).starts_with("xxx"));
}

#[tokio::test(start_paused = true)]
async fn without_a_spool_what_has_to_wait_is_printed() {
    let mut stand = Stand::new();
    std::fs::write(stand.folder.path().join("spool"), "in the way").unwrap();
    stand.ship(Mood::Hangs, "Bearer abcdefghijklmnopqrstuvwxyz", false).await;
    assert_eq!(stand.printed(), ["Bearer [redacted:bearer]"]);
}
