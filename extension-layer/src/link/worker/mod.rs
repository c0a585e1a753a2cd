//! The worker as the supervisor sees it: started at the first failure, fed without waiting, buried when it dies.
//!
//! Nobody who has something to tell waits for the worker. Frames go into a queue; one thread, the courier, starts the
//! process and writes to it; another reads what it acknowledges. Of each failure that came as bytes the supervisor keeps
//! what a bare record needs, until it is acknowledged.
//!
//! # Slow, or stalled?
//!
//! `/next` is held for the worker, and not for long: 300 ms by default. A worker that needs longer is most often well: the
//! first send to a far-away region, with DNS and TLS on a fourteenth of a CPU, takes that long, and then the sandbox may be
//! frozen in the middle of it. A bare record at that moment would show the failure twice. So the first hold that expires
//! changes nothing: the failure stays kept, and is acknowledged later, or dealt with when the worker dies or at
//! SHUTDOWN, which Lambda announces to every extension.
//!
//! And each failure is held for once: what it leaves undone is done beside the next invocations, whoever waits for them.
//!
//! But a worker that hangs must not cost every failing invocation its hold. If another hold expires and no sign of life
//! came in between, or if [`EXPIRIES_MAX`](running::EXPIRIES_MAX) expire and nothing is dealt with, it is taken for stalled and killed: as after any
//! death, what it holds goes to another one, once, and is then written bare. Lambda's own end without SHUTDOWN is the one
//! case in which a failure that is only kept is lost.
//!
//! # The end of a worker that is not needed
//!
//! It costs memory that the function may want, and the telemetry of every good invocation is told to it. After
//! [`QUIET_INVOCATIONS`] without a failure it is let go, unless it still has something to do.

mod events;
mod running;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use trace_agent_core::spool;

use crate::api::chain;
use crate::error::Error;
use crate::link::Message;
use crate::link::kept::{Failure, Kept};
use crate::link::program::Program;
use crate::link::queue::Queue;
use crate::link::recent::Recent;
use crate::say::{Once, lock, say, spawn};
use events::Events;
use running::{Running, Signs};

/// How often a worker is started after the first one died. What kills four workers kills the fifth.
const RESTARTS_MAX: u32 = 3;

/// Invocations whose events a new worker is told.
const OPENED_MAX: usize = 2;

/// For how many invocations after a failure another one is expected: so long the worker stays, and so long `/next` is held for the end of
/// an invocation where only telemetry tells of it.
pub(crate) const QUIET_INVOCATIONS: u32 = 20;

/// The worker, whether it runs or not.
pub(crate) struct Worker {
    program: Program,
    state: Mutex<State>,
    changed: Condvar,
    out: Mutex<Box<dyn Write + Send>>,
    death: Once,
    spool: PathBuf,
}

struct State {
    registered: Vec<u8>,
    /// What the wrapper handed over.
    attached: Option<Vec<u8>>,
    /// The last INVOKE events, the open invocation's last, and whether each is the first: the platform tells of an invocation when the next
    /// one may run.
    opened: VecDeque<(bool, Vec<u8>)>,
    /// What the proxy copied of the events of invocations that run, or ran last.
    events: Events,
    recent: Recent,
    /// Invocations that began since the worker was needed last. `None` before the first time.
    quiet: Option<u32>,
    /// Invocations that began since the platform said last that one failed. `None` before the first time.
    well: Option<u32>,
    queue: Queue,
    /// The sequence number of the last failure, and of the last that was held for.
    reported: u64,
    held: u64,
    /// The sequence number up to which nothing needs any more care.
    settled: u64,
    kept: Kept,
    /// True from the first need of a worker to its end: what happens is told.
    is_wanted: bool,
    running: Option<Running>,
    /// Workers that were started and did not end well, or have not ended.
    starts: u32,
    generations: u32,
    is_ended: bool,
    has_courier: bool,
    lost: Vec<(&'static str, u64)>,
}

impl Worker {
    /// Describes a worker; nothing is started. What waits for a sink, it keeps in the folder `spool`; bare records go to `out`.
    pub(crate) fn new(program: Program, spool: PathBuf, out: Box<dyn Write + Send>) -> Arc<Worker> {
        let state = State {
            registered: Vec::new(),
            attached: None,
            opened: VecDeque::new(),
            events: Events::default(),
            recent: Recent::default(),
            quiet: None,
            well: None,
            queue: Queue::default(),
            reported: 0,
            held: 0,
            settled: 0,
            kept: Kept::default(),
            is_wanted: false,
            running: None,
            starts: 0,
            generations: 0,
            is_ended: false,
            has_courier: false,
            lost: Vec::new(),
        };
        Arc::new(Worker {
            program,
            state: Mutex::new(state),
            changed: Condvar::new(),
            out: Mutex::new(out),
            death: Once::new(),
            spool,
        })
    }

