//! The sandbox against a runtime and an extension that speak raw HTTP.
//!
//! Expected texts and bodies are those recorded from Lambda's Runtime Interface Emulator, or documented.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails is the test failing")]

mod function;

mod invocations;
mod failures;
mod extensions;
mod telemetry;
