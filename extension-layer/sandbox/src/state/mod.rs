//! Who of the runtime and the extensions is where in its life.
//!
//! One value per sandbox. A request changes it or is refused; the life cycle waits for a condition to hold of
//! it. Nothing here waits, reads a clock or does I/O.
//!
//! A long poll is two steps: `…_next` marks the caller as waiting and gives it a [`Poll`]; `take_…` gives the
//! event to the latest poll once there is one. Of two polls by one caller, the earlier is one whose connection
//! broke, and must not swallow an event.

mod call;
mod extension;

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use crate::config::EXTENSIONS_MAX;
use crate::fault::Fault;
use crate::invocation::Current;
use crate::telemetry::event::Phase;

pub(crate) use call::{Poll, Refusal};
pub(crate) use extension::{Events, Extension, ExtensionErrorCall, ExtensionEvent};

/// What the runtime said of an invocation.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) payload: Bytes,
    /// Present if it is an error.
    pub(crate) error_type: Option<String>,
    /// When its first and its last byte came.
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runtime {
    /// Its process has not been started, or has ended.
    Absent,
    Starting,
    InitFailed,
    Waiting(Poll),
    Running,
    Answered,
}

/// See the module's documentation.
pub(crate) struct State {
    /// The latest poll of anybody.
    poll: Poll,
    phase: Option<Phase>,
    runtime: Runtime,
    extensions: Vec<Extension>,
    current: Option<Arc<Current>>,
    answer: Option<Answer>,
    fault: Option<Fault>,
    /// The environment is being taken down: ends of processes are wanted.
    leaving: bool,
}

/// What the life cycle does.
impl State {
    pub(crate) fn new() -> Self {
        Self {
            poll: Poll::default(),
            phase: None,
            runtime: Runtime::Absent,
            extensions: Vec::new(),
            current: None,
            answer: None,
            fault: None,
            leaving: false,
        }
    }

    /// A new environment with these external extensions.
    pub(crate) fn begin_init(&mut self, phase: Phase, external: impl Iterator<Item = String>) {
        *self = Self { poll: self.poll, phase: Some(phase), ..Self::new() };
        self.extensions = external.map(|name| Extension::launched(&name, false)).collect();
    }

    pub(crate) fn runtime_started(&mut self) {
        self.runtime = Runtime::Starting;
    }

    /// Registration and subscription close.
    pub(crate) fn end_init(&mut self) {
        self.phase = None;
    }

    pub(crate) fn begin_invocation(&mut self, current: Arc<Current>) {
        self.extensions.iter_mut().for_each(|extension| extension.offer_invoke(&current));
        self.current = Some(current);
        self.answer = None;
    }

    pub(crate) fn end_invocation(&mut self) {
        self.current = None;
        self.answer = None;
    }

    /// From here on ends are no faults.
    pub(crate) fn begin_leaving(&mut self) {
        self.leaving = true;
        self.phase = None;
        self.end_invocation();
    }

    /// Offers SHUTDOWN to those who registered for it, and says of each extension whether it is one of them and so to be
    /// left to end by itself.
    pub(crate) fn offer_shutdown(&mut self, reason: &'static str, deadline: SystemTime) -> Vec<bool> {
        self.extensions.iter_mut().map(|extension| extension.offer_shutdown(reason, deadline)).collect()
    }
}

/// What the life cycle waits for.
impl State {
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault.clone()
    }

    pub(crate) fn external_registered(&self) -> bool {
        !self.extensions.iter().any(Extension::is_launched)
    }

    pub(crate) fn runtime_waits(&self) -> bool {
        matches!(self.runtime, Runtime::Waiting(_))
    }

    /// Every extension has asked for its first event.
    pub(crate) fn extensions_wait(&self) -> bool {
        self.extensions.iter().all(Extension::waits)
    }

    /// Every extension that was told of the invocation has asked for its next event.
    pub(crate) fn extensions_done(&self) -> bool {
        let mut told = self.extensions.iter().filter(|extension| extension.events.invoke);
        told.all(|extension| extension.waits() && !extension.has_pending())
    }

    pub(crate) fn answer(&self) -> Option<Answer> {
        self.answer.clone()
    }

    pub(crate) fn has_internal_extension(&self) -> bool {
        self.extensions.iter().any(|extension| extension.internal)
    }

    pub(crate) fn extensions(&self) -> &[Extension] {
        &self.extensions
    }
}

