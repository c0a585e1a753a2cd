//! The lines and events of one input on their way through detectors.
//!
//! An input may hold several logs: a log group that was fetched holds one for each environment. Each has a detector of its
//! own. Lines that are events themselves (the Telemetry API's, those of `aws logs tail`) are unwrapped on the way.

use std::collections::HashSet;

use crate::failure::Record;
use crate::normalize::input::{Reading, export};
use crate::normalize::lines::{BLOCK_BYTES_MAX, Block, Detector, Extent};
use crate::normalize::telemetry::{self, Event, What};
use crate::text;

/// The most logs that are followed at once. Of more, the one that was silent for longest is taken to be complete.
const SOURCES_MAX: usize = 64;

/// The most requests of which it is known that somebody told of their failure, and the most failures of which so far
/// only the platform told.
const REQUESTS_MAX: usize = 4_096;

/// The name of the log that holds what the Telemetry API says that the function wrote.
const TELEMETRY: &str = "telemetry";

/// One log of an input.
#[derive(Debug)]
struct Source {
    name: String,
    detector: Detector<u64>,
    /// The request that runs, as far as the log says.
    request_id: Option<String>,
}

/// An event whose lines come one after the other.
#[derive(Debug)]
struct Pending {
    /// The name of the log.
    source: String,
    text: String,
    /// The number of the first line.
    at: u64,
}

/// The logs of one input.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The one that was used last is the last one.
    sources: Vec<Source>,
    /// The event of `aws logs tail` whose lines are being read.
    pending: Option<Pending>,
    /// Set if the lines are those of an export.
    export: Option<export::Lines>,
    /// How many lines or events came so far.
    count: u64,
    /// What was read and not yet taken.
    readings: Vec<Reading>,
    /// The requests of whose failure a reading tells.
    told: HashSet<Option<String>>,
    /// What only the platform told so far.
    platform: Vec<Reading>,
}

impl Log {
    /// For an input of lines that begins so.
    pub(super) fn of_lines(beginning: &[u8]) -> Self {
        Self { export: export::Lines::of(beginning), ..Self::default() }
    }

    /// How many lines or events came so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Takes a line of the input, with or without its line end.
    pub(super) fn line(&mut self, line: &str) {
        self.count += 1;
        if let Some(export) = &mut self.export {
            if let Some(event) = export.line(line) {
                self.framed(&event.source, &event.message, self.count);
            }
            return;
        }
        if let Some((source, message)) = export::tailed(line) {
            self.end_pending();
            self.pending =
                Some(Pending { source: source.to_owned(), text: message.to_owned(), at: self.count });
            return;
        }
        if let Some(pending) = &mut self.pending {
            let room = BLOCK_BYTES_MAX.saturating_sub(pending.text.len());
            pending.text.push_str(text::prefix(line, room));
            return;
        }
        match telemetry::line(line) {
            Some(event) => self.telemetry("", event),
            None => self.detect("", |source, count| {
                source.notice(line);
                source.detector.line(line, count)
            }),
        }
    }

    /// Takes what one log says at one time: a line, or several that were framed together.
    pub(super) fn event(&mut self, source: &str, text: &str) {
        self.count += 1;
        self.framed(source, text, self.count);
    }

    /// Takes one event of the Telemetry API.
    pub(super) fn telemetry_event(&mut self, event: Event) {
        self.count += 1;
        self.telemetry(TELEMETRY, event);
    }

    fn telemetry(&mut self, source: &str, event: Event) {
        match event.what {
            What::Function(text) => self.detect(source, |source, count| source.detector.event(&text, &count)),
            What::Extension(_) => {}
            What::Platform { name, record } => {
                self.detect(source, |source, _| {
                    let ended = source.detector.finish();
                    if name == "platform.start" {
                        source.request_id =
                            record.get("requestId").and_then(|id| id.as_str()).map(str::to_owned);
                    }
                    ended
                });
                if let Some(failure) = telemetry::failure(&name, &record) {
                    self.platform(failure, &name);
                }
            }
        }
    }

