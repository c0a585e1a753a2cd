//! The symbol sources with other programs at the other end: servers that lie, stall and break off; Debian's debuginfod; moto's S3.
//!
//! A test whose peer is missing is skipped with a printed and counted reason. `TRACE_AGENT_TESTS=all` turns a skip into a failure.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod harness;
mod server;
mod identity;
mod faults;
mod cache;
mod debuginfod;
mod store;
mod s3;
mod process;

#[path = "../../../src/peers.rs"]
#[expect(dead_code, unreachable_pub, reason = "the root package's, whose other peer is not needed here")]
mod peers;

fn main() {
    if process::fetched() {
        return;
    }
    let arguments = libtest_mimic::Arguments::from_args();
    let modules = [
        identity::tests(),
        faults::tests(),
        cache::tests(),
        debuginfod::tests(),
        store::tests(),
        s3::tests(),
        process::tests(),
    ];
    libtest_mimic::run(&arguments, modules.into_iter().flatten().collect()).exit();
}