/// The end of a process.
impl State {
    pub(crate) fn runtime_exited(&mut self, status: ExitStatus) {
        self.runtime = Runtime::Absent;
        self.fail(Fault::RuntimeExit(status));
    }

    /// `position` among the external extensions.
    pub(crate) fn extension_exited(&mut self, position: usize, status: ExitStatus) {
        if let Some(extension) = self.extensions.get_mut(position) {
            extension.ended();
        }
        self.fail(Fault::ExtensionCrash(status));
    }

    /// Only the first fault counts: what follows is its consequence.
    fn fail(&mut self, fault: Fault) {
        if !self.leaving && self.fault.is_none() {
            self.fault = Some(fault);
        }
    }
}

/// The Runtime API.
impl State {
    pub(crate) fn runtime_next(&mut self) -> Result<Poll, Refusal> {
        match self.runtime {
            Runtime::Starting | Runtime::Waiting(_) | Runtime::Answered => {
                let poll = self.next_poll();
                self.runtime = Runtime::Waiting(poll);
                Ok(poll)
            }
            state => Err(runtime_transition(state, "Ready")),
        }
    }

    pub(crate) fn take_runtime_event(&mut self, poll: Poll) -> Option<Arc<Current>> {
        if self.runtime != Runtime::Waiting(poll) || self.answer.is_some() {
            return None;
        }
        let current = self.current.clone()?;
        self.runtime = Runtime::Running;
        Some(current)
    }

    pub(crate) fn answer_invocation(&mut self, request_id: &str, answer: Answer) -> Result<(), Refusal> {
        if self.current.as_ref().is_none_or(|current| current.request_id != request_id) {
            let message = "Invalid request ID".to_owned();
            return Err(Refusal { status: 400, error_type: "InvalidRequestID", message });
        }
        if self.runtime != Runtime::Running {
            return Err(runtime_transition(self.runtime, "InvocationResponse"));
        }
        self.runtime = Runtime::Answered;
        self.answer = Some(answer);
        Ok(())
    }

    pub(crate) fn runtime_init_error(&mut self, body: Bytes, error_type: String) -> Result<(), Refusal> {
        if self.runtime != Runtime::Starting {
            return Err(runtime_transition(self.runtime, "InitError"));
        }
        self.runtime = Runtime::InitFailed;
        self.fail(Fault::RuntimeInit { body, error_type });
        Ok(())
    }
}

/// The Extensions API. Messages are the Runtime Interface Emulator's.
impl State {
    pub(crate) fn register(&mut self, name: &str, events: Events) -> Result<String, Refusal> {
        let registered = self.extensions.iter().filter(|extension| !extension.is_launched()).count();
        let known = self.extensions.iter_mut().find(|extension| extension.name == name);
        if self.phase.is_none() || (known.is_none() && self.runtime != Runtime::Starting) {
            // Internal extensions live in the runtime's process: before it runs, no other can register.
            let message = "Extension registration closed already";
            return Err(Refusal::forbidden("Extension.RegistrationClosed", message));
        }
        if known.as_ref().is_none_or(|known| known.is_launched()) && registered >= EXTENSIONS_MAX {
            let message = format!("Extension limit ({EXTENSIONS_MAX}) reached");
            return Err(Refusal::forbidden("Extension.TooManyExtensions", message));
        }
        if let Some(known) = known {
            return known.register(events);
        }
        if events.shutdown {
            let message = "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension";
            return Err(Refusal::forbidden("Extension.InvalidEventType", message));
        }
        let mut internal = Extension::launched(name, true);
        let identifier = internal.register(events)?;
        self.extensions.push(internal);
        Ok(identifier)
    }

