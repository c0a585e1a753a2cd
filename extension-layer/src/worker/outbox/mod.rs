//! From a complete failure to the sink, and what happens when the sink does not take it.
//!
//! Standard output is the last resort: Lambda carries it to the function's own log, so nothing that is printed is lost.
//! What the sink refuses is printed at once. If it is out of reach or denies everything, so is all that follows. If it only
//! fails, what it did not take waits in /tmp, it is left alone for a while, and failures in the meantime wait at once: a
//! sink that hangs costs one try in every rest, not one for every failure. Each failed try in a row makes the rest longer. What
//! does not fit is printed, oldest first, and at SHUTDOWN everything that waits is tried once more and then printed.
//!
//! Records are complete, and so redacted, before any of this.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;
use trace_agent_core::choose::{self, Connect, Home};
use trace_agent_core::clock::now_ms;
use trace_agent_core::config::{Config, SinkChoice};
use trace_agent_core::pipeline::{self, Finisher};
use trace_agent_core::private;
use trace_agent_core::ship::{Deadline, Shipper};
use trace_agent_core::sink::Destination;
use trace_agent_core::spool::{self, Limits, Spool, Sync, Ticket};
use trace_agent_core::symbolize::Symbolizer;
use trace_record::batch::{self, Event};
use trace_record::render::{self, STDOUT_LINE_BYTES_MAX};
use trace_record::retry::Fault;
use trace_record::{Completion, Record, metrics, text, trigger};

use super::join::{Closed, Dropped, Function, HandedOver};
use crate::say::{Once, say};

/// The task root, where the user's code and sources are, unless Lambda or the wrapper says otherwise.
const TASK_ROOT: &str = "/var/task";

/// Where a layer brings symbols along.
const LAYER_SYMBOLS: &str = "/opt/trace-agent/symbols";

/// How long a sink that failed once is left alone. Twice as long after each further failure.
const REST: Duration = Duration::from_secs(5);

/// The longest that a sink is left alone.
const REST_MAX: Duration = Duration::from_secs(30);

/// Bytes of records that wait. /tmp is the function's, and 512 MB at the least.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// What waits is printed long before the spool lets anything go. It need not outlive a power cut, which /tmp does not either.
const SPOOL_LIMITS: Limits =
    Limits { bytes_max: 8 * WAITING_BYTES_MAX as u64, sync: Sync::Every(Duration::MAX) };

/// Records whose ids are remembered for those that amend them, as many as closed failures are.
const IDS_MAX: usize = 256;

/// What is known of the sandbox from its variables.
#[derive(Clone, Debug, Default)]
pub(super) struct Sandbox {
    /// The size of the function's memory.
    pub(super) memory_bytes: Option<u64>,
    /// Such as `on-demand` or `snap-start`.
    pub(super) initialization_type: Option<String>,
}

/// Where records are prepared and shipped from.
pub(super) struct Outbox {
    config: Config,
    /// What the wrapper knew.
    handed_over: HandedOver,
    connect: Connect,
    finisher: Finisher,
    road: Road,
    sandbox: Sandbox,
    to: Option<Destination>,
    failed_tries: u32,
    rests_until: Option<Instant>,
    spool_folder: PathBuf,
    spool: Option<Spool>,
    waiting: VecDeque<(Ticket, Event)>,
    /// True until the spool was looked into, if an earlier worker left something there.
    has_left: bool,
    /// What is no record of a failure, for the next round.
    warnings: Vec<Event>,
    ids: VecDeque<(u64, String)>,
    printed: usize,
    out: Box<dyn Write>,
    unsent: Once,
    refused: Once,
    no_spool: Once,
}

/// Where records go.
enum Road {
    /// Nothing failed yet.
    Unopened,
    Sink(Shipper),
    /// To standard output, for good.
    Out,
}

impl Outbox {
    /// `connect` opens the CloudWatch sink; what no sink takes waits in `spool_folder` or is written to `out`.
    pub(super) fn new(
        config: Config,
        connect: Connect,
        sandbox: Sandbox,
        spool_folder: PathBuf,
        out: Box<dyn Write>,
    ) -> Self {
        let task_root =
            std::env::var_os("LAMBDA_TASK_ROOT").map_or_else(|| PathBuf::from(TASK_ROOT), PathBuf::from);
        Self {
            finisher: finisher(&config, &task_root),
            config,
            handed_over: HandedOver::default(),
            connect,
            road: Road::Unopened,
            sandbox,
            to: None,
            failed_tries: 0,
            rests_until: None,
            has_left: spool::has_waiting(&spool_folder),
            spool_folder,
            spool: None,
            waiting: VecDeque::new(),
            warnings: Vec::new(),
            ids: VecDeque::new(),
            printed: 0,
            out,
            unsent: Once::new(),
            refused: Once::new(),
            no_spool: Once::new(),
        }
    }

