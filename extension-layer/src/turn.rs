//! What is known of the invocation that runs now, from all sides: the INVOKE event, the proxy, the platform's events.
//!
//! It answers two questions. *Is the runtime's part over?* Lambda ends an invocation when the runtime and every extension
//! have asked for the next event, so an extension that asks when the runtime has answered costs nothing, and can still
//! wait if the answer was an error. *Has the platform said its last word?* It is worth waiting for at SHUTDOWN.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::say::lock;

/// Answers of the runtime that are remembered: they may come before the INVOKE event that they belong to.
const ANSWERS_MAX: usize = 64;

/// Invocations whose connection was closed, and whose answer is still waited for: those of dead runtimes stay until others come.
const PARTED_MAX: usize = 64;

/// Requests of which the platform's last word is remembered, for the same reason.
const WORDS_MAX: usize = 16;

/// How an invocation ended, seen from the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Response,
    Error,
}

/// What is known of the end of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It has ended, or there was none: what was to be said of it is said.
    Over,
    /// The runtime closed its connection in the middle of it: its process has ended.
    BrokenOff,
    /// Nothing.
    Unknown,
}

/// What the platform said of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    /// It runs.
    Started,
    /// `platform.runtimeDone`: the runtime is done with it.
    Done,
    /// `platform.report`: the last one.
    Report,
}

/// What a connection of the runtime is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// It waits for an invocation.
    Waiting,
    /// It got this one.
    Running(String),
    /// It got this one, and was closed then. The runtime may have a connection for each call, as Ruby's does, or be dead.
    Parted(String, Instant),
}

impl Place {
    /// The invocation that the runtime has, as far as this connection tells.
    fn request_id(&self) -> Option<&String> {
        match self {
            Place::Waiting => None,
            Place::Running(request_id) | Place::Parted(request_id, _) => Some(request_id),
        }
    }
}

/// The invocation that runs now.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The request id of the invocation that the last INVOKE event brought.
    open: Option<String>,
    words: VecDeque<(String, Word)>,
    runtime: Vec<(u64, Place)>,
    /// The request in whose middle the runtime closed its connection.
    broken_off: Option<String>,
    answers: VecDeque<(String, Answer)>,
    /// Batches of telemetry so far.
    batches: u64,
    /// True once the runtime answered an invocation whose connection it had closed: it has one for each call.
    parts: bool,
    /// True once the runtime asked for an invocation through the proxy.
    has_met_runtime: bool,
    /// Threads that wait for a change: mostly none, and to wake nobody costs a system call too.
    waiting: u32,
}

impl State {
    /// What the platform said of the open invocation so far. `None` if there was none.
    fn word(&self) -> Option<Word> {
        let open = self.open.as_ref()?;
        let said = self.words.iter().filter(|(request_id, _)| request_id == open).map(|(_, word)| *word);
        Some(said.max().unwrap_or(Word::Started))
    }
}

impl Turn {
    /// The INVOKE event came.
    pub(crate) fn opened(&self, request_id: String) {
        let mut state = lock(&self.state);
        // Lambda tries an asynchronous event again under the same id: what was said of the last attempt is over.
        if state.open.as_ref() == Some(&request_id) {
            state.words.retain(|(said, _)| *said != request_id);
        }
        state.open = Some(request_id);
    }

    /// The id of the invocation that the runtime runs, if it runs one and the proxy saw it; else of the open, or last,
    /// invocation. The runtime may have got it before the INVOKE event comes here.
    pub(crate) fn request_id(&self) -> Option<String> {
        let state = lock(&self.state);
        let mut running = state.runtime.iter().filter_map(|(_, place)| place.request_id());
        match (running.next(), running.next()) {
            (Some(request_id), None) => Some(request_id.clone()),
            // Managed Instances run several at a time, and a bare hook does not know its own.
            (Some(_), Some(_)) => None,
            (None, _) => state.open.clone(),
        }
    }

    /// A batch of telemetry came, in which the platform says this of requests.
    pub(crate) fn heard(&self, words: Vec<(String, Word)>) {
        let mut state = lock(&self.state);
        state.batches += 1;
        state.words.extend(words);
        let forgotten = state.words.len().saturating_sub(WORDS_MAX);
        state.words.drain(..forgotten);
        self.wake(&state);
    }

    /// True if the runtime uses the proxy, which then tells in time that an invocation failed.
    pub(crate) fn has_met_runtime(&self) -> bool {
        lock(&self.state).has_met_runtime
    }

    /// The runtime asked for an invocation on this connection.
    pub(crate) fn runtime_waits(&self, connection: u64) {
        lock(&self.state).has_met_runtime = true;
        self.place(connection, Some(Place::Waiting));
    }