    /// Remembers Lambda's answer to the registration, for every worker.
    pub(crate) fn registered(&self, raw: Vec<u8>) {
        lock(&self.state).registered = raw;
    }

    /// Remembers the invocation that begins, for a later worker, and tells the one that runs.
    pub(crate) fn opened(&self, raw: Vec<u8>) {
        let mut state = lock(&self.state);
        let one_more = |count: Option<u32>| count.map(|count| count.saturating_add(1));
        (state.quiet, state.well) = (one_more(state.quiet), one_more(state.well));
        self.dismiss(&mut state);
        let is_first = state.opened.is_empty();
        if state.is_wanted && !state.queue.is_full() {
            state.queue.push(&Message::Invoke { is_first, raw: raw.clone() }, false);
            self.changed.notify_all();
        }
        if state.opened.len() >= OPENED_MAX {
            state.opened.pop_front();
        }
        state.opened.push_back((is_first, raw));
    }

    /// Remembers the beginning of what an invocation was given, for a later worker, and tells the one that runs.
    pub(crate) fn given(&self, request_id: &str, head: Vec<u8>) {
        let mut state = lock(&self.state);
        if state.is_wanted && !state.queue.is_full() {
            state
                .queue
                .push(&Message::Event { request_id: request_id.to_owned(), head: head.clone() }, false);
            self.changed.notify_all();
        }
        state.events.push(request_id, head);
    }

    /// Remembers what the wrapper handed over, for every worker, and tells the one that runs.
    pub(crate) fn attached(&self, raw: Vec<u8>) {
        self.tell(&Message::Attached(raw.clone()));
        lock(&self.state).attached = Some(raw);
    }

    #[cfg(test)]
    pub(crate) fn what_was_attached(&self) -> Option<Vec<u8>> {
        lock(&self.state).attached.clone()
    }

    /// Remembers a batch of telemetry that tells of no failure, for the log tail of one that may come, or tells the worker that runs.
    pub(crate) fn heard(&self, batch: Vec<u8>) {
        let mut state = lock(&self.state);
        if !state.is_wanted {
            state.recent.push(batch);
        } else if state.queue.is_full() {
            state.count_lost("batches of telemetry that the worker had no time for");
        } else {
            state.queue.push(&Message::Telemetry(batch), false);
            self.changed.notify_all();
        }
    }

    /// Notes that the platform said of an invocation that it failed.
    pub(crate) fn failed(&self) {
        lock(&self.state).well = Some(0);
    }

    /// True if an invocation failed a short while ago.
    pub(crate) fn expects_failures(&self) -> bool {
        lock(&self.state).well.is_some_and(|well| well < QUIET_INVOCATIONS)
    }

    /// True if something waits for a sink, where the next worker finds it.
    pub(crate) fn has_waiting(&self) -> bool {
        spool::has_waiting(&self.spool)
    }

    /// Lets the worker go that nobody has needed for long. It ends by itself when its link does.
    fn dismiss(&self, state: &mut State) {
        let is_idle = state.queue.is_empty() && state.settled >= state.queue.made();
        if state.quiet < Some(QUIET_INVOCATIONS) || !is_idle || state.running.is_none() || self.has_waiting()
        {
            return;
        }
        if let Some(running) = state.running.take() {
            running.dismiss();
            (state.is_wanted, state.starts) = (false, state.starts.saturating_sub(1));
        }
    }

    /// Counts something that is thrown away. The next report carries it; if none comes, the end says it.
    pub(crate) fn lost(&self, what: &'static str) {
        lock(&self.state).count_lost(what);
    }

    /// Tells the worker, if one is wanted: nothing worth starting one. The sequence number to wait for, then.
    pub(crate) fn tell(&self, message: &Message) -> Option<u64> {
        let mut state = lock(&self.state);
        (state.is_wanted && !state.queue.is_full()).then(|| {
            let (sequence, _) = state.queue.push(message, false);
            self.changed.notify_all();
            sequence
        })
    }

    /// True if something failed, and the worker for it has not died.
    pub(crate) fn is_wanted(&self) -> bool {
        lock(&self.state).is_wanted
    }