    /// Takes what the wrapper knew: where the function's code is, and its log group, where records go from now on unless the user said
    /// otherwise.
    pub(super) fn hand_over(&mut self, handed_over: HandedOver) {
        if let Some(task_root) = &handed_over.task_root {
            self.finisher = finisher(&self.config, Path::new(task_root));
        }
        self.config.log_group = self.config.log_group.take().or_else(|| handed_over.log_group.clone());
        self.handed_over = handed_over;
    }

    /// Prepares and ships failures, and what waits. When this returns, each is stored, printed, or safely put away; with
    /// `is_last`, none is only put away.
    pub(super) async fn ship(
        &mut self,
        closed: Vec<Closed>,
        function: &Function,
        deadline: &mut Deadline,
        is_last: bool,
    ) {
        let is_due = is_last || self.rests_until.is_none_or(|until| until <= Instant::now());
        let has_old = self.has_left || !self.waiting.is_empty();
        if closed.is_empty() && self.warnings.is_empty() && (!has_old || !is_due) {
            return self.say_printed(is_last);
        }
        if matches!(self.road, Road::Unopened) {
            self.open(function, deadline).await;
        }
        if self.spool.is_none() && self.config.sinks != [SinkChoice::Stdout] {
            self.open_spool();
        }
        let line_bytes_max = match &self.road {
            Road::Sink(shipper) => shipper.line_bytes_max(),
            Road::Unopened | Road::Out => STDOUT_LINE_BYTES_MAX,
        };
        let mut fresh: Vec<Event> =
            closed.into_iter().map(|closed| self.prepare(closed, function, line_bytes_max)).collect();
        fresh.append(&mut self.warnings);
        if is_due {
            fresh = self.send(fresh, deadline).await;
            // What waits is older, and may be what the sink does not take.
            if fresh.is_empty() && !self.waiting.is_empty() {
                self.send_waiting(deadline).await;
            }
        }
        if is_last || matches!(self.road, Road::Out) {
            self.print(&fresh);
            let waiting = std::mem::take(&mut self.waiting);
            waiting.iter().for_each(|(_, event)| self.print(std::slice::from_ref(event)));
            self.forget(waiting.into_iter().map(|(ticket, _)| ticket).collect());
        } else {
            self.put_away(fresh);
        }
        self.say_printed(is_last);
    }

    /// At the end, how many records went another way than they should have.
    fn say_printed(&mut self, is_last: bool) {
        let printed = if is_last { std::mem::take(&mut self.printed) } else { 0 };
        if printed > 0 {
            let (records, are) = if printed == 1 { ("record", "is") } else { ("records", "are") };
            say(format_args!("{printed} {records} that the sink did not take {are} on standard output"));
        }
    }

    /// Forgets connections and credentials: they may be those of another time. Whatever waits is tried anew.
    pub(super) fn renew(&mut self) {
        if matches!(self.road, Road::Sink(_)) {
            self.road = Road::Unopened;
        }
        (self.failed_tries, self.rests_until) = (0, None);
    }

    /// Warns of log records that the platform threw away: a metric, and a line that says so.
    pub(super) fn warn(&mut self, dropped: &Dropped, function: &Function) {
        let now_ms = now_ms();
        let warning =
            metrics::logs_dropped(function.name.as_deref(), dropped.records, &dropped.reason, now_ms);
        self.warnings.push(Event { timestamp_ms: now_ms, message: warning.to_string() });
    }