    /// Keeps what the platform says until the end, since what the function logged may come later.
    fn platform(&mut self, record: Record, name: &str) {
        if self.platform.iter().any(|known| known.record.request_id == record.request_id) {
            return;
        }
        if self.platform.len() >= REQUESTS_MAX {
            self.settle();
        }
        let why = format!("{name} tells of a failure of which nobody else does");
        self.platform.push(Reading { record, reader: "platform", line: self.count, lines: 1, why });
    }

    /// Decides of which requests only the platform told.
    fn settle(&mut self) {
        let told = std::mem::take(&mut self.told);
        let platform = std::mem::take(&mut self.platform);
        self.readings
            .extend(platform.into_iter().filter(|reading| !told.contains(&reading.record.request_id)));
    }

    fn framed(&mut self, source: &str, text: &str, at: u64) {
        match telemetry::line(text) {
            Some(event) => self.telemetry(source, event),
            None => self.detect(source, |source, _| {
                source.notice(text);
                source.detector.event(text, &at)
            }),
        }
    }

    /// Ends the event whose lines were collected.
    fn end_pending(&mut self) {
        if let Some(Pending { source, text, at }) = self.pending.take() {
            self.framed(&source, &text, at);
        }
    }

    /// Lets one log do something, and reads the blocks that this closed.
    fn detect(&mut self, name: &str, act: impl FnOnce(&mut Source, u64) -> Vec<Block<u64>>) {
        let index = self.source(name);
        let source = &mut self.sources[index];
        let blocks = act(source, self.count);
        if !blocks.is_empty() {
            let request_id = source.request_id.clone();
            self.read(&blocks, request_id);
        }
    }

    /// The index of a log, which is the last one from now on.
    fn source(&mut self, name: &str) -> usize {
        // Comparing two empty texts costs a fault that the processor must undo, and most logs have no name.
        let is_it = |source: &Source| source.name.is_empty() && name.is_empty() || source.name == name;
        if let Some(index) = self.sources.iter().rposition(is_it) {
            self.sources[index..].rotate_left(1);
            return self.sources.len() - 1;
        }
        if self.sources.len() >= SOURCES_MAX {
            let mut oldest = self.sources.remove(0);
            self.read(&oldest.detector.finish(), oldest.request_id);
        }
        // What is left of a whole text belongs to its last failure; of a log that goes on elsewhere, this is not known.
        let extent = if name.is_empty() { Extent::Framed } else { Extent::Stream };
        self.sources.push(Source {
            name: name.to_owned(),
            detector: Detector::new(extent),
            request_id: None,
        });
        self.sources.len() - 1
    }

    fn read(&mut self, blocks: &[Block<u64>], request_id: Option<String>) {
        for block in blocks {
            let Some(mut record) = block.read() else { continue };
            record.request_id = record.request_id.or_else(|| request_id.clone());
            if record.handled != Some(true) && self.told.len() < REQUESTS_MAX {
                self.told.insert(record.request_id.clone());
            }
            let opened =
                text::prefix(block.text.lines().find(|line| !line.trim().is_empty()).unwrap_or(""), 120);
            let lines = block.text.lines().count() as u64;
            let why = format!("{} begins with: {opened}", block.reader());
            self.readings.push(Reading { record, reader: block.reader(), line: block.at, lines, why });
        }
    }

    /// What was read so far, in the order in which it was complete.
    pub(super) fn take(&mut self) -> Vec<Reading> {
        std::mem::take(&mut self.readings)
    }

    /// Ends the input, and gives what is left.
    pub(super) fn finish(&mut self) -> Vec<Reading> {
        self.end_pending();
        for mut source in std::mem::take(&mut self.sources) {
            self.read(&source.detector.finish(), source.request_id);
        }
        self.settle();
        self.take()
    }
}

impl Source {
    /// Learns from the platform's own lines which request runs.
    fn notice(&mut self, line: &str) {
        if !line.starts_with(['S', 'R']) {
            return;
        }
        if let Some(rest) = line.strip_prefix("START RequestId: ") {
            let id = rest.split_ascii_whitespace().next();
            self.request_id = id.filter(|id| id.len() <= 64).map(str::to_owned);
        } else if line.starts_with("REPORT RequestId: ") {
            self.request_id = None;
        }
    }
}
