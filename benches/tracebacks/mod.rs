//! A log of a Python program in which some things fail.

use std::fmt::Write as _;

/// Writes `tracebacks` tracebacks, each behind so many healthy lines. Their messages differ, and so do 400 of their places.
pub(crate) fn log(tracebacks: usize, healthy_lines: usize) -> String {
    let mut log = String::new();
    for number in 0..tracebacks {
        for line in 0..healthy_lines {
            writeln!(log, "2026-11-23 07:30:12,532 INFO order {number}.{line} priced, nothing else to say")
                .unwrap();
        }
        writeln!(
            log,
            "Traceback (most recent call last):\n  File \"/srv/shop/api.py\", line 71, in handle\n    total = price(order)\n  \
             File \"/srv/shop/price.py\", line {}, in price\n    return TABLE[order.sku] * order.quantity\nKeyError: 'TA-{number}'",
            number % 400
        )
        .unwrap();
    }
    log
}
