//! What is expected of each client and failure.

use super::peers::Client;

/// One failure of one function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) client: Client,
    /// What the event asks for.
    pub(crate) fail: &'static str,
    /// The record; none of an invocation that succeeds.
    pub(crate) told: Option<Told>,
}

/// What a record says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) kind: &'static str,
    pub(crate) error_type: &'static str,
    pub(crate) message: &'static str,
    /// The handler's own calls, outermost first.
    pub(crate) calls: &'static [Call],
    /// Who must have seen it.
    pub(crate) witness: &'static str,
}

/// The mark of the line in the handler's source, and the function as the language calls it, if it does.
pub(crate) type Call = (&'static str, Option<&'static str>);

/// The witness of what a runtime posts.
pub(crate) const RUNTIME_API: &str = "runtime-api";

/// The failure in which a handler cannot be loaded.
pub(crate) const LOADING: &str = "loading";

/// The failure in which it never answers.
pub(crate) const SLEEP: &str = "sleep";

/// The response that is streamed, without a failure.
pub(crate) const STREAMED: &str = "streamed";

/// The failure after a part of it went out.
pub(crate) const STREAM: &str = "stream";

/// Message of the failure `text`.
const TEXT: &str = "größer als 東京\nzweite Zeile: 🚀";

const NO_STOCK: &str = "no stock for sku TA-404";

const HALFWAY: &str = "I failed halfway!";

const NO_TABLE: &str = "no table is configured";

/// What only the platform tells.
const EXIT: Told = unseen("exit", "Runtime.ExitError", "");
const TIMEOUT: Told = unseen("timeout", "Sandbox.Timedout", "Task timed out after 2.00 seconds");

const fn unseen(kind: &'static str, error_type: &'static str, message: &'static str) -> Told {
    Told { kind, error_type, message, calls: &[], witness: "platform" }
}

/// What the runtime posts.
const fn posted(error_type: &'static str, message: &'static str, calls: &'static [Call]) -> Told {
    Told { kind: "exception", error_type, message, calls, witness: RUNTIME_API }
}

/// What only the log tells.
const fn logged(error_type: &'static str, message: &'static str, calls: &'static [Call]) -> Told {
    Told { kind: "exit", error_type, message, calls, witness: "log" }
}

const fn of_kind(kind: &'static str, told: Told) -> Told {
    Told { kind, ..told }
}

pub(crate) fn rows() -> Vec<Row> {
    let of_client = |client: Client| {
        let good = move |fail| Row { client, fail, told: None };
        let bad = move |(fail, told): &(&'static str, Told)| Row { client, fail, told: Some(*told) };
        let goods = ["none"].into_iter().chain(client.streams().then_some(STREAMED));
        goods.map(good).chain(failures(client).iter().map(bad))
    };
    Client::ALL.into_iter().flat_map(of_client).collect()
}

fn failures(client: Client) -> &'static [(&'static str, Told)] {
    match client {
        Client::Python => PYTHON,
        Client::Durable => DURABLE,
        Client::Node3 => NODE_3,
        Client::Node4 => NODE_4,
        Client::Rust => RUST,
        Client::Go => GO,
        Client::Java => JAVA,
    }
}

const PYTHON: &[(&str, Told)] = &[
    (
        "exception",
        posted("Exception", "I failed!", &[("handler", Some("handler")), ("exception", Some("exception"))]),
    ),
    ("own", posted("OutOfStock", NO_STOCK, &[("handler", Some("handler")), ("own", Some("own"))])),
    ("text", posted("ValueError", TEXT, &[("handler", Some("handler")), ("text", Some("text"))])),
    ("exit", EXIT),
    ("segv", EXIT),
    (SLEEP, TIMEOUT),
    (
        LOADING,
        of_kind(
            "init",
            posted(
                "Runtime.ImportModuleError",
                "Unable to import module 'loading': No module named 'no_module_of_that_name'",
                &[],
            ),
        ),
    ),
];

/// The SDK answers with what failed, by the whole name of its class, and says where in the log alone.
const DURABLE: &[(&str, Told)] = &[
    ("exception", posted("Exception", "I failed!", &[("exception", Some("handler"))])),
    ("own", posted("durable.OutOfStock", NO_STOCK, &[("own", Some("handler"))])),
    ("text", posted("ValueError", TEXT, &[("text", Some("handler"))])),
];

/// V8 names a call by what it was called on: the client's own object.
const NODE_3: &[(&str, Told)] = &[
    (
        "exception",
        posted(
            "Error",
            "I failed!",
            &[("handler", Some("Runtime.handler")), ("exception", Some("Object.exception"))],
        ),
    ),
    (
        "own",
        posted("OutOfStock", NO_STOCK, &[("handler", Some("Runtime.handler")), ("own", Some("Object.own"))]),
    ),
    (
        "text",
        posted("RangeError", TEXT, &[("handler", Some("Runtime.handler")), ("text", Some("Object.text"))]),
    ),
    ("exit", EXIT),
    ("segv", EXIT),
    (SLEEP, TIMEOUT),
    // The client posts an error of its own; what was thrown is its cause, which only the log has.
    (
        "rejected",
        of_kind("exit", posted("Runtime.UnhandledPromiseRejection", "Error: nobody waits for me", &[])),
    ),
    (
        "uncaught",
        of_kind("exit", posted("Error", "nobody calls me", &[("uncaught", Some("Timeout._onTimeout"))])),
    ),
    (STREAM, posted("Error", HALFWAY, &[("stream", Some("Runtime.handler"))])),
    (LOADING, of_kind("init", posted("TypeError", NO_TABLE, &[("loading", None)]))),
];

