//! How long is waited, and how much is taken.

use std::time::Duration;

/// How long a server may take until it is connected, its name looked up and its certificate shown. Whoever is there answers in a
/// fraction of it; debuginfod's own client waits 90 s for each file of a server that is gone.
pub const CONNECT_MAX: Duration = Duration::from_secs(3);

/// How long a server may be silent, before its answer and within it. A debuginfod server that unpacks a large package first
/// takes 10 to 20 s.
pub const IDLE_MAX: Duration = Duration::from_secs(30);

/// How long one file may take in all, and how long others wait for somebody who is already fetching it: 2 GiB at 4 MiB/s.
pub const TOTAL_MAX: Duration = Duration::from_secs(600);

/// The largest file that is taken, in bytes: the debug file of a browser, which is the largest that people meet, has 1.5 GiB.
pub const FILE_BYTES_MAX: u64 = 2 << 30;

/// What the cache may hold, in bytes: four of the largest files.
pub const CACHE_BYTES_MAX: u64 = 8 << 30;

/// How long it is remembered that nobody has a file; debuginfod's own client remembers as long.
pub const MISSING_AGE_MAX: Duration = Duration::from_secs(600);

/// The longest text that is read from a server (a listing, credentials, an error), in bytes. A listing of S3 has 1,000 keys of
/// 1,024 bytes at most.
pub const TEXT_BYTES_MAX: u64 = 4 << 20;

/// How many servers are asked for one file; the public lists name one or two.
pub const SERVERS_MAX: usize = 16;

/// The limits that a user can move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See [`CONNECT_MAX`].
    pub connect: Duration,
    /// See [`IDLE_MAX`].
    pub idle: Duration,
    /// See [`TOTAL_MAX`].
    pub total: Duration,
    /// See [`FILE_BYTES_MAX`].
    pub file_bytes: u64,
    /// See [`CACHE_BYTES_MAX`].
    pub cache_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: CONNECT_MAX,
            idle: IDLE_MAX,
            total: TOTAL_MAX,
            file_bytes: FILE_BYTES_MAX,
            cache_bytes: CACHE_BYTES_MAX,
        }
    }
}

impl Limits {
    /// The limits with what the environment says: `DEBUGINFOD_TIMEOUT` (seconds of silence) and `DEBUGINFOD_MAXSIZE` (bytes). As
    /// in debuginfod's own client, 0 and what is no number say nothing.
    #[must_use]
    pub fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let number = |name| variable(name)?.trim().parse::<u64>().ok().filter(|number| *number > 0);
        let mut limits = Self::default();
        if let Some(seconds) = number("DEBUGINFOD_TIMEOUT") {
            limits.idle = Duration::from_secs(seconds).min(limits.total);
        }
        if let Some(bytes) = number("DEBUGINFOD_MAXSIZE") {
            limits.file_bytes = bytes;
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_moves_two_of_them_and_nonsense_moves_none() {
        let set = |name: &str| match name {
            "DEBUGINFOD_TIMEOUT" => Some("7".to_owned()),
            "DEBUGINFOD_MAXSIZE" => Some("1000".to_owned()),
            _ => None,
        };
        let limits = Limits::from_environment(&set);
        assert_eq!((limits.idle, limits.file_bytes), (Duration::from_secs(7), 1000));
        let nonsense = |_: &str| Some("-1".to_owned());
        assert_eq!(Limits::from_environment(&nonsense), Limits::default());
    }
}
