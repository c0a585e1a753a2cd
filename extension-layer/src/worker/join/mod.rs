//! When is a failure complete? CloudWatch is append-only, so a record is written once, after its witnesses were heard.
//!
//! Witnesses of one failure (posted body, log line, capture datagram, the platform's events) meet by request id; what comes
//! without one belongs to the invocation that its batch of telemetry tells of, or to the open one. A failure closes at the
//! first of: the platform's end and somebody who says why both seen; the runtime asks for the next event; another invocation begins;
//! SHUTDOWN; a time, which depends on who may still have something to say ([`Open::closes_at_ms`]).
//!
//! A witness that comes later and tells of the same failure is not a second one. What it knows and the record does not is written as a
//! record that `amends` the first; if it knows nothing new, it is dropped.
//!
//! A text of several lines is a failure only when its last line is there, so until then no time runs: a runtime that writes
//! no line ends leaves that line in its pipe until it writes again or ends.
//!
//! Everything here is a function of what was seen and the time that it is given.

mod witness;
mod batches;
mod lines;
mod tail;
mod same;
mod merge;

use std::collections::VecDeque;

use serde_json::{Map, Value};
use trace_record::Record;
use trace_record::failure::{Phase, Witness};
use trace_record::normalize::telemetry::{Event, What};

use crate::link::Message;
use batches::{Batches, Taken};
use lines::{Lines, Origin};
use same::Features;
use tail::Tail;
use witness::End;
pub(crate) use witness::{Function, HandedOver, Invocation, deadline_ms};

/// How long an open failure waits for further witnesses, in milliseconds.
pub(crate) const CLOSE_AFTER_MS: i64 = 300;

/// How long one waits of which only the platform has told, in milliseconds: lines that were logged before are under way already, and the
/// platform collects them for 25 ms.
const LINES_AFTER_MS: i64 = 75;

/// How long one waits of which only the handler's own hook has told, in milliseconds. The runtime posts it next, and a body of megabytes takes
/// its time on a small part of a CPU; a panic that the handler caught is in no such hurry.
const BODY_AFTER_MS: i64 = 3_000;

/// How many closed failures are remembered, so that late witnesses are known. Older ones are forgotten first, and their
/// late witnesses would make a record of their own.
const CLOSED_MAX: usize = 256;

/// How many failures may be open; each may hold a body of 1 MiB. The oldest closes when another one comes.
const OPEN_MAX: usize = 16;

/// How many invocations are remembered: telemetry may tell of the one before. What comes of an older one has no trace id.
const INVOCATIONS_MAX: usize = 16;

/// How many lines of the log a record has, unless `TRACE_AGENT_LOG_TAIL` says otherwise.
pub(crate) const TAIL_LINES_DEFAULT: usize = 20;

/// A failure that is complete.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) record: Record,
    /// The invocation that failed, as far as it is known.
    pub(crate) invocation: Option<Invocation>,
    /// What it was given, as far as it was copied.
    pub(crate) event: Option<Vec<u8>>,
    /// Its number among the failures of this worker.
    pub(crate) number: u64,
    /// The number of the failure that this one amends.
    pub(crate) amends: Option<u64>,
}

/// What the platform threw away before it came here.
#[derive(Debug, PartialEq)]
pub(crate) struct Dropped {
    pub(crate) records: u64,
    pub(crate) reason: String,
}

/// A failure that may have further witnesses.
struct Open {
    record: Record,
    /// The number of the frame that brought its first witness.
    sequence: u64,
    since_ms: i64,
    body_seen: bool,
    end_seen: bool,
    /// True once the runtime has asked for the next invocation: it has no more to say of this one.
    is_left: bool,
    /// The number of the first line of the log that is the failure's own.
    first_line: Option<u64>,
    /// The number of the closed failure that it amends.
    amends: Option<u64>,
}

impl Open {
    /// True if nobody will have more to say: the platform has told of the end, and somebody why it came.
    fn is_complete(&self) -> bool {
        self.end_seen && !Features::of(&self.record).is_platforms()
    }