    fn prepare(&mut self, closed: Closed, function: &Function, line_bytes_max: usize) -> Event {
        let mut record = closed.record;
        let now_ms = now_ms();
        let invocation = closed.invocation.unwrap_or_default();
        let first = closed.amends.and_then(|number| self.ids.iter().find(|(known, _)| *known == number));
        record.amends = first.map(|(_, id)| id.clone());
        // What the response says of the batch stands beside what brought it.
        let said = record.trigger.take();
        let trigger = closed.event.and_then(|event| trigger::of(&event, now_ms));
        let trigger: Map<String, Value> = trigger.into_iter().chain(said).flatten().collect();
        record.trigger = Some(trigger).filter(|trigger| !trigger.is_empty());
        record.runtime = record.runtime.or_else(|| self.handed_over.runtime.clone());
        self.report(&mut record, function);
        let mut origin = match &record.request_id {
            Some(request_id) => format!("{request_id}/{}", invocation.deadline_ms.unwrap_or(0)),
            // Nothing names an initialization; its time is as good as unique.
            None => format!("init/{now_ms}"),
        };
        if record.amends.is_some() {
            origin.push_str("/amendment");
        }
        let completion = Completion {
            seen_ms: Some(now_ms),
            origin,
            function_name: function.name.clone(),
            function_version: function.version.clone(),
            trace_id: invocation.trace_id,
            cold_start: invocation.is_first,
            ..Completion::default()
        };
        self.finisher.finish(&mut record, &completion);
        self.ids.extend(record.id.clone().map(|id| (closed.number, id)));
        if self.ids.len() > IDS_MAX {
            self.ids.pop_front();
        }
        pipeline::event(&record, line_bytes_max, now_ms)
    }

    /// Adds what the variables say of the sandbox to what the platform reported.
    fn report(&self, record: &mut Record, function: &Function) {
        let report = record.report.get_or_insert_default();
        if let Some(handler) = self.handed_over.handler.as_ref().or(function.handler.as_ref()) {
            report.entry("handler").or_insert_with(|| handler.clone().into());
        }
        if let Some(memory_bytes) = self.sandbox.memory_bytes {
            report.entry("memorySizeMB").or_insert_with(|| (memory_bytes / 1024 / 1024).into());
        }
        if let Some(kind) = &self.sandbox.initialization_type {
            report.entry("initializationType").or_insert_with(|| kind.clone().into());
        }
        record.report.take_if(|report| report.is_empty());
    }

    async fn open(&mut self, function: &Function, deadline: &mut Deadline) {
        let opened = tokio::select! {
            opened = choose::open(&self.config, Home::Lambda, self.connect) => {
                opened.map_err(|error| format!("{error:#}"))
            }
            _ = deadline.reached_after(REST) => Err("no answer in time".to_owned()),
        };
        self.to.get_or_insert_with(|| destination(&self.config, function));
        self.road = match opened {
            Ok(sinks) => Road::Sink(Shipper::new(sinks, None)),
            Err(error) => {
                say(format_args!("records go to standard output: {error}"));
                Road::Out
            }
        };
    }

    fn open_spool(&mut self) {
        self.has_left = false;
        match open_spool(&self.spool_folder) {
            Ok((spool, waiting)) => (self.spool, self.waiting) = (Some(spool), waiting.into()),
            Err(error) => {
                let folder = self.spool_folder.display();
                self.no_spool.say(format_args!("no spool in {folder}, what has to wait is printed: {error}"));
            }
        }
    }

    /// Sends events, and gives back those that must wait.
    async fn send(&mut self, events: Vec<Event>, deadline: &Deadline) -> Vec<Event> {
        let (Road::Sink(shipper), Some(to)) = (&self.road, &self.to) else { return events };
        let (batches, refused) = batch::batches(events, now_ms());
        let mut refused: Vec<(Event, String)> =
            refused.into_iter().map(|(event, refusal)| (event, refusal.to_string())).collect();
        let (mut unsent, mut fault) = (Vec::new(), None);
        for batch in batches {
            if fault.is_some() {
                unsent.extend_from_slice(batch.events());
                continue;
            }
            let shipped = shipper.ship(to, &batch, deadline).await;
            let said = shipped.refused(&batch).map(|(event, reason)| (event.clone(), reason.to_owned()));
            refused.extend(said);
            if let Some(error) = &shipped.error {
                self.unsent.say(format_args!("{error}"));
                fault = Some(error.fault);
            }
            unsent.extend(shipped.open(&batch));
        }
        for (event, reason) in refused {
            self.refused.say(format_args!("the sink refuses a record, which is printed: {reason}"));
            self.print(&[event]);
        }
        self.judge(fault);
        unsent
    }

    /// Decides what a try with this end means for the next one.
    fn judge(&mut self, fault: Option<Fault>) {
        let Some(fault) = fault else {
            (self.failed_tries, self.rests_until) = (0, None);
            return;
        };
        let rest = REST.saturating_mul(1 << self.failed_tries.min(8)).min(REST_MAX);
        self.failed_tries += 1;
        self.rests_until = Some(Instant::now() + rest);
        if matches!(fault, Fault::Denied | Fault::Gone | Fault::Unreachable | Fault::Expired) {
            say(format_args!("records go to standard output from now on"));
            self.road = Road::Out;
        }
    }