    /// The runtime got an invocation on this connection, or an answer without one.
    pub(crate) fn runtime_runs(&self, connection: u64, request_id: Option<&str>) {
        if let Some(request_id) = request_id {
            let mut state = lock(&self.state);
            // Another attempt: what became of the last one says nothing of it.
            state.answers.retain(|(answered, _)| answered != request_id);
            state.runtime.retain(|(_, place)| place.request_id().is_none_or(|known| known != request_id));
            state.broken_off.take_if(|broken_off| broken_off == request_id);
        }
        self.place(connection, request_id.map(|request_id| Place::Running(request_id.to_owned())));
    }

    /// The runtime, or Lambda, closed this connection.
    pub(crate) fn runtime_left(&self, connection: u64) {
        let left = lock(&self.state).runtime.iter().find_map(|(other, place)| match place {
            Place::Running(request_id) if *other == connection => Some(request_id.clone()),
            _ => None,
        });
        if let Some(request_id) = &left {
            let mut state = lock(&self.state);
            state.broken_off = Some(request_id.clone());
            let is_parted = |(_, place): &(u64, Place)| matches!(place, Place::Parted(..));
            if state.runtime.iter().filter(|place| is_parted(place)).count() >= PARTED_MAX
                && let Some(oldest) = state.runtime.iter().position(is_parted)
            {
                state.runtime.remove(oldest);
            }
        }
        self.place(connection, left.map(|request_id| Place::Parted(request_id, Instant::now())));
    }

    /// What is known of the end of the open invocation.
    pub(crate) fn ending(&self) -> Ending {
        let state = lock(&self.state);
        let Some(open) = &state.open else { return Ending::Over };
        let is_answered = state.answers.iter().any(|(request_id, _)| request_id == open);
        if is_answered || state.word() >= Some(Word::Done) {
            Ending::Over
        } else if state.broken_off.as_ref() == Some(open) {
            Ending::BrokenOff
        } else {
            Ending::Unknown
        }
    }

    fn place(&self, connection: u64, place: Option<Place>) {
        let mut state = lock(&self.state);
        state.runtime.retain(|(other, _)| *other != connection);
        state.runtime.extend(place.map(|place| (connection, place)));
        self.wake(&state);
    }

    /// The runtime answered an invocation, on whichever connection.
    pub(crate) fn runtime_answered(&self, request_id: &str, answer: Answer) {
        let mut state = lock(&self.state);
        state.parts |= state
            .runtime
            .iter()
            .any(|(_, place)| matches!(place, Place::Parted(parted, _) if parted == request_id));
        state.runtime.retain(|(_, place)| place.request_id().is_none_or(|running| running != request_id));
        if state.answers.len() >= ANSWERS_MAX {
            state.answers.pop_front();
        }
        state.answers.push_back((request_id.to_owned(), answer));
        self.wake(&state);
    }

    /// Waits for the runtime's answer to the open invocation, as long as one can come: the runtime is there, the platform
    /// has not ended the invocation, and `until` is not over. A runtime that closed its connection is taken to be there for `grace` more,
    /// or as long as any other if it is known to have one for each call.
    /// `None` if no answer can come.
    pub(crate) fn wait_answer(&self, until: Instant, grace: Duration) -> Option<Answer> {
        let mut state = lock(&self.state);
        loop {
            let open = state.open.as_ref()?;
            let answer = state.answers.iter().rev().find(|(request_id, _)| request_id == open);
            if let Some((_, answer)) = answer {
                return Some(*answer);
            }
            let can_come_until = state.runtime.iter().filter_map(|(_, place)| match place {
                Place::Waiting => Some(until),
                Place::Running(request_id) => (request_id == open).then_some(until),
                Place::Parted(request_id, since) => (request_id == open).then_some(if state.parts {
                    until
                } else {
                    until.min(*since + grace)
                }),
            });
            let left = can_come_until.max()?.saturating_duration_since(Instant::now());
            if state.word() >= Some(Word::Done) || left.is_zero() {
                return None;
            }
            state = self.wait_change(state, left);
        }
    }

    /// What the platform said of the open invocation so far. `None` if there was none.
    pub(crate) fn word(&self) -> Option<Word> {
        lock(&self.state).word()
    }

    /// How many batches of telemetry came so far.
    pub(crate) fn batches(&self) -> u64 {
        lock(&self.state).batches
    }

    /// Waits until the platform has said `word` of the open invocation, or `until`.
    pub(crate) fn wait_word(&self, word: Word, until: Instant) {
        self.wait(until, |state| state.word() >= Some(word));
    }

    /// Waits until more than `batches` batches of telemetry came, or `until`.
    pub(crate) fn wait_batch(&self, batches: u64, until: Instant) {
        self.wait(until, |state| state.batches > batches);
    }