    fn closes_at_ms(&self) -> i64 {
        let is_only = |witness| self.record.witnesses.iter().all(|seen| *seen == witness);
        // Complete and still open, it only waits for the event of its invocation, which is older than all that was told.
        let wait_ms = if is_only(Witness::Platform) || self.is_complete() || self.is_left {
            LINES_AFTER_MS
        } else if is_only(Witness::Capture) {
            BODY_AFTER_MS
        } else {
            CLOSE_AFTER_MS
        };
        self.since_ms + wait_ms
    }
}

/// A failure whose record is written.
struct Gone {
    features: Features,
    number: u64,
}

/// What is known of failures that are not complete.
pub(crate) struct Join {
    pub(crate) function: Function,
    handed_over: Option<HandedOver>,
    /// The last one is the one that runs now.
    invocations: VecDeque<Invocation>,
    /// The request that the platform started last: Managed Instances have no INVOKE events.
    started: Option<String>,
    /// What invocations were given, by their request ids.
    events: VecDeque<(String, Vec<u8>)>,
    /// What the platform reports of invocations, by their request ids.
    reports: VecDeque<(Option<String>, Map<String, Value>)>,
    open: VecDeque<Open>,
    closed: VecDeque<Gone>,
    numbers: u64,
    batches: Batches,
    lines: Lines,
    tail: Tail,
    tail_lines: usize,
    lost: Vec<(String, u64)>,
    dropped: Vec<Dropped>,
    was_restored: bool,
    seen_up_to: u64,
}

impl Join {
    /// Nothing is known yet. Records get `tail_lines` lines of their request's log.
    pub(crate) fn new(tail_lines: usize) -> Self {
        Self {
            function: Function::default(),
            handed_over: None,
            invocations: VecDeque::new(),
            started: None,
            events: VecDeque::new(),
            reports: VecDeque::new(),
            open: VecDeque::new(),
            closed: VecDeque::new(),
            numbers: 0,
            batches: Batches::default(),
            lines: Lines::default(),
            tail: Tail::default(),
            tail_lines,
            lost: Vec::new(),
            dropped: Vec::new(),
            was_restored: false,
            seen_up_to: 0,
        }
    }

    /// Takes one message, with the number of its frame and the time at which it came, and gives the failures that it
    /// completed.
    pub(crate) fn see(&mut self, message: Message, sequence: u64, now_ms: i64) -> Vec<Closed> {
        self.seen_up_to = self.seen_up_to.max(sequence);
        let mut closed = self.close_old(now_ms);
        match message {
            Message::Registered(raw) => self.function = witness::function(&raw),
            Message::Attached(raw) => self.handed_over = Some(witness::handed_over(&raw)),
            Message::Invoke { is_first, raw } => closed.extend(self.invoked(&raw, is_first)),
            Message::Event { request_id, head } => push_bounded(&mut self.events, (request_id, head)),
            Message::Posted(posted) => self.add(witness::posted(&posted), sequence, now_ms, None),
            Message::Response { request_id, inside, body } => {
                if let Some(record) = witness::responded(request_id, inside, &body) {
                    self.add(record, sequence, now_ms, None);
                }
            }
            Message::Capture { request_id, datagram } => match witness::captured(&datagram) {
                Some(mut record) => {
                    record.request_id = record.request_id.or(request_id);
                    self.add(record, sequence, now_ms, None);
                }
                None => self.lost("datagrams that were no reports", 1),
            },
            Message::Telemetry(batch) => self.telemetry(&batch, sequence, now_ms),
            Message::RuntimeNext => {
                self.finish_lines();
                self.open.iter_mut().for_each(|open| open.is_left = true);
            }
            Message::Flush => {
                let rest = self.batches.finish();
                self.events(&rest, sequence, now_ms);
                closed.extend(self.close_all());
            }
            // What is open waits for what the platform still has to say.
            Message::Shutdown(_) => {}
            Message::Unfinished { ending, raw } => {
                let open = self.invocations.back();
                if let Some(record) = open.and_then(|open| witness::shutdown(&raw, open, ending)) {
                    self.finish_lines();
                    self.add(record, sequence, now_ms, None);
                }
                closed.extend(self.close_all());
            }
            Message::Lost { what, count } => self.lost(&what, count),
        }
        // The runtime may be quicker than the event of its invocation, which says what the record wants to. Where there are no such events, on
        // Managed Instances, the platform's word is as good.
        let known = self.invocations.iter().map(|known| &known.request_id).chain(&self.started);
        let known: Vec<String> = known.cloned().collect();
        let is_known =
            |open: &Open| open.record.request_id.as_ref().is_none_or(|request_id| known.contains(request_id));
        closed.extend(self.close_where(|open| (open.is_complete() || open.is_left) && is_known(open)));
        while self.open.len() > OPEN_MAX {
            closed.extend(self.open.pop_front().map(|open| self.close(open)));
        }
        closed
    }

