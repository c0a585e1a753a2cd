//! Secrets that are known by their own look.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem;

use super::{Text, run_end};
use crate::words::Words;

/// An access key id of AWS: four letters and sixteen more, the length that IAM documents.
pub(super) fn aws_key(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    const LENGTH: usize = 20;
    let bytes = text.text.as_bytes();
    for prefix in ["AKIA", "ASIA"] {
        for start in memmem::find_iter(bytes, prefix) {
            let word = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
            let run = bytes[start..].iter().take(LENGTH + 1).take_while(|byte| word(byte)).count();
            if begins(bytes, start) && run == LENGTH {
                found.push(start..start + LENGTH);
            }
        }
    }
}

/// A JSON Web Token: base64url of two JSON objects and a signature, which is empty in an unsigned one.
pub(super) fn jwt(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    /// The shortest header: `{"alg":"none"}`, in base64url.
    const HEADER_BYTES_MIN: usize = 18;
    let text = text.text;
    for start in memmem::find_iter(text.as_bytes(), "eyJ") {
        // Only where a run begins, so that a run is walked once.
        if !begins(text.as_bytes(), start) {
            continue;
        }
        let header = run_end(text, start, is_base64url);
        let payload = header + 1;
        if header - start >= HEADER_BYTES_MIN && text[header..].starts_with(".eyJ") {
            let payload_end = run_end(text, payload, is_base64url);
            if text[payload_end..].starts_with('.') {
                found.push(start..run_end(text, payload_end + 1, is_base64url));
            }
        }
    }
}

/// Tokens whose issuers gave them a beginning: the beginning, the least bytes behind it, and whether it stays.
const VENDORS: &[(&str, usize, Keep)] = &[
    ("ghp_", 30, Keep::Nothing),
    ("gho_", 30, Keep::Nothing),
    ("ghu_", 30, Keep::Nothing),
    ("ghs_", 30, Keep::Nothing),
    ("ghr_", 30, Keep::Nothing),
    ("github_pat_", 30, Keep::Nothing),
    ("glpat-", 20, Keep::Nothing),
    ("xoxb-", 10, Keep::Nothing),
    ("xoxp-", 10, Keep::Nothing),
    ("xoxa-", 10, Keep::Nothing),
    ("xoxr-", 10, Keep::Nothing),
    ("xoxs-", 10, Keep::Nothing),
    ("xapp-", 10, Keep::Nothing),
    ("hooks.slack.com/services/", 5, Keep::Beginning),
    ("sk_live_", 16, Keep::Nothing),
    ("sk_test_", 16, Keep::Nothing),
    ("rk_live_", 16, Keep::Nothing),
    ("whsec_", 16, Keep::Nothing),
    ("sk-ant-", 20, Keep::Nothing),
    ("sk-proj-", 20, Keep::Nothing),
    ("AIza", 35, Keep::Nothing),
    ("ya29.", 20, Keep::Nothing),
    ("npm_", 36, Keep::Nothing),
    ("pypi-AgEI", 20, Keep::Nothing),
    ("hf_", 30, Keep::Nothing),
    ("dop_v1_", 40, Keep::Nothing),
    ("SG.", 40, Keep::Nothing),
    ("shpat_", 30, Keep::Nothing),
    ("dapi", 32, Keep::Nothing),
    ("dckr_pat_", 20, Keep::Nothing),
    ("hvs.", 24, Keep::Nothing),
    ("GOCSPX-", 20, Keep::Nothing),
    ("lin_api_", 30, Keep::Nothing),
    ("glsa_", 30, Keep::Nothing),
    ("PMAK-", 30, Keep::Nothing),
    ("rubygems_", 40, Keep::Nothing),
    ("ATATT3", 40, Keep::Nothing),
    ("sk-", 40, Keep::Nothing),
];

/// Whether the beginning is a part of the secret.
#[derive(Clone, Copy, PartialEq)]
enum Keep {
    Beginning,
    Nothing,
}

/// All beginnings at once: hardly any text holds one.
static BEGINNINGS: LazyLock<Words> = LazyLock::new(|| {
    let beginnings: Vec<&str> = VENDORS.iter().map(|(beginning, ..)| *beginning).collect();
    Words::new(&beginnings)
});

pub(super) fn vendor(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    let text = text.text;
    if !BEGINNINGS.any_in(text) {
        return;
    }
    for (prefix, bytes_min, keep) in VENDORS {
        let part = |byte| is_base64url(byte) || matches!(byte, b'.' | b'/');
        let mut walked = 0;
        for start in memmem::find_iter(text.as_bytes(), prefix) {
            let secret = start + prefix.len();
            if secret < walked || (*keep == Keep::Nothing && !begins(text.as_bytes(), start)) {
                continue;
            }
            walked = run_end(text, secret, part);
            if walked - secret >= *bytes_min {
                found.push(if *keep == Keep::Beginning { secret..walked } else { start..walked });
            }
        }
    }
}

/// Whether a word begins at `at`.
fn begins(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1).is_none_or(|before| !is_base64url(bytes[before]))
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_beginnings_are_looked_for_at_once() {
        assert!(BEGINNINGS.is_fast());
    }
}