    fn wake(&self, state: &State) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    fn wait_change<'s>(&self, mut state: MutexGuard<'s, State>, left: Duration) -> MutexGuard<'s, State> {
        state.waiting += 1;
        let (mut state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    fn wait(&self, until: Instant, is_enough: impl Fn(&State) -> bool) {
        let mut state = lock(&self.state);
        while !is_enough(&state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.wait_change(state, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn nobody_waits_for_a_runtime_that_does_not_use_the_proxy() {
        let turn = Turn::default();
        assert_eq!(turn.wait_answer(later(), Duration::ZERO), None);
        turn.opened("1".to_owned());
        assert_eq!(turn.wait_answer(later(), Duration::ZERO), None);
    }

    #[test]
    fn an_answer_that_came_before_its_invoke_event_counts() {
        let turn = Turn::default();
        turn.runtime_waits(7);
        turn.runtime_runs(7, Some("1"));
        turn.runtime_answered("1", Answer::Error);
        turn.runtime_waits(7);
        turn.opened("1".to_owned());
        assert_eq!(turn.wait_answer(later(), Duration::ZERO), Some(Answer::Error));
    }

    #[test]
    fn a_runtime_that_dies_or_is_timed_out_ends_the_wait() {
        let turn = Turn::default();
        turn.opened("1".to_owned());
        turn.runtime_runs(7, Some("1"));
        turn.runtime_left(7);
        assert_eq!((turn.wait_answer(later(), Duration::ZERO), turn.ending()), (None, Ending::BrokenOff));

        turn.runtime_runs(8, Some("1"));
        turn.heard(vec![("1".to_owned(), Word::Done)]);
        assert_eq!(turn.wait_answer(later(), Duration::ZERO), None);
    }

    #[test]
    fn a_runtime_with_a_connection_for_each_call_is_not_dead() {
        let turn = Turn::default();
        turn.opened("1".to_owned());
        turn.runtime_waits(7);
        turn.runtime_runs(7, Some("1"));
        turn.runtime_left(7);
        assert_eq!(turn.request_id().as_deref(), Some("1"));
        std::thread::scope(|scope| {
            let wait = scope.spawn(|| turn.wait_answer(later(), Duration::from_secs(60)));
            turn.runtime_answered("1", Answer::Error);
            assert_eq!(wait.join().unwrap(), Some(Answer::Error));
        });
        assert_eq!(turn.ending(), Ending::Over);
        // From now on it is known.
        turn.opened("2".to_owned());
        turn.runtime_runs(8, Some("2"));
        turn.runtime_left(8);
        assert_eq!(turn.wait_answer(Instant::now() + Duration::from_millis(50), Duration::ZERO), None);
        std::thread::scope(|scope| {
            let wait = scope.spawn(|| turn.wait_answer(later(), Duration::ZERO));
            turn.runtime_answered("2", Answer::Response);
            assert_eq!(wait.join().unwrap(), Some(Answer::Response));
        });
        // Dead ones are forgotten in the end.
        for connection in 0..1000 {
            turn.runtime_runs(connection, Some(&connection.to_string()));
            turn.runtime_left(connection);
        }
        assert_eq!(lock(&turn.state).runtime.len(), PARTED_MAX);
    }

    #[test]
    fn the_last_attempts_answer_is_not_the_next_ones() {
        let turn = Turn::default();
        turn.opened("1".to_owned());
        turn.runtime_runs(7, Some("1"));
        turn.runtime_answered("1", Answer::Error);
        turn.runtime_runs(7, Some("1"));
        turn.opened("1".to_owned());
        assert_eq!(turn.ending(), Ending::Unknown);
        turn.heard(vec![("1".to_owned(), Word::Done)]);
        assert_eq!(turn.wait_answer(later(), Duration::ZERO), None);
    }

    #[test]
    fn the_wait_sees_an_answer_from_another_thread() {
        let turn = Turn::default();
        turn.opened("1".to_owned());
        turn.runtime_waits(7);
        std::thread::scope(|scope| {
            let wait = scope.spawn(|| turn.wait_answer(later(), Duration::ZERO));
            turn.runtime_runs(7, Some("1"));
            turn.runtime_answered("1", Answer::Response);
            assert_eq!(wait.join().unwrap(), Some(Answer::Response));
        });
    }

    #[test]
    fn a_word_that_came_before_its_invoke_event_counts_and_the_last_attempts_does_not() {
        let turn = Turn::default();
        turn.heard(vec![("1".to_owned(), Word::Done), ("0".to_owned(), Word::Report)]);
        assert_eq!(turn.word(), None);
        turn.opened("1".to_owned());
        assert_eq!(turn.word(), Some(Word::Done));
        turn.opened("1".to_owned());
        assert_eq!(turn.word(), Some(Word::Started));
        turn.heard((0..100).map(|number| (number.to_string(), Word::Done)).collect());
        assert_eq!(lock(&turn.state).words.len(), WORDS_MAX);
    }

    #[test]
    fn the_answers_that_are_remembered_are_bounded() {
        let turn = Turn::default();
        for request in 0..1000 {
            turn.runtime_answered(&request.to_string(), Answer::Response);
        }
        assert_eq!(lock(&turn.state).answers.len(), ANSWERS_MAX);
    }
}
