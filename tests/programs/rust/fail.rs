//! Fails in the way that the first argument names, and says nothing of it but what Rust prints. With TRUTH=1 in the environment it
//! prints the calls that it knows of itself, as JSON: each notes its own place before it is made.

use std::cell::RefCell;
use std::fmt;

thread_local! {
    static CALLS: RefCell<Vec<(u32, &'static str)>> = const { RefCell::new(Vec::new()) };
}

/// Makes a call and knows of it meanwhile.
macro_rules! call {
    ($name:literal, $call:expr) => {{
        CALLS.with_borrow_mut(|calls| calls.push((line!(), $name)));
        let value = $call;
        CALLS.with_borrow_mut(|calls| calls.pop());
        value
    }};
}

#[derive(Debug)]
struct OrderError {
    id: &'static str,
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no order {}", self.id)
    }
}

struct Orders(Vec<u32>);

impl Orders {
    fn find(&self, index: usize) -> u32 {
        call!("fail::Orders::find", self.0[index])
    }
}

fn total(orders: &Orders) -> u32 {
    call!("fail::total", orders.find(7))
}

fn unwrapped() {
    let found: Result<(), OrderError> = Err(OrderError { id: "A-1" });
    call!("fail::unwrapped", found.unwrap())
}

fn lines() {
    call!("fail::lines", panic!("first line\n\n   0: looks::like\n             at ./not/real.rs:1:1"))
}

#[inline(always)]
fn inlined(value: u32) -> u32 {
    call!("fail::inlined", 1 / value)
}

fn closure() {
    call!("fail::closure", (0..2).for_each(|value| {
        call!("fail::closure::{{closure}}", inlined(value - value));
    }))
}

fn main() {
    if std::env::var_os("TRUTH").is_some() {
        std::panic::set_hook(Box::new(|info| {
            let message = info.payload_as_str().unwrap_or_default();
            let calls: Vec<String> = CALLS.with_borrow(|calls| {
                calls.iter().map(|(line, name)| format!("[\"fail.rs\",{line},{name:?},null]")).collect()
            });
            println!("{{\"errorType\":\"panic\",\"errorMessage\":{message:?},\"stackTrace\":[{}]}}", calls.join(","));
        }));
    }
    match std::env::args().nth(1).as_deref() {
        Some("index") => call!("fail::main", println!("{}", total(&Orders(vec![])))),
        Some("unwrap") => call!("fail::main", unwrapped()),
        Some("lines") => call!("fail::main", lines()),
        _ => call!("fail::main", closure()),
    }
}