const NODE_4: &[(&str, Told)] = &[
    (
        "exception",
        posted(
            "Error",
            "I failed!",
            &[("handler", Some("BufferedInvokeProcessor.handler")), ("exception", Some("Object.exception"))],
        ),
    ),
    (
        "own",
        posted(
            "OutOfStock",
            NO_STOCK,
            &[("handler", Some("BufferedInvokeProcessor.handler")), ("own", Some("Object.own"))],
        ),
    ),
    (
        "text",
        posted(
            "RangeError",
            TEXT,
            &[("handler", Some("BufferedInvokeProcessor.handler")), ("text", Some("Object.text"))],
        ),
    ),
    ("exit", EXIT),
    ("segv", EXIT),
    (SLEEP, TIMEOUT),
    // This one posts neither.
    (
        "rejected",
        logged(
            "Error",
            "nobody waits for me",
            &[("handler", Some("BufferedInvokeProcessor.handler")), ("rejected", Some("Object.rejected"))],
        ),
    ),
    ("uncaught", logged("Error", "nobody calls me", &[("uncaught", Some("Timeout._onTimeout"))])),
    (STREAM, posted("Error", HALFWAY, &[("stream", Some("StreamingInvokeProcessor.handler"))])),
    (LOADING, of_kind("init", posted("TypeError", NO_TABLE, &[("loading", None)]))),
];

/// What the client calls every error that comes in a box.
const BOXED: &str = "&alloc::boxed::Box<dyn core::error::Error + core::marker::Send + core::marker::Sync>";

const RUST: &[(&str, Told)] = &[
    (
        "panic",
        Told {
            kind: "panic",
            error_type: "panic",
            message: "no price for sku TA-404",
            calls: &[
                ("main", Some("failing_handler::main")),
                ("main", Some("failing_handler::main::{{closure}}")),
                ("handler", Some("failing_handler::handler::{{closure}}")),
                ("order", Some("failing_handler::price_order")),
                ("price", Some("failing_handler::unit_price")),
                ("panic", Some("failing_handler::look_up")),
            ],
            witness: "capture",
        },
    ),
    ("error", posted(BOXED, NO_STOCK, &[])),
    ("text", posted(BOXED, TEXT, &[])),
    ("exit", EXIT),
    ("abort", EXIT),
    ("segv", EXIT),
    (SLEEP, TIMEOUT),
    (LOADING, EXIT),
];

const GO: &[(&str, Told)] = &[
    ("exception", posted("errorString", "I failed!", &[])),
    ("own", posted("OutOfStock", NO_STOCK, &[])),
    ("text", posted("errorString", TEXT, &[])),
    (
        "panic",
        of_kind(
            "panic",
            posted(
                "boundsError",
                "runtime error: index out of range [0] with length 0",
                &[("main", Some("main")), ("handler", Some("handler")), ("panic", Some("price"))],
            ),
        ),
    ),
    (
        "goroutine",
        of_kind("panic", logged("panic", "nobody recovers me", &[("goroutine", Some("main.handler.func1"))])),
    ),
    (STREAM, posted("errorString", HALFWAY, &[])),
    ("exit", EXIT),
    (
        "segv",
        of_kind(
            "abort",
            logged(
                "fatal error",
                "fault",
                &[("main", Some("main.main")), ("segv", Some("main.handler")), ("fault", Some("main.fault"))],
            ),
        ),
    ),
    (SLEEP, TIMEOUT),
    (LOADING, of_kind("panic", logged("panic", NO_TABLE, &[("loading", Some("main.main"))]))),
];

const JAVA: &[(&str, Told)] = &[
    ("exception", posted("java.lang.Exception", "I failed!", &[("exception", Some("shop.Failing.handle"))])),
    (
        "own",
        posted(
            "shop.Failing$OutOfStock",
            NO_STOCK,
            &[("handler", Some("shop.Failing.handle")), ("own", Some("shop.Failing.order"))],
        ),
    ),
    ("text", posted("java.lang.IllegalStateException", TEXT, &[("text", Some("shop.Failing.handle"))])),
    ("exit", EXIT),
    // The JVM says what happened, and ends with a status of its own.
    ("segv", EXIT),
    (SLEEP, TIMEOUT),
    // What the log says of it has no message, and the cause.
    (
        LOADING,
        of_kind(
            "init",
            posted("java.lang.ExceptionInInitializerError", "Error loading class shop.Loading", &[]),
        ),
    ),
];
