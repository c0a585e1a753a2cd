//! How much memory the worker may ask for. It reads hostile input beside somebody else's function: if one of the two must
//! die of it, then the worker, which costs detail and nothing else.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::say::say;

/// The worker's share of the function's memory: one part in so many. The function has its own use for all of it; what one
/// that just failed can spare is unknown, and half has room for the debug information of a large program.
const MEMORY_SHARE: u64 = 2;

/// The least that is allowed, in bytes. A worker that ships one failure has 1.2 MiB (measured, CloudWatch client over plain
/// HTTP). But frames of 8 MiB may wait, 16 open failures may have bodies of 1 MiB each, a compressed debug section is
/// unpacked into memory, and the names of a panic took 38 MiB where the C library's debug files are installed, compressed (measured; 4 without): with less than
/// this it would die of good input in a function of 128 MB. If the function needs the memory itself, the kernel ends the worker first.
const DATA_BYTES_MIN: u64 = 96 * 1024 * 1024;

/// The kernel's word for *this one first*.
const OOM_SCORE_ADJUSTMENT: &str = "1000";

/// Bounds this process. `memory_bytes` is the size of the function's memory; without it nothing is known to be too much.
///
/// What is bounded is private writable memory (`RLIMIT_DATA`): heap, stacks of threads, changed pages of files. The address
/// space (`RLIMIT_AS`) would count every mapped ELF and debug file too, and what an allocator merely sets aside. A request
/// above the limit ends the process; and a worker that dies leaves no core file, which could fill /tmp and hold secrets.
///
/// And if the function's memory is full all the same, the kernel is told whom to end first.
pub(super) fn bind(memory_bytes: Option<u64>) {
    // A kernel that does not let us asks nobody.
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJUSTMENT);
    let data = memory_bytes.map(|memory_bytes| (Resource::Data, data_bytes_max(memory_bytes)));
    for (resource, bytes_max) in data.into_iter().chain([(Resource::Core, 0)]) {
        let limit = lowered(getrlimit(resource), bytes_max);
        if let Err(error) = setrlimit(resource, limit) {
            say(format_args!("the worker runs without a limit of {bytes_max} bytes ({resource:?}): {error}"));
        }
    }
}

/// The bound of the worker's private writable memory, in bytes.
fn data_bytes_max(memory_bytes: u64) -> u64 {
    (memory_bytes / MEMORY_SHARE).max(DATA_BYTES_MIN)
}

/// `now`, with neither end above `bytes_max`: a limit that is lower already is somebody's wish, and cannot be raised.
fn lowered(now: Rlimit, bytes_max: u64) -> Rlimit {
    let lower = |end: Option<u64>| Some(end.map_or(bytes_max, |end| end.min(bytes_max)));
    Rlimit { current: lower(now.current), maximum: lower(now.maximum) }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn half_of_the_functions_memory_is_allowed_but_never_too_little_to_work() {
        assert_eq!(data_bytes_max(10_240 * MIB), 5_120 * MIB);
        assert_eq!(data_bytes_max(512 * MIB), 256 * MIB);
        assert_eq!(data_bytes_max(128 * MIB), 96 * MIB);
        assert_eq!(data_bytes_max(0), 96 * MIB);
    }

    #[test]
    fn a_lower_limit_stays() {
        let lower = Rlimit { current: Some(MIB), maximum: Some(3 * MIB) };
        assert_eq!(lowered(lower, 2 * MIB), Rlimit { current: Some(MIB), maximum: Some(2 * MIB) });
        let none = Rlimit { current: None, maximum: None };
        assert_eq!(lowered(none, MIB), Rlimit { current: Some(MIB), maximum: Some(MIB) });
    }

    /// Set in the process that binds itself: a test's own process must stay as it is.
    const IS_CHILD: &str = "TRACE_AGENT_TEST_BINDS_ITSELF";

    #[test]
    fn the_kernel_keeps_the_limits() {
        if env::var_os(IS_CHILD).is_some() {
            bind(Some(128 * MIB));
            let refused = Vec::<u8>::new().try_reserve_exact(100 * 1024 * 1024).is_err();
            let score = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
            println!("{}refused: {refused}, score {score}", fs::read_to_string("/proc/self/limits").unwrap());
            return;
        }
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "worker::limits::tests::the_kernel_keeps_the_limits", "--nocapture"])
            .env(IS_CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8(child.stdout).unwrap();
        let limit = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_ascii_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(limit("Max data size"), ["100663296", "100663296"], "{said}");
        assert_eq!(limit("Max core file size"), ["0", "0"], "{said}");
        assert!(said.contains("refused: true, score 1000"), "{said}");
    }
}