    /// Sends what waits, and keeps waiting what the sink still does not take.
    async fn send_waiting(&mut self, deadline: &mut Deadline) {
        let events = self.waiting.iter().map(|(_, event)| event.clone()).collect();
        let unsent = self.send(events, deadline).await;
        let unsent: HashSet<&str> = unsent.iter().map(|event| event.message.as_str()).collect();
        let (kept, sent): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, event)| unsent.contains(event.message.as_str()));
        self.waiting = kept.into();
        self.forget(sent.into_iter().map(|(ticket, _)| ticket).collect());
    }

    /// Takes what was dealt with out of the spool.
    fn forget(&mut self, tickets: Vec<Ticket>) {
        if let Some(spool) = self.spool.as_mut().filter(|_| !tickets.is_empty())
            && let Err(error) = spool.acknowledge(tickets)
        {
            say(format_args!("some records may be sent twice: {error}"));
        }
    }

    /// Keeps events for the next try: in the spool, else on standard output.
    fn put_away(&mut self, events: Vec<Event>) {
        let kept = self.spool.as_mut().and_then(|spool| {
            spool.append(&events).ok()?;
            spool.take(usize::MAX).ok()
        });
        match kept {
            Some(kept) => self.waiting.extend(kept),
            None => self.print(&events),
        }
        let mut bytes: usize = self.waiting.iter().map(|(_, event)| event.message.len()).sum();
        while bytes > WAITING_BYTES_MAX {
            let Some((ticket, oldest)) = self.waiting.pop_front() else { break };
            bytes -= oldest.message.len();
            self.print(&[oldest]);
            self.forget(vec![ticket]);
        }
    }

    fn print(&mut self, events: &[Event]) {
        self.printed += events.len();
        for event in events {
            let line = format!("{}\n", for_stdout(&event.message));
            // There is nobody left to tell.
            let _ = self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush());
        }
    }
}

/// A line as Lambda carries it in one piece: the sink that it was made for may take longer ones.
fn for_stdout(line: &str) -> Cow<'_, str> {
    if line.len() <= STDOUT_LINE_BYTES_MAX {
        return line.into();
    }
    match serde_json::from_str::<Record>(line) {
        Ok(record) => render::line(&record, STDOUT_LINE_BYTES_MAX).into(),
        Err(_) => text::prefix(line, STDOUT_LINE_BYTES_MAX).into(),
    }
}

/// Opens the spool in a folder that nobody else may enter, with what an earlier worker left there: /tmp outlives a reset.
fn open_spool(folder: &Path) -> std::io::Result<(Spool, Vec<(Ticket, Event)>)> {
    private::folder(folder)?;
    let (mut spool, _) = Spool::open(folder, SPOOL_LIMITS)?;
    let waiting = spool.take(usize::MAX)?;
    Ok((spool, waiting))
}

/// What completes records of a function whose code is in `task_root`.
fn finisher(config: &Config, task_root: &Path) -> Finisher {
    let mut debug_dirs = config.debug_dirs.clone();
    debug_dirs.extend([task_root.join(".trace-agent/symbols"), PathBuf::from(LAYER_SYMBOLS)]);
    let own_root = [task_root.to_owned()];
    let source_roots = if config.source_roots.is_empty() { &own_root[..] } else { &config.source_roots };
    Finisher::new(Symbolizer::new(&debug_dirs, source_roots), config.policy.clone(), config.storm_limit)
}

/// The function's own log group, and a stream of our own in it, named as Lambda names its streams.
fn destination(config: &Config, function: &Function) -> Destination {
    let name = function.name.as_deref().unwrap_or("unknown");
    let version = function.version.as_deref().unwrap_or("$LATEST");
    let now_ms = now_ms();
    let day = trace_record::complete::rfc3339(now_ms)[..10].replace('-', "/");
    let sandbox = std::process::id();
    Destination {
        group: config.log_group.clone().unwrap_or_else(|| format!("/aws/lambda/{name}")),
        stream: config
            .log_stream
            .clone()
            .unwrap_or_else(|| format!("trace-agent/{day}/[{version}]{sandbox}-{now_ms}")),
    }
}

#[cfg(test)]
pub(super) mod tests;
