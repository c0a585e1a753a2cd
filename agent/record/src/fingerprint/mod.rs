//! What makes two failures equal, and what makes one failure the same wherever it is computed.
//!
//! **Fingerprint, version 2.** The first 16 bytes, in hexadecimal, of the SHA-256 of these parts, each followed by a
//! zero byte:
//!
//! 1. the version;
//! 2. the error type, for Python and .NET without its namespace: they post `KeyError` and print `shop.KeyError` of one
//!    and the same failure;
//! 3. for every call of the user's own code (for every call if none is): its file and its function. Each pair counts
//!    once, where it first stands, outermost first: neither the depth of a recursion nor where a runtime cut it matters;
//! 4. the same from 2 on for each cause;
//! 5. if there is no call at all, neither here nor in a cause: the message.
//!
//! | part | what goes |
//! |---|---|
//! | file | the folders of deployments, builds and package stores, versions, hashes of content; all but the name for C++; all of it where functions name their package (Java, .NET, Go, Rust, Elixir) |
//! | function | hashes, addresses, type arguments, numbers of closures, names that were made while the program ran |
//! | message | numbers, ids, what is quoted, paths |
//!
//! Lines, columns, addresses and source text are no part, so that a fingerprint outlives an edit above the function; the runtime is none either,
//! since not every witness knows it. `table.rs` holds pairs that must and that must not be equal. Version 1 kept paths as
//! they were and had the runtime in it.
//!
//! **Id.** The first 16 bytes, in hexadecimal, of the SHA-256 of the origin, the fingerprint and the message. The origin
//! says where the failure happened, in a way that every witness of it knows: in Lambda the request id and the
//! deadline of the attempt, for a followed file its identity and the offset of the failure's first byte.

mod file;
mod function;
#[cfg(test)]
mod table;
mod token;

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::culprit::OwnCode;
use crate::failure::{Cause, Record, StackEntry};
use crate::family::Family;

/// The version of the algorithm, in the member `fingerprintVersion`.
pub const VERSION: u32 = 2;

/// Fills in the fingerprint. [`culprit::find`](crate::culprit::find) must have marked the frames.
pub fn set(record: &mut Record, own_code: &OwnCode) {
    let runtime = record.runtime.as_deref();
    let mut parts = Parts { hash: Sha256::new(), runtime, own_code, calls: 0 };
    parts.add(&VERSION.to_string());
    parts.error_type(record.error_type.as_deref());
    let own = |index: usize, _: &StackEntry| {
        record.frames.get(index).is_some_and(|frame| frame.in_app == Some(true))
    };
    parts.calls(&record.stack_trace, own);
    parts.causes(&record.causes);
    if parts.calls == 0 {
        parts.add(&token::message(&record.error_message));
    }
    record.fingerprint = Some(digest(parts.hash));
    record.fingerprint_version = Some(VERSION);
}

/// Fills in the id. The fingerprint must be there.
pub fn set_id(record: &mut Record, origin: &str) {
    let mut hash = Sha256::new();
    for part in [origin, record.fingerprint.as_deref().unwrap_or_default(), &record.error_message] {
        add(&mut hash, part);
    }
    record.id = Some(digest(hash));
}

struct Parts<'a> {
    hash: Sha256,
    runtime: Option<&'a str>,
    own_code: &'a OwnCode,
    /// How many calls were added.
    calls: usize,
}

impl Parts<'_> {
    fn add(&mut self, part: &str) {
        add(&mut self.hash, part);
    }

    fn error_type(&mut self, error_type: Option<&str>) {
        let name = error_type.unwrap_or_default();
        let bare = matches!(self.runtime, Some("python" | "dotnet"));
        self.add(if bare { name.rsplit('.').next().unwrap_or_default() } else { name });
    }

    fn calls(&mut self, entries: &[StackEntry], own: impl Fn(usize, &StackEntry) -> bool) {
        let is_own: Vec<bool> = entries.iter().enumerate().map(|(index, entry)| own(index, entry)).collect();
        let any_own = is_own.contains(&true);
        let mut seen = HashSet::new();
        for (entry, _) in entries.iter().zip(is_own).filter(|(_, is_own)| *is_own || !any_own) {
            let family = Family::of(entry, self.runtime);
            let function = function::normalize(entry.function.as_deref().unwrap_or_default(), family);
            // A package says more than a file, which is not known in every build.
            let says_all = family.names_hold_packages() && !function.is_empty();
            let file = if says_all {
                String::new()
            } else {
                file::normalize(entry.file.as_deref().unwrap_or_default(), family)
            };
            let bare = file.is_empty() && function.is_empty();
            if !bare && seen.insert((file.clone(), function.clone())) {
                self.add(&file);
                self.add(&function);
                self.calls += 1;
            }
        }
    }

    fn causes(&mut self, causes: &[Cause]) {
        for cause in causes {
            self.error_type(cause.error_type.as_deref());
            let (own_code, runtime) = (self.own_code, self.runtime);
            self.calls(&cause.stack_trace, |_, entry| own_code.is_own(entry, None, runtime) == Some(true));
            self.causes(&cause.causes);
        }
    }
}

fn add(hash: &mut Sha256, part: &str) {
    hash.update(part.as_bytes());
    hash.update([0]);
}

fn digest(hash: Sha256) -> String {
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