    /// Closes the failures that have waited long enough.
    pub(crate) fn close_old(&mut self, now_ms: i64) -> Vec<Closed> {
        self.close_where(|open| open.closes_at_ms() <= now_ms)
    }

    /// Closes every failure: there will be no further witness.
    pub(crate) fn close_all(&mut self) -> Vec<Closed> {
        self.finish_lines();
        self.close_where(|_| true)
    }

    /// When the oldest open failure closes by itself.
    pub(crate) fn closes_at_ms(&self) -> Option<i64> {
        self.open.iter().map(Open::closes_at_ms).min()
    }

    /// The number up to which every failure has been closed.
    pub(crate) fn settled(&self) -> Option<u64> {
        let lines = self.lines.open().map(|origin| origin.sequence);
        let first = self.open.iter().map(|open| open.sequence).chain(lines).min();
        let settled = first.map_or(self.seen_up_to, |first| first.saturating_sub(1));
        (settled > 0).then_some(settled)
    }

    /// What was lost and is in no record yet.
    pub(crate) fn take_lost(&mut self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.lost)
    }

    /// What the platform dropped since the last time.
    pub(crate) fn take_dropped(&mut self) -> Vec<Dropped> {
        std::mem::take(&mut self.dropped)
    }

    /// What the wrapper handed over, once.
    pub(crate) fn take_handed_over(&mut self) -> Option<HandedOver> {
        self.handed_over.take()
    }

    /// True if the environment came out of a snapshot since the last time: connections and credentials are those of another one.
    pub(crate) fn take_restored(&mut self) -> bool {
        std::mem::take(&mut self.was_restored)
    }

    /// Another invocation begins. What its own runtime was quick enough to post stays open.
    fn invoked(&mut self, raw: &[u8], is_first: bool) -> Vec<Closed> {
        let Some(next) = witness::invocation(raw, is_first) else { return self.close_all() };
        self.finish_lines();
        let request_id = Some(next.request_id.as_str());
        let closed = self.close_where(|open| open.record.request_id.as_deref() != request_id);
        // A request that begins again is another attempt; what failed in the last one may fail in this one. One that is new may have failed
        // and closed before its event came here: the runtime does not wait for us.
        if self.invocations.iter().any(|earlier| Some(earlier.request_id.as_str()) == request_id) {
            self.closed.retain(|closed| closed.features.request_id() != request_id);
        }
        push_bounded(&mut self.invocations, next);
        closed
    }

    fn telemetry(&mut self, batch: &[u8], sequence: u64, now_ms: i64) {
        match self.batches.take(batch) {
            Taken::Events(events) => self.events(&events, sequence, now_ms),
            Taken::Nothing => {}
            Taken::Unreadable => self.lost("telemetry batches that are no JSON", 1),
        }
    }

    fn events(&mut self, events: &[Event], sequence: u64, now_ms: i64) {
        let (mut running, mut ended) = (None, None);
        for (at, event) in events.iter().enumerate() {
            match &event.what {
                What::Function(text) => {
                    // Whoever runs; else whoever ends next; else whoever ended, since ends may come before the lines.
                    let request_id = running.clone().or_else(|| lines::next_end(&events[at..]));
                    let request_id =
                        request_id.or_else(|| ended.clone()).or_else(|| self.started_unannounced());
                    self.logged(text, request_id, event.time_ms, sequence, now_ms);
                }
                What::Platform { name, record } => {
                    running = witness::start(name, record).map(str::to_owned).or(running);
                    ended = witness::measured(name, record).and_then(|(request_id, _)| request_id).or(ended);
                    self.started = running.clone().or(self.started.take());
                    self.platform(name, record, event.time_ms, sequence, now_ms);
                }
                What::Extension(_) => {}
            }
        }
    }

    /// The request that was started last, where INVOKE events do not say what runs.
    fn started_unannounced(&self) -> Option<String> {
        self.started.clone().filter(|_| self.invocations.is_empty())
    }

    fn logged(
        &mut self,
        text: &str,
        request_id: Option<String>,
        time_ms: Option<i64>,
        sequence: u64,
        now_ms: i64,
    ) {
        let open = self.invocations.back().map(|invocation| invocation.request_id.as_str());
        let number = self.tail.push(text, request_id.as_deref().or(open));
        let origin = Origin { sequence, now_ms, request_id, time_ms, number };
        self.lines.take(text, &origin).into_iter().for_each(|told| self.told(told));
    }

    fn platform(
        &mut self,
        name: &str,
        record: &Map<String, Value>,
        time_ms: Option<i64>,
        sequence: u64,
        now_ms: i64,
    ) {
        if let Some((count, reason)) = witness::dropped(name, record) {
            self.lost("log records that the platform dropped", count);
            self.dropped.push(Dropped { records: count, reason });
        }
        self.was_restored |= name == "platform.restoreStart";
        if let Some((request_id, report)) = witness::measured(name, record) {
            push_bounded(&mut self.reports, (request_id, report));
        }
        if let Some(failure) = witness::extension(name, record, time_ms) {
            self.add(failure, sequence, now_ms, None);
        }
        if let Some(end) = witness::end(name, record, time_ms) {
            self.ended(end, sequence, now_ms);
        }
    }

    fn finish_lines(&mut self) {
        for told in self.lines.finish() {
            self.told(told);
        }
    }

    fn told(&mut self, (record, origin): (Record, Origin)) {
        self.add(record, origin.sequence, origin.now_ms, Some(origin.number));
    }

    fn ended(&mut self, end: End, sequence: u64, now_ms: i64) {
        // The lines of a request come before its end.
        self.finish_lines();
        let ended_by = end.failure.as_ref().and_then(|record| self.find_open(&Features::of(record)));
        for (index, open) in self.open.iter_mut().enumerate() {
            if open.record.request_id == end.request_id || is_init(&open.record) && end.phase == Phase::Init {
                open.end_seen = true;
                // What was logged, and did not end the invocation, was dealt with.
                open.record.handled = open.record.handled.or(Some(ended_by != Some(index)));
            }
        }
        if let Some(record) = end.failure {
            self.add(record, sequence, now_ms, None);
        }
    }

    /// Adds what one witness saw: to the failure that it tells of, or as a new one, or as an amendment of one whose record is written.
    fn add(&mut self, mut record: Record, sequence: u64, now_ms: i64, first_line: Option<u64>) {
        if record.request_id.is_none() && !matches!(record.phase, Some(Phase::Init | Phase::Restore)) {
            record.request_id = self.invocations.back().map(|invocation| invocation.request_id.clone());
        }
        let features = Features::of(&record);
        let body_seen = record.witnesses.contains(&Witness::RuntimeApi);
        if let Some(index) = self.find_open(&features) {
            let open = &mut self.open[index];
            merge::merge(&mut open.record, record);
            open.body_seen |= body_seen;
            open.first_line = open.first_line.or(first_line);
            return self.absorb(index);
        }
        let mut amends = None;
        if let Some(gone) = self.closed.iter_mut().find(|gone| gone.features.is_told_again_by(&features)) {
            if !gone.features.is_amended_by(&features) {
                return;
            }
            amends = Some(gone.number);
            gone.features.lend_words(&mut record);
            // What it knows now, the next late witness need not tell again.
            gone.features.amend(&features);
        }
        let end_seen = features.is_platforms() || amends.is_some();
        self.open.push_back(Open {
            record,
            sequence,
            since_ms: now_ms,
            body_seen,
            end_seen,
            is_left: false,
            first_line,
            amends,
        });
    }

    /// Adds the platform's word to the failure at `index`, if it came while nobody knew that they belong together: a hook that knows no request
    /// learns it from the log.
    fn absorb(&mut self, index: usize) {
        let features = Features::of(&self.open[index].record);
        let is_word = |open: &Open| {
            let word = Features::of(&open.record);
            word.is_platforms() && word.is_same(&features)
        };
        let Some(word) = (0..self.open.len()).find(|other| *other != index && is_word(&self.open[*other]))
        else {
            return;
        };
        let record = std::mem::take(&mut self.open[word].record);
        merge::merge(&mut self.open[index].record, record);
        self.open[index].end_seen = true;
        self.open.remove(word);
    }

    /// The open failure that `features` is another account of. The platform means the failure that ended the request: one
    /// that is closed already, or the one that the runtime posted, or else the one that was told of last.
    fn find_open(&self, features: &Features) -> Option<usize> {
        let mut same =
            self.open.iter().enumerate().filter(|(_, open)| Features::of(&open.record).is_same(features));
        if !features.is_platforms() {
            return same.next().map(|(index, _)| index);
        }
        if self.closed.iter().any(|gone| gone.features.has_ended_it() && gone.features.is_same(features)) {
            return None;
        }
        same.max_by_key(|(index, open)| (open.body_seen, *index)).map(|(index, _)| index)
    }

    fn close_where(&mut self, is_complete: impl Fn(&Open) -> bool) -> Vec<Closed> {
        let (complete, open) =
            std::mem::take(&mut self.open).into_iter().partition::<VecDeque<Open>, _>(is_complete);
        self.open = open;
        complete.into_iter().map(|open| self.close(open)).collect()
    }

    fn close(&mut self, open: Open) -> Closed {
        let mut record = open.record;
        for (what, count) in self.lost.drain(..) {
            let so_far = record.truncated.entry(format!("lost {what}")).or_default();
            *so_far = so_far.saturating_add(count);
        }
        self.numbers += 1;
        let features = Features::of(&record);
        // An amendment is known by what it amends.
        if open.amends.is_none() {
            self.closed.push_back(Gone { features, number: self.numbers });
        }
        if self.closed.len() > CLOSED_MAX {
            self.closed.pop_front();
        }
        let request_id = record.request_id.as_deref();
        record.log_tail = self.tail.of(request_id, open.first_line, self.tail_lines);
        let reports = self.reports.iter().filter(|(of, _)| of.as_deref() == request_id || of.is_none());
        let report: Map<String, Value> = reports.flat_map(|(_, report)| report.clone()).collect();
        record.report = Some(report).filter(|report| !report.is_empty());
        let is_own = |of: &str| request_id == Some(of);
        Closed {
            invocation: self.invocations.iter().rev().find(|known| is_own(&known.request_id)).cloned(),
            event: self.events.iter().rev().find(|(of, _)| is_own(of)).map(|(_, head)| head.clone()),
            number: self.numbers,
            amends: open.amends,
            record,
        }
    }

    /// Counts something that cannot be in a record of its own. Every caller has words of its own, so the list is short.
    fn lost(&mut self, what: &str, count: u64) {
        match self.lost.iter_mut().find(|(known, _)| known == what) {
            Some((_, so_far)) => *so_far = so_far.saturating_add(count),
            None => self.lost.push((what.to_owned(), count)),
        }
    }
}

/// Remembers one thing more of an invocation, and forgets the oldest.
fn push_bounded<T>(things: &mut VecDeque<T>, thing: T) {
    things.push_back(thing);
    if things.len() > INVOCATIONS_MAX {
        things.pop_front();
    }
}

fn is_init(record: &Record) -> bool {
    record.phase == Some(Phase::Init)
}

#[cfg(test)]
mod tests;
