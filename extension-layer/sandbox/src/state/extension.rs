//! One extension and where it is in its life.

use std::sync::Arc;
use std::time::SystemTime;

use super::call::{Poll, Refusal};
use crate::clock;
use crate::fault::Fault;
use crate::invocation::Current;

/// What an extension gets from `event/next`.
#[derive(Debug, Clone)]
pub(crate) enum ExtensionEvent {
    Invoke(Arc<Current>),
    Shutdown { reason: &'static str, deadline: SystemTime },
}

/// Which events an extension registered for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) invoke: bool,
    pub(crate) shutdown: bool,
}

impl Events {
    pub(crate) fn words(self) -> Vec<&'static str> {
        let words = [(self.invoke, "INVOKE"), (self.shutdown, "SHUTDOWN")];
        words.into_iter().filter_map(|(wanted, word)| wanted.then_some(word)).collect()
    }
}

/// Whose error call an extension makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExtensionErrorCall {
    Init,
    Exit,
}

/// One extension, external (started by the sandbox) or internal (living in the runtime's process).
#[derive(Debug)]
pub(crate) struct Extension {
    pub(crate) name: String,
    pub(crate) events: Events,
    pub(super) internal: bool,
    identifier: String,
    stage: Stage,
    pending: Option<ExtensionEvent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its process was started; it has not registered.
    Launched,
    Registered,
    Waiting(Poll),
    /// It has an event and has not asked for the next one.
    Busy,
    /// It told of an error, or has its SHUTDOWN, or has ended: no event will follow.
    Leaving,
}

impl Extension {
    pub(super) fn launched(name: &str, internal: bool) -> Self {
        let (name, identifier) = (name.to_owned(), clock::uuid());
        Self { name, events: Events::default(), internal, identifier, stage: Stage::Launched, pending: None }
    }

    pub(super) fn is_launched(&self) -> bool {
        self.stage == Stage::Launched
    }

    /// Whether this is the registered extension that a call names.
    pub(super) fn is(&self, identifier: &str) -> bool {
        !self.is_launched() && self.identifier == identifier
    }

    pub(super) fn waits(&self) -> bool {
        matches!(self.stage, Stage::Waiting(_))
    }

    pub(super) fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Gives it the identifier for its calls.
    pub(super) fn register(&mut self, events: Events) -> Result<String, Refusal> {
        if !self.is_launched() {
            return Err(self.refuse("Registered"));
        }
        self.stage = Stage::Registered;
        self.events = events;
        Ok(self.identifier.clone())
    }

    /// `leaving`: whether the environment is being taken down.
    pub(super) fn next(&mut self, poll: Poll, leaving: bool) -> Result<(), Refusal> {
        match self.stage {
            Stage::Registered | Stage::Waiting(_) | Stage::Busy => self.stage = Stage::Waiting(poll),
            // After its SHUTDOWN an extension should have left; the call blocks until it is killed.
            Stage::Leaving if leaving => {}
            Stage::Launched | Stage::Leaving => return Err(self.refuse("Ready")),
        }
        Ok(())
    }

    pub(super) fn take(&mut self, poll: Poll) -> Option<ExtensionEvent> {
        if self.stage != Stage::Waiting(poll) {
            return None;
        }
        let event = self.pending.take()?;
        self.stage = match event {
            ExtensionEvent::Invoke(_) => Stage::Busy,
            ExtensionEvent::Shutdown { .. } => Stage::Leaving,
        };
        Some(event)
    }

    pub(super) fn error(
        &mut self,
        call: ExtensionErrorCall,
        during_init: bool,
        reported: String,
    ) -> Result<Fault, Refusal> {
        let fault = match call {
            ExtensionErrorCall::Init if !during_init || self.stage == Stage::Leaving => {
                return Err(self.refuse("InitError"));
            }
            ExtensionErrorCall::Init => Fault::ExtensionInit { reported },
            ExtensionErrorCall::Exit => Fault::ExtensionExit { reported },
        };
        self.stage = Stage::Leaving;
        Ok(fault)
    }

    pub(super) fn offer_invoke(&mut self, current: &Arc<Current>) {
        if self.events.invoke {
            self.pending = Some(ExtensionEvent::Invoke(current.clone()));
        }
    }

    /// Takes back what it has not taken, and offers SHUTDOWN if it registered for it and is still there.
    /// Offers SHUTDOWN if it is wanted, and says whether it is.
    pub(super) fn offer_shutdown(&mut self, reason: &'static str, deadline: SystemTime) -> bool {
        let there = !matches!(self.stage, Stage::Launched | Stage::Leaving);
        self.pending =
            (there && self.events.shutdown).then_some(ExtensionEvent::Shutdown { reason, deadline });
        self.pending.is_some()
    }

    pub(super) fn ended(&mut self) {
        self.stage = Stage::Leaving;
    }

    fn refuse(&self, to: &str) -> Refusal {
        let from = match self.stage {
            Stage::Launched => "Started",
            Stage::Registered => "Registered",
            Stage::Waiting(_) => "Ready",
            Stage::Busy => "Running",
            Stage::Leaving => "Exited",
        };
        let message = format!(
            "State transition from {from} to {to} failed for extension {}. Error: not allowed",
            self.name
        );
        Refusal::forbidden("Extension.InvalidExtensionState", message)
    }
}