    /// Gives a failure to the worker, which is started if none runs. `failure` is what is left of it should that come to
    /// nothing; without it, the loss is counted.
    pub(crate) fn report(self: &Arc<Worker>, message: &Message, failure: Option<Failure>) {
        let mut lines = Vec::new();
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        state.quiet = Some(0);
        let can_run = state.is_wanted || state.can_start();
        if can_run && !state.queue.is_full() && self.ensure_courier(state) {
            if !state.is_wanted {
                state.want();
            }
            for (what, count) in std::mem::take(&mut state.lost) {
                state.queue.push(&Message::Lost { what: what.to_owned(), count }, false);
            }
            let (sequence, frame) = state.queue.push(message, true);
            state.reported = sequence;
            if let Some(failure) = failure {
                state.kept.keep(sequence, failure, frame, &mut lines);
            }
            self.changed.notify_all();
        } else {
            match failure {
                Some(failure) => lines.push(failure.line()),
                None => state.count_lost("messages that no worker could take"),
            }
        }
        self.write(guard, &lines);
    }

    /// Waits until every failure up to now is dealt with, unless it was waited for already. False if `until` came first.
    pub(crate) fn hold(&self, until: Instant) -> bool {
        let reported = {
            let mut state = lock(&self.state);
            let reported = state.reported;
            if std::mem::replace(&mut state.held, reported) >= reported {
                return true;
            }
            reported
        };
        self.wait(reported, until)
    }

