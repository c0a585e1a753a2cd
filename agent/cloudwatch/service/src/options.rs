//! How a stand-in is set up. What changes while it runs is in [`Faults`](crate::Faults).

use crate::limits::EVENT_BYTES_MAX;
use crate::signature::Key;

/// What is kept of each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of it, until [`Options::kept_bytes_max`] is reached; of later ones their identity alone.
    Messages,
    /// Its identity alone: for load runs, which only count. Such events read back with an empty message.
    Identities,
}

/// How a stand-in is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The keys whose signatures are verified. With none, a signature must be there and of the right form, whoever signed.
    pub credentials: Option<Vec<Key>>,
    /// How far the service's clock is ahead of the machine's, in milliseconds.
    pub clock_offset_ms: i64,
    /// Bytes of one message; [`EVENT_BYTES_MAX_BEFORE_2025`](crate::EVENT_BYTES_MAX_BEFORE_2025) for an old Region.
    pub event_bytes_max: usize,
    /// What is kept of each message.
    pub keep: Keep,
    /// Bytes of kept messages, at most.
    pub kept_bytes_max: usize,
    /// Events that are kept, at most. A batch beyond is answered by 503, so that no run is counted wrongly.
    pub events_max: usize,
    /// Requests of which a line is kept, at most; later ones are only counted.
    pub requests_max: usize,
    /// Connections at one time, at most; one more is closed at once.
    pub connections_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            credentials: None,
            clock_offset_ms: 0,
            event_bytes_max: EVENT_BYTES_MAX,
            keep: Keep::Messages,
            kept_bytes_max: 256 << 20,
            events_max: 10_000_000,
            requests_max: 1_000_000,
            connections_max: 256,
        }
    }
}