    /// The name of a registered extension, and whether subscriptions are still open.
    pub(crate) fn subscriber(&mut self, identifier: &str) -> Result<(String, bool), Refusal> {
        let open = self.phase.is_some();
        self.identified(identifier).map(|extension| (extension.name.clone(), open))
    }

    pub(crate) fn extension_next(&mut self, identifier: &str) -> Result<Poll, Refusal> {
        let (poll, leaving) = (self.next_poll(), self.leaving);
        self.identified(identifier)?.next(poll, leaving)?;
        Ok(poll)
    }

    pub(crate) fn take_extension_event(&mut self, identifier: &str, poll: Poll) -> Option<ExtensionEvent> {
        self.identified(identifier).ok()?.take(poll)
    }

    pub(crate) fn extension_error(
        &mut self,
        identifier: &str,
        call: ExtensionErrorCall,
        reported: String,
    ) -> Result<(), Refusal> {
        let during_init = self.phase.is_some();
        let fault = self.identified(identifier)?.error(call, during_init, reported)?;
        self.fail(fault);
        Ok(())
    }

    fn identified(&mut self, identifier: &str) -> Result<&mut Extension, Refusal> {
        self.extensions.iter_mut().find(|extension| extension.is(identifier)).ok_or_else(|| {
            let message = format!("Unknown extension {identifier}");
            Refusal::forbidden("Extension.UnknownExtensionIdentifier", message)
        })
    }

    fn next_poll(&mut self) -> Poll {
        self.poll = self.poll.next();
        self.poll
    }
}