    /// Waits until everything up to `sequence` is acknowledged or written bare; false if `until` came first.
    pub(crate) fn wait(&self, sequence: u64, until: Instant) -> bool {
        let mut state = lock(&self.state);
        while state.settled < sequence {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        // What is settled by a bare record is settled when that is written.
        drop(lock(&self.out));
        true
    }

    /// What the worker that runs has said so far, for [`Worker::wait_for_sign`].
    pub(crate) fn signs(&self) -> Signs {
        lock(&self.state).signs()
    }

    /// Waits until the worker says anything more than `before`, or another one runs, or `until`; false if `until` came first.
    pub(crate) fn wait_for_sign(&self, before: &Signs, until: Instant) -> bool {
        let mut state = lock(&self.state);
        while state.is_wanted && state.signs() == *before {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Buries the worker that runs: it does not answer.
    pub(crate) fn stalled(&self) {
        let generation = lock(&self.state).running.as_ref().map(|running| running.generation);
        if generation.is_some() {
            self.died(generation, "it stalled");
        }
    }

    /// Notes that a hold expired. A worker that is stalled is buried, see [the module](self); one that is slow is left to
    /// its work.
    pub(crate) fn expired(&self) {
        let stalled = {
            let mut state = lock(&self.state);
            state.running.as_mut().and_then(|running| running.expired().then_some(running.generation))
        };
        if stalled.is_some() {
            self.died(stalled, "it stalled");
        }
    }

    /// Ends the worker, for good. What it has not acknowledged is written bare, and what is in no record is said.
    pub(crate) fn end(&self) {
        let mut lines = Vec::new();
        let mut state = lock(&self.state);
        state.is_ended = true;
        self.bury(&mut state, &mut lines);
        let lost = std::mem::take(&mut state.lost);
        self.write(state, &lines);
        for (what, count) in lost {
            say(format_args!("lost: {count} {what}"));
        }
    }

    fn ensure_courier(self: &Arc<Worker>, state: &mut State) -> bool {
        if !state.has_courier {
            let worker = Arc::clone(self);
            state.has_courier = spawn("courier", move || worker.carry()).is_ok();
        }
        state.has_courier
    }

    /// The courier's thread.
    fn carry(self: Arc<Worker>) {
        loop {
            let frame = {
                let mut state = lock(&self.state);
                loop {
                    if let Some(frame) = state.queue.pop() {
                        break frame;
                    }
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            };
            let (generation, written) = match self.stream() {
                Ok((stream, generation)) => (
                    Some(generation),
                    (&*stream).write_all(&frame.bytes).map_err(Error::io("writing to the worker")),
                ),
                Err(error) => (None, Err(error)),
            };
            if let Err(error) = written {
                self.died(generation, &chain(&error));
            }
        }
    }

    /// The stream of the worker that runs, or of one that is started now. Only the courier calls this.
    fn stream(self: &Arc<Worker>) -> Result<(Arc<UnixStream>, u32), Error> {
        let generation = {
            let mut state = lock(&self.state);
            if let Some(running) = &state.running {
                return Ok((Arc::clone(&running.stream), running.generation));
            }
            if !state.can_start() {
                return Err(Error::Closed { what: "the last worker's work" });
            }
            state.starts += 1;
            state.generations += 1;
            state.generations
        };
        let (child, stream) = self.program.start().map_err(Error::io("starting the worker"))?;
        let stream = Arc::new(stream);
        let running = Running::new(child, Arc::clone(&stream), generation);
        if let Some(late) = self.adopt(running) {
            late.end();
            return Err(Error::Closed { what: "the last worker's work" });
        }
        let (worker, acks) = (Arc::clone(self), Arc::clone(&stream));
        spawn("acks", move || worker.read_acks(&acks, generation)).map_err(Error::io("starting a thread"))?;
        Ok((stream, generation))
    }

    /// Takes a worker that was started, or gives it back if everything has ended meanwhile.
    fn adopt(&self, running: Running) -> Option<Running> {
        let mut state = lock(&self.state);
        if state.is_ended {
            return Some(running);
        }
        state.running = Some(running);
        None
    }

    fn read_acks(&self, stream: &UnixStream, generation: u32) {
        let mut ack = [0; 8];
        while { stream }.read_exact(&mut ack).is_ok() {
            let mut state = lock(&self.state);
            let state = &mut *state;
            // What was not sent cannot have been shipped.
            let sequence = u64::from_le_bytes(ack).min(state.queue.taken());
            // The last words of one that is buried or dismissed say nothing of what another one got.
            let Some(running) = state.running.as_mut().filter(|running| running.generation == generation)
            else {
                return;
            };
            running.gave_sign(sequence > state.settled);
            state.settled = state.settled.max(sequence);
            state.kept.forget(sequence);
            self.changed.notify_all();
        }
        self.died(Some(generation), "it ended");
    }

    /// Buries the worker of `generation`, or the one that could not be started.
    fn died(&self, generation: Option<u32>, why: &str) {
        let mut lines = Vec::new();
        let mut state = lock(&self.state);
        let running = state.running.as_ref().map(|running| running.generation);
        // Both threads that serve a worker notice its death; the second one finds it buried.
        if generation.is_some() && generation != running {
            return;
        }
        self.bury(&mut state, &mut lines);
        self.write(state, &lines);
        self.death.say(format_args!(
            "the worker failed ({why}); what it had not shipped goes to another one, or is written as bare records"
        ));
    }

    fn bury(&self, state: &mut State, lines: &mut Vec<String>) {
        if let Some(running) = state.running.take() {
            running.end();
        }
        state.is_wanted = false;
        state.queue.drop_context();
        let mut dealt_with = state.queue.taken();
        if state.can_start() {
            let again = state.kept.retry(dealt_with, lines);
            dealt_with = again.first().map_or(dealt_with, |(sequence, _)| sequence - 1);
            state.queue.push_again(again);
        }
        if state.queue.has_reports() && state.can_start() {
            state.want();
        } else {
            state.queue.clear();
            dealt_with = state.queue.taken();
        }
        state.settle(dealt_with, lines);
        self.changed.notify_all();
    }

    /// Writes bare records, after `state` is let go but before anybody who saw it can: see [`Worker::wait`].
    fn write(&self, state: MutexGuard<'_, State>, lines: &[String]) {
        // Whoever has nothing to write does not wait for those who have.
        if lines.is_empty() {
            return;
        }
        let mut out = lock(&self.out);
        drop(state);
        for line in lines {
            // Standard output is the last resort: there is nobody to tell.
            let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        }
    }
}

impl State {
    fn can_start(&self) -> bool {
        self.starts <= RESTARTS_MAX && !self.is_ended
    }

    fn signs(&self) -> Signs {
        Signs::of(self.running.as_ref())
    }

    /// Begins to tell what happens, and first what a new worker must know.
    fn want(&mut self) {
        self.is_wanted = true;
        let mut context = vec![Message::Registered(self.registered.clone())];
        context.extend(self.attached.clone().map(Message::Attached));
        let opened = self.opened.iter();
        context
            .extend(opened.map(|(is_first, raw)| Message::Invoke { is_first: *is_first, raw: raw.clone() }));
        context.extend(self.events.iter().map(|(request_id, head)| Message::Event {
            request_id: request_id.to_owned(),
            head: head.to_vec(),
        }));
        context.extend(self.recent.take().into_iter().map(Message::Telemetry));
        self.queue.push_context(&context);
    }

    /// Makes bare records of the failures up to `sequence`, which the worker has not dealt with.
    fn settle(&mut self, sequence: u64, lines: &mut Vec<String>) {
        self.kept.settle(sequence, lines);
        self.settled = self.settled.max(sequence.min(self.queue.made()));
    }

    fn count_lost(&mut self, what: &'static str) {
        match self.lost.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            // One entry for each place in the code that counts.
            None => self.lost.push((what, 1)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
