//! What only whole programs can show: the built programs, driven from outside, with other people's programs at the other
//! end of every wire.
//!
//! A test whose peer is missing is skipped with a printed and counted reason. `TRACE_AGENT_TESTS=all` turns a skip into a
//! failure; CI sets it. With `--long` the tests of deaths and outages take an hour instead of a minute.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod harness;
mod layout;
mod symbolize;
mod personalities;
mod normalize;
mod languages;
mod local;
mod sidecar;
mod cloudwatch;
mod service;
mod shipping;
mod logs;
mod matrix;
mod proxy;
mod counted;
mod layer;
mod rie;
mod deploy;
mod runtimes;
mod demo;

use libtest_mimic::Arguments;

fn main() {
    let (long, arguments): (Vec<String>, Vec<String>) =
        std::env::args().partition(|argument| argument == harness::LONG);
    if !long.is_empty() {
        harness::be_long();
    }
    let arguments = Arguments::from_iter(arguments);
    let modules = [
        layout::tests(),
        symbolize::tests(),
        personalities::tests(),
        normalize::tests(),
        languages::tests(),
        local::tests(),
        sidecar::tests(),
        cloudwatch::tests(),
        service::tests(),
        shipping::tests(),
        logs::tests(),
        matrix::tests(),
        proxy::tests(),
        counted::tests(),
        layer::tests(),
        rie::tests(),
        deploy::tests(),
        runtimes::tests(),
        demo::tests(),
    ];
    let tests: Vec<_> = modules.into_iter().flatten().collect();
    layer::begin(&arguments, &tests);
    runtimes::begin(&arguments, &tests);
    libtest_mimic::run(&arguments, tests).exit();
}