fn runtime_transition(from: Runtime, to: &str) -> Refusal {
    let from = match from {
        Runtime::Absent => "Absent",
        Runtime::Starting => "Started",
        Runtime::InitFailed => "InitError",
        Runtime::Waiting(_) => "Ready",
        Runtime::Running => "Running",
        Runtime::Answered => "ResponseSent",
    };
    let message = format!("State transition from {from} to {to} failed for runtime. Error: not allowed");
    Refusal::forbidden("InvalidStateTransition", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    const BOTH: Events = Events { invoke: true, shutdown: true };

    fn current(request_id: &str) -> Arc<Current> {
        Arc::new(Current {
            request_id: request_id.to_owned(),
            invocation_id: "attempt".to_owned(),
            deadline: SystemTime::UNIX_EPOCH,
            function_arn: "arn".to_owned(),
            payload: Bytes::new(),
            trace_id: None,
            client_context: None,
            cognito_identity: None,
        })
    }

    fn answer() -> Answer {
        let now = Instant::now();
        Answer { payload: Bytes::from_static(b"{}"), error_type: None, began: now, ended: now }
    }

    /// An environment with one extension, both waiting.
    fn ready() -> (State, String, Poll, Poll) {
        let mut state = State::new();
        state.begin_init(Phase::Init, ["e".to_owned()].into_iter());
        let identifier = state.register("e", BOTH).unwrap();
        state.runtime_started();
        let (runtime, extension) =
            (state.runtime_next().unwrap(), state.extension_next(&identifier).unwrap());
        assert!(state.runtime_waits() && state.extensions_wait());
        state.end_init();
        (state, identifier, runtime, extension)
    }

    #[test]
    fn an_invocation_ends_when_the_runtime_and_its_extensions_ask_for_the_next() {
        let (mut state, identifier, runtime, extension) = ready();
        state.begin_invocation(current("R"));
        assert!(!state.extensions_done(), "told and not yet served");
        assert_eq!(state.take_runtime_event(runtime).unwrap().request_id, "R");
        assert!(matches!(
            state.take_extension_event(&identifier, extension),
            Some(ExtensionEvent::Invoke(_))
        ));
        state.answer_invocation("R", answer()).unwrap();
        assert!(!state.runtime_waits());
        let again = state.runtime_next().unwrap();
        assert!(state.take_runtime_event(again).is_none(), "the same invocation never comes twice");
        assert!(!state.extensions_done());
        state.extension_next(&identifier).unwrap();
        assert!(state.runtime_waits() && state.extensions_done());
    }

    #[test]
    fn an_answer_needs_the_current_id_and_comes_once() {
        let (mut state, _, runtime, _) = ready();
        assert_eq!(state.answer_invocation("R", answer()).unwrap_err().status, 400);
        state.begin_invocation(current("R"));
        assert_eq!(state.answer_invocation("R", answer()).unwrap_err().error_type, "InvalidStateTransition");
        state.take_runtime_event(runtime).unwrap();
        assert_eq!(state.answer_invocation("other", answer()).unwrap_err().error_type, "InvalidRequestID");
        state.answer_invocation("R", answer()).unwrap();
        assert_eq!(state.answer_invocation("R", answer()).unwrap_err().status, 403);
    }

    #[test]
    fn only_the_latest_of_two_polls_gets_the_event() {
        let (mut state, identifier, runtime, extension) = ready();
        let (runtime_again, extension_again) =
            (state.runtime_next().unwrap(), state.extension_next(&identifier).unwrap());
        state.begin_invocation(current("R"));
        assert!(state.take_runtime_event(runtime).is_none());
        assert!(state.take_extension_event(&identifier, extension).is_none());
        assert!(state.take_runtime_event(runtime_again).is_some());
        assert!(state.take_extension_event(&identifier, extension_again).is_some());
    }

    #[test]
    fn registration_is_for_started_extensions_once_and_during_initialization() {
        let mut state = State::new();
        state.begin_init(Phase::Init, ["e".to_owned()].into_iter());
        assert_eq!(state.register("other", BOTH).unwrap_err().error_type, "Extension.RegistrationClosed");
        let identifier = state.register("e", BOTH).unwrap();
        assert_eq!(state.register("e", BOTH).unwrap_err().error_type, "Extension.InvalidExtensionState");
        state.runtime_started();
        assert_eq!(state.register("internal", BOTH).unwrap_err().error_type, "Extension.InvalidEventType");
        for number in 1..EXTENSIONS_MAX {
            state.register(&format!("internal-{number}"), Events { invoke: true, shutdown: false }).unwrap();
        }
        let none = Events::default();
        assert_eq!(state.register("one-more", none).unwrap_err().error_type, "Extension.TooManyExtensions");
        assert!(state.subscriber(&identifier).unwrap().1);
        state.end_init();
        assert_eq!(state.register("e", BOTH).unwrap_err().error_type, "Extension.RegistrationClosed");
        assert_eq!(
            state.extension_next("nobody").unwrap_err().error_type,
            "Extension.UnknownExtensionIdentifier"
        );
        assert!(!state.subscriber(&identifier).unwrap().1);
    }

    #[test]
    fn the_first_fault_counts_and_ends_are_no_faults_while_leaving() {
        let (mut state, identifier, ..) = ready();
        state.extension_error(&identifier, ExtensionErrorCall::Exit, "Extension.Mine".to_owned()).unwrap();
        state.extension_exited(0, ExitStatus::from_raw(0x100));
        state.runtime_exited(ExitStatus::from_raw(9));
        assert_eq!(state.fault().unwrap().error_type(), "Extension.ExitError");

        let (mut state, identifier, _, extension) = ready();
        state.begin_leaving();
        assert_eq!(state.offer_shutdown("spindown", SystemTime::UNIX_EPOCH), [true]);
        let event = state.take_extension_event(&identifier, extension);
        assert!(matches!(event, Some(ExtensionEvent::Shutdown { reason: "spindown", .. })));
        let after = state.extension_next(&identifier).unwrap();
        assert!(state.take_extension_event(&identifier, after).is_none());
        state.extension_exited(0, ExitStatus::from_raw(0));
        assert!(state.fault().is_none());
    }
}
