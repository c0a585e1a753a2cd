//! The Runtime API proxy as a black box: whatever a runtime and Lambda do to each other through it, both see what they would
//! have seen on a direct connection, `Host` and the fields of a single connection aside.
//!
//! Each case is played twice against the same Lambda, which is the test: directly, and through the built extension.

mod wire;
mod peer;
mod stand;
mod play;
mod recorded;
mod messages;
mod bodies;
mod malformed;
mod cuts;
mod streams;
mod stuck;
mod crowds;

use libtest_mimic::Trial;

use crate::harness::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("proxy: what runtimes send passes unchanged, also byte by byte", messages::what_runtimes_send),
        test("proxy: any method, path and query passes", messages::methods_and_targets),
        test("proxy: fields pass in their order, case, number and length", messages::fields),
        test("proxy: Host is Lambda's", messages::host),
        test("proxy: of each error there is one record, however it is sent", messages::errors_are_recorded),
        test("proxy: bodies of every framing and length pass, and end as they did", bodies::delimited),
        test("proxy: chunks, extensions and trailers pass as they are", bodies::chunks_and_trailers),
        test("proxy: pipelined requests are answered in their order", messages::pipelines),
        test("proxy: 1xx answers are Lambda's", messages::informational_answers),
        test("proxy: bad chunks are the other side's affair", malformed::chunks),
        test("proxy: bodies framed in no way or in two are the other side's affair", malformed::framing),
        test("proxy: bad heads are the other side's affair", malformed::heads),
        test("proxy: garbage passes as it is", malformed::garbage),
        test("proxy: a client that leaves after any byte that it sends", cuts::by_the_client),
        test("proxy: a client that leaves after any byte that it reads", cuts::by_a_client_that_reads),
        test("proxy: a Lambda that leaves after any byte that it sends", cuts::by_lambda),
        test("proxy: a Lambda that leaves after any byte that it reads", cuts::by_a_lambda_that_reads),
        test("proxy: each piece of a request reaches Lambda before the next one is sent", streams::upward),
        test(
            "proxy: each piece of an answer reaches the client before the next one is sent",
            streams::downward,
        ),
        test("proxy: a request and its answer go on at the same time", streams::both_ways),
        test("proxy: an answer before the end of its request is heard", streams::early_answers),
        test("proxy: a client that sends no more is still answered", streams::half_closed),
        test("proxy: who waits for somebody that left is told", streams::waiting),
        test("proxy: Lambda may close an idle connection", streams::idle),
        test("proxy: a connection that is to be closed is closed", streams::closing),
        test("proxy: a Lambda that is away is no wait", streams::away),
        test("proxy: a Lambda that accepts nobody holds up nobody else", streams::not_accepted),
        test("proxy: what comes in a freeze is served after it", streams::frozen),
        test("proxy: who does not read stops the sender, and nobody else", stuck::unread),
        test("proxy: a reset while a body is stuck is a reset for the runtime", stuck::reset_on_the_way),
        test("proxy: what stands still costs no CPU and holds up nobody", streams::standing_still),
        test("proxy: a thousand runtimes wait at once", crowds::a_thousand_wait),
        test("proxy: a thousand connections that say nothing", crowds::a_thousand_say_nothing),
        test(
            "proxy: a thousand connections one after the other leave nothing behind",
            crowds::one_after_the_other,
        ),
        test("proxy: without descriptors the rest waits", crowds::out_of_files),
        test("proxy: a body of 6 MiB takes no memory", crowds::six_mebibytes),
        test("proxy: SHUTDOWN ends it whatever is open", crowds::shut_down_in_the_middle),
    ]
}
