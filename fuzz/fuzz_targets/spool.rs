//! What a crash, a bad disk or somebody else may leave where the spool was. What is saved of it once must be saved for good.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use trace_agent_core::spool::{Limits, Spool, Sync};

const LIMITS: Limits = Limits { bytes_max: 64 * 1024 * 1024, sync: Sync::Every(Duration::MAX) };

fuzz_target!(|parts: (&[u8], &[u8], &[u8])| {
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let names = ["spool-0000000000000000.seg", "spool-0000000000000001.seg", "spool.ack"];
    for (name, bytes) in names.iter().zip([parts.0, parts.1, parts.2]) {
        std::fs::write(folder.path().join(name), bytes).expect("it can be written");
    }
    let read = || {
        let (mut spool, recovered) = Spool::open(folder.path(), LIMITS).expect("it can be opened");
        let taken = spool.take(usize::MAX).expect("what was recovered is whole");
        assert_eq!(taken.len(), recovered.events);
        taken.into_iter().map(|(_, event)| event).collect::<Vec<_>>()
    };
    assert_eq!(read(), read());
});
