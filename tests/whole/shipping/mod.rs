//! What arrives, whatever dies on the way: the real sidecar before a strict service that fails in every way it can.

mod stand;
mod deaths;
mod outages;
mod terms;

use libtest_mimic::Trial;

use crate::harness::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("shipping: killed at random points, files lose nothing", deaths::killed_with_files),
        test(
            "shipping: killed at random points, HTTP loses nothing that was accepted",
            deaths::killed_with_http,
        ),
        test(
            "shipping: a service that is gone is found again within two seconds",
            outages::a_service_that_is_gone,
        ),
        test("shipping: throttles and failures lose and double nothing", outages::throttles_and_failures),
        test(
            "shipping: answers that are lost, slow, half or garbage lose nothing",
            outages::answers_that_never_come,
        ),
        test("shipping: streams that are deleted come back", outages::streams_that_are_deleted),
        test(
            "shipping: SIGTERM without a service leaves everything for later",
            outages::sigterm_without_a_service,
        ),
        test("shipping: a batch is full when there is much to send", terms::a_batch_is_full),
        test("shipping: a clock that is wrong is corrected", terms::a_clock_that_is_wrong),
        test("shipping: a region with a lower limit gets shorter records", terms::a_lower_limit),
        test("shipping: a group is created as it is wanted", terms::a_group_as_it_is_wanted),
        test("shipping: a spool that is full lets the oldest go and says so", outages::a_full_spool),
        test("shipping: AWS_CA_BUNDLE decides whom to trust", terms::whom_to_trust),
        test("shipping: the agent tells its own health", terms::health),
    ]
}
