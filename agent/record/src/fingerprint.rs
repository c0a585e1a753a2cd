//! What makes two failures equal, and what makes one failure the same wherever it is computed.
//!
//! **Fingerprint, version 1.** The first 16 bytes, in hexadecimal, of the SHA-256 of these parts, each followed by a
//! zero byte: the version; the runtime; the error type; then, for every frame of the user's own code (for every frame
//! if none is), its file and its function; then the same from the error type on for each cause. A run of equal frames
//! counts once, so the depth of a recursion does not matter. Lines, columns, addresses and source text are left out, so
//! that a fingerprint outlives an edit above the function. Files lose the folders in which builds and deployments
//! put them. Without any frame, the message stands in for them, with every number replaced by `0`.
//!
//! **Id.** The first 16 bytes, in hexadecimal, of the SHA-256 of the origin, the fingerprint and the message. The origin
//! says where the failure happened, in a way that every witness of it knows: in Lambda the request id and the
//! deadline of the attempt, for a followed file its identity and the offset of the failure's first byte.

use sha2::{Digest, Sha256};

use crate::failure::{Cause, Frame, Record, StackEntry};

/// The version of the algorithm, in the member `fingerprintVersion`.
pub const VERSION: u32 = 1;

/// The folders that a deployment puts in front of the user's own paths.
const DEPLOYMENT_FOLDERS: [&str; 3] = ["/var/task/", "/opt/", "./"];

/// Fills in the fingerprint.
pub fn set(record: &mut Record) {
    let mut parts = Parts(Sha256::new());
    parts.add(&VERSION.to_string());
    parts.add(record.runtime.as_deref().unwrap_or_default());
    parts.failure(record.error_type.as_deref(), &record.error_message, &record.stack_trace, &record.frames);
    parts.causes(&record.causes);
    record.fingerprint = Some(parts.finish());
    record.fingerprint_version = Some(VERSION);
}

/// Fills in the id. The fingerprint must be there.
pub fn set_id(record: &mut Record, origin: &str) {
    let mut parts = Parts(Sha256::new());
    parts.add(origin);
    parts.add(record.fingerprint.as_deref().unwrap_or_default());
    parts.add(&record.error_message);
    record.id = Some(parts.finish());
}

struct Parts(Sha256);

impl Parts {
    fn add(&mut self, part: &str) {
        self.0.update(part.as_bytes());
        self.0.update([0]);
    }

    fn failure(&mut self, error_type: Option<&str>, message: &str, entries: &[StackEntry], frames: &[Frame]) {
        self.add(error_type.unwrap_or_default());
        let own = |index: usize| frames.get(index).is_some_and(|frame| frame.in_app == Some(true));
        let any_own = (0..entries.len()).any(own);
        let mut before = None;
        for (index, entry) in entries.iter().enumerate().filter(|(index, _)| !any_own || own(*index)) {
            let key = (file(entry, frames.get(index)), entry.function.as_deref());
            if before.as_ref() == Some(&key) {
                continue;
            }
            self.add(&key.0);
            self.add(key.1.unwrap_or_default());
            before = Some(key);
        }
        if before.is_none() {
            self.add(&without_numbers(message));
        }
    }

    fn causes(&mut self, causes: &[Cause]) {
        for cause in causes {
            self.failure(cause.error_type.as_deref(), &cause.error_message, &cause.stack_trace, &[]);
            self.causes(&cause.causes);
        }
    }

    fn finish(self) -> String {
        self.0.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The file of an entry without its deployment's folders; of a bare frame the module, whose addresses change with
/// every build and so do not count.
fn file(entry: &StackEntry, frame: Option<&Frame>) -> String {
    let file = entry.file.as_deref().or_else(|| frame?.module.as_deref()).unwrap_or_default();
    DEPLOYMENT_FOLDERS.iter().find_map(|folder| file.strip_prefix(folder)).unwrap_or(file).to_owned()
}

fn without_numbers(message: &str) -> String {
    let mut plain = String::with_capacity(message.len());
    for c in message.chars() {
        match c {
            '0'..='9' if plain.ends_with('0') => {}
            '0'..='9' => plain.push('0'),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(json: &str) -> String {
        let mut record: Record = serde_json::from_str(json).unwrap();
        crate::culprit::find(&mut record);
        set(&mut record);
        record.fingerprint.unwrap()
    }

    #[test]
    fn equal_failures_have_equal_fingerprints() {
        for (left, right) in [
            // Another line of the same function.
            (
                r#"{"errorType":"E","stackTrace":[["/var/task/a.py",3,"f","g()"]]}"#,
                r#"{"errorType":"E","stackTrace":[["/var/task/a.py",9,"f","g( )"]]}"#,
            ),
            // Another message.
            (
                r#"{"errorType":"E","errorMessage":"order 1","stackTrace":[["a.py",3,"f",null]]}"#,
                r#"{"errorType":"E","errorMessage":"order 2","stackTrace":[["a.py",3,"f",null]]}"#,
            ),
            // A deeper recursion.
            (
                r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null],["a.py",3,"f",null]]}"#,
                r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null],["a.py",3,"f",null],["a.py",3,"f",null]]}"#,
            ),
            // A newer library below the same code.
            (
                r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null],["/opt/python/x.py",1,"y",null]]}"#,
                r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null],["/opt/python/x.py",2,"z",null]]}"#,
            ),
            // No frames: numbers in the message do not count.
            (
                r#"{"errorType":"Sandbox.Timedout","errorMessage":"timed out after 3.00 seconds"}"#,
                r#"{"errorType":"Sandbox.Timedout","errorMessage":"timed out after 15.00 seconds"}"#,
            ),
        ] {
            assert_eq!(fingerprint(left), fingerprint(right), "{left}\n{right}");
        }
    }

    #[test]
    fn different_failures_have_different_fingerprints() {
        let all = [
            r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null]]}"#,
            r#"{"errorType":"F","stackTrace":[["a.py",3,"f",null]]}"#,
            r#"{"errorType":"E","stackTrace":[["a.py",3,"g",null]]}"#,
            r#"{"errorType":"E","stackTrace":[["b.py",3,"f",null]]}"#,
            r#"{"errorType":"E","runtime":"python","stackTrace":[["a.py",3,"f",null]]}"#,
            r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null]],"causes":[{"errorType":"C"}]}"#,
            r#"{"errorType":"E","errorMessage":"disk full"}"#,
        ];
        let distinct: std::collections::BTreeSet<String> = all.iter().map(|json| fingerprint(json)).collect();
        assert_eq!(distinct.len(), all.len());
    }
}
