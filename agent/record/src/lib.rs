//! The failure record: what it is, how it is read from what runtimes write, and how it becomes a line of JSON in
//! a batch that CloudWatch Logs accepts.
//!
//! Everything here is a function of its arguments. There is no file, no network, no clock and no randomness:
//! `now` is an argument, source text comes through [`SourceText`], and what to do after a failed request is a
//! decision of [`retry`] that somebody else carries out. So what is tested here offline is what runs in Lambda.
//!
//! Modules stand in the order in which a failure meets them:
//!
//! 1. [`failure`]: the record and its parts.
//! 2. [`normalize`]: posted bodies, printed traces and native reports become records.
//! 3. [`response`]: what a success says of failures inside it.
//! 4. [`trigger`], [`source_map`], [`source`], [`culprit`], [`redact`], [`fingerprint`], [`metrics`]: what completes a record, joined by [`complete()`].
//! 5. [`render`]: one line of JSON, bounded; [`export`]: the same in the words of OpenTelemetry and ECS.
//! 6. [`batch`], [`storm`], [`retry`]: the lines on their way to CloudWatch, all of them or one for many.

pub mod text;
mod percent;
mod words;
pub mod failure;
mod family;
pub mod normalize;
pub mod response;
pub mod trigger;
pub mod source_map;
pub mod source;
pub mod culprit;
pub mod redact;
pub mod fingerprint;
pub mod metrics;
pub mod complete;
pub mod render;
pub mod export;
pub mod batch;
pub mod storm;
pub mod retry;

pub use complete::{Completion, Policy, complete};
pub use failure::Record;
pub use source::SourceText;
