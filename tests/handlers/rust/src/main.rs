//! A Rust Lambda handler that fails in every way, for the demo and the tests.
//!
//! It is an ordinary function on `lambda_runtime`. What makes its panics readable is one dependency, `trace-capture`,
//! and the first line of `main`.
//!
//! The event says how it fails: `{"fail": "error"}`. Without that it prices an order and panics three calls deep, as a
//! real one does on data that nobody thought of. As the handler `loading` it does not get as far as an event.

use std::env;
use std::process::{self, Command};
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};

/// Longer than any function may run: Lambda ends it after 900 seconds.
const BEYOND_ANY_TIMEOUT: Duration = Duration::from_secs(1_000);

#[tokio::main]
async fn main() -> Result<(), Error> {
    trace_capture::install();
    if env::var("_HANDLER").is_ok_and(|handler| handler == "loading") {
        return Err("no table is configured".into());
    }
    lambda_runtime::run(service_fn(handler)).await // mark: main
}

/// What the function is called with. Any object will do.
#[derive(Deserialize)]
#[serde(default)]
struct Order {
    fail: Failure,
    sku: String,
    quantity: u32,
}

impl Default for Order {
    fn default() -> Order {
        Order { fail: Failure::Panic, sku: "TA-404".to_owned(), quantity: 1 }
    }
}

/// How to fail.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Failure {
    /// Panics while it prices an order.
    Panic,
    /// Returns an error.
    Error,
    /// Returns an error whose message has two lines and more than ASCII.
    Text,
    /// Ends the process with a status.
    Exit,
    /// Ends the process with SIGABRT.
    Abort,
    /// Ends the process with SIGSEGV.
    Segv,
    /// Sleeps until Lambda ends it.
    Sleep,
    /// Succeeds.
    None,
}

async fn handler(event: LambdaEvent<Order>) -> Result<Value, Error> {
    let order = event.payload;
    match order.fail {
        Failure::Panic => return Ok(json!({ "total": price_order(&order) })), // mark: handler
        Failure::Error => return Err(format!("no stock for sku {}", order.sku).into()),
        Failure::Text => return Err("größer als 東京\nzweite Zeile: 🚀".into()),
        Failure::Exit => process::exit(7),
        Failure::Abort => process::abort(),
        Failure::Segv => segfault(),
        Failure::Sleep => tokio::time::sleep(BEYOND_ANY_TIMEOUT).await,
        Failure::None => {}
    }
    Ok(json!({ "ok": true }))
}

#[inline(never)]
fn price_order(order: &Order) -> u32 {
    unit_price(&order.sku) * order.quantity // mark: order
}

/// Inlined always, so that a stack has a frame that only debug information knows of.
#[inline(always)]
fn unit_price(sku: &str) -> u32 {
    let net = look_up(sku); // mark: price
    net + net / 5
}

#[inline(never)]
fn look_up(sku: &str) -> u32 {
    const PRICES: [(&str, u32); 2] = [("TA-100", 1_900), ("TA-200", 2_900)];
    let price = PRICES.iter().find(|(known, _)| *known == sku);
    let Some((_, price)) = price else { panic!("no price for sku {sku}") }; // mark: panic
    *price
}

/// Has a shell send the signal, since safe Rust cannot fault.
///
/// It takes two: std's own handler of SIGSEGV, there to tell a stack overflow, takes the first for a fault that will
/// come again, steps aside and returns.
fn segfault() {
    while Command::new("sh").args(["-c", "kill -s SEGV $PPID"]).status().is_ok() {}
}
