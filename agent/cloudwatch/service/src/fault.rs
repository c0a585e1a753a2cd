//! What can be made to go wrong, and which request it happens to.
//!
//! One number is drawn for each request from a seeded sequence, so the same requests in the same order meet the same faults.

use std::collections::VecDeque;
use std::time::Duration;

/// One way in which a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `ThrottlingException` as HTTP 400, with `Retry-After` in seconds if so wanted. Nothing is done.
    Throttle {
        /// Seconds until the next try is welcome.
        retry_after: Option<u32>,
    },
    /// `InternalFailure` as HTTP 500, in JSON. Nothing is done.
    Internal,
    /// `ServiceUnavailableException` as HTTP 503, in JSON. Nothing is done.
    Unavailable,
    /// HTTP 500 without a body. Nothing is done.
    Bare500,
    /// HTTP 503 with a page for people, as a load balancer sends. Nothing is done.
    Bare503,
    /// HTTP 413, as a proxy with limits of its own sends. Nothing is done.
    TooLarge,
    /// `ExpiredTokenException`, whatever the credentials. Nothing is done.
    ExpiredToken,
    /// The request is read and never answered, until the client goes. Nothing is done.
    Hang,
    /// The connection is reset before the body is read. Nothing is done.
    ResetBeforeBody,
    /// The connection is reset after the body was read. Nothing is done.
    ResetAfterBody,
    /// The request is done, and its answer comes a byte at a time.
    SlowAnswer,
    /// The request is done, and its answer ends in the middle of its body.
    HalfAnswer,
    /// The request is done, and the connection closed without an answer: the acknowledgement is lost.
    LostAnswer,
    /// The request is done, and its answer is HTTP 200 with a body that is no JSON.
    Garbage,
    /// The request is done, and what is answered is no HTTP.
    Noise,
}

impl Fault {
    /// The word for it among the outcomes of requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Throttle { .. } => "ThrottlingException",
            Self::Internal => "InternalFailure",
            Self::Unavailable => "ServiceUnavailableException",
            Self::Bare500 => "bare 500",
            Self::Bare503 => "bare 503",
            Self::TooLarge => "too large",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::Hang => "hang",
            Self::ResetBeforeBody => "reset before body",
            Self::ResetAfterBody => "reset after body",
            Self::SlowAnswer => "slow answer",
            Self::HalfAnswer => "half answer",
            Self::LostAnswer => "lost answer",
            Self::Garbage => "garbage",
            Self::Noise => "noise",
        }
    }
}

/// What goes wrong from now on. The default is nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// Where the sequence of numbers begins.
    pub seed: u64,
    /// The operations to which `script` and `shares` happen; with none, to all.
    pub operations: Vec<String>,
    /// What happens to the next requests, one after the other, before any share counts. `None` lets one through.
    pub script: VecDeque<Option<Fault>>,
    /// The share of requests, 0 to 1, to which each happens. The first ones win where they are more than 1 together.
    pub shares: Vec<(Fault, f64)>,
    /// Waited before each answer.
    pub latency: Duration,
    /// Waited after each byte of a [`Fault::SlowAnswer`].
    pub slow_byte: Duration,
    /// The operations that are answered by `AccessDeniedException`.
    pub denied: Vec<String>,
    /// Session tokens that have expired.
    pub expired_tokens: Vec<String>,
    /// A stream is deleted after so many successful puts, and again if it is made anew.
    pub delete_stream_after_puts: Option<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            seed: 1,
            operations: Vec::new(),
            script: VecDeque::new(),
            shares: Vec::new(),
            latency: Duration::ZERO,
            slow_byte: Duration::from_millis(20),
            denied: Vec::new(),
            expired_tokens: Vec::new(),
            delete_stream_after_puts: None,
        }
    }
}

/// The faults that count now, and how far their sequence has come.
#[derive(Debug)]
pub(crate) struct Chooser {
    pub(crate) faults: Faults,
    sequence: u64,
}

impl Chooser {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { sequence: faults.seed, faults }
    }

    /// What happens to the next request.
    pub(crate) fn choose(&mut self, operation: &str) -> Option<Fault> {
        let operations = &self.faults.operations;
        if !operations.is_empty() && !operations.iter().any(|named| named == operation) {
            return None;
        }
        if let Some(next) = self.faults.script.pop_front() {
            return next;
        }
        let mut drawn = self.draw();
        for (fault, share) in &self.faults.shares {
            if drawn < *share {
                return Some(*fault);
            }
            drawn -= share;
        }
        None
    }

    /// The next number from 0 to 1, by SplitMix64 (Steele, Lea and Flood, 2014).
    fn draw(&mut self) -> f64 {
        self.sequence = self.sequence.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.sequence;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // 53 bits are what a double holds.
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(faults: &Faults, count: usize) -> Vec<Option<Fault>> {
        let mut chooser = Chooser::new(faults.clone());
        (0..count).map(|_| chooser.choose("PutLogEvents")).collect()
    }

    #[test]
    fn shares_are_kept_and_repeat_with_the_seed() {
        let shares = vec![(Fault::Hang, 0.1), (Fault::Internal, 0.3)];
        let faults = Faults { shares, ..Faults::default() };
        let first = chosen(&faults, 10_000);
        let count = |fault| first.iter().filter(|chosen| **chosen == fault).count();
        assert!((900..1_100).contains(&count(Some(Fault::Hang))));
        assert!((2_850..3_150).contains(&count(Some(Fault::Internal))));
        assert_eq!(first, chosen(&faults, 10_000));
        assert_ne!(first, chosen(&Faults { seed: 2, ..faults }, 10_000));
    }

    #[test]
    fn a_script_comes_first_and_other_operations_are_left_alone() {
        let script = VecDeque::from([Some(Fault::Hang), None]);
        let operations = vec!["PutLogEvents".to_owned()];
        let faults = Faults { script, operations, shares: vec![(Fault::Garbage, 1.0)], ..Faults::default() };
        let mut chooser = Chooser::new(faults.clone());
        assert_eq!(chooser.choose("CreateLogStream"), None);
        assert_eq!(chosen(&faults, 3), [Some(Fault::Hang), None, Some(Fault::Garbage)]);
    }
}
