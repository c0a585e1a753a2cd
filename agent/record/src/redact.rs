//! Secrets are taken out before a record leaves the process: real errors carry them.
//!
//! | rule | what it finds | what stands there afterwards |
//! |---|---|---|
//! | `aws-key` | an access key id (`AKIA…` or `ASIA…` and 16 more capitals or digits) | `[redacted:aws-key]` |
//! | `aws-secret` | what follows `aws_secret_access_key` or `aws_session_token` and `=` or `:` | the name, then `[redacted:aws-secret]` |
//! | `bearer` | what follows `Bearer ` | `Bearer [redacted:bearer]` |
//! | `url-password` | the password in `scheme://user:password@host` | `scheme://user:[redacted:url-password]@host` |
//!
//! The record counts what each rule took in `redacted`. Every rule is one pass over the text.

use std::collections::BTreeMap;

use crate::failure::{Cause, Record, StackEntry};

/// How many secrets each rule took out.
type Counts = BTreeMap<String, u32>;

/// Redacts every text of a record that a program or user wrote.
pub fn record(record: &mut Record) {
    let mut counts = std::mem::take(&mut record.redacted);
    text(&mut record.error_message, &mut counts);
    entries(&mut record.stack_trace, &mut counts);
    causes(&mut record.causes, &mut counts);
    record.raw.iter_mut().chain(&mut record.log_tail).for_each(|line| text(line, &mut counts));
    record.redacted = counts;
}

fn causes(causes_: &mut [Cause], counts: &mut Counts) {
    for cause in causes_ {
        text(&mut cause.error_message, counts);
        entries(&mut cause.stack_trace, counts);
        causes(&mut cause.causes, counts);
    }
}

fn entries(entries: &mut [StackEntry], counts: &mut Counts) {
    entries.iter_mut().filter_map(|entry| entry.source.as_mut()).for_each(|source| text(source, counts));
}

/// Redacts one text in place.
pub fn text(text: &mut String, counts: &mut Counts) {
    for (rule, find) in RULES {
        let mut clean = String::new();
        let mut rest = text.as_str();
        while let Some((start, end)) = find(rest) {
            clean.push_str(&rest[..start]);
            clean.push_str("[redacted:");
            clean.push_str(rule);
            clean.push(']');
            rest = &rest[end..];
            *counts.entry((*rule).to_owned()).or_default() += 1;
        }
        if !clean.is_empty() || rest.len() < text.len() {
            clean.push_str(rest);
            *text = clean;
        }
    }
}

/// A rule finds the next secret in a text: where it starts and where it ends.
type Rule = fn(&str) -> Option<(usize, usize)>;

const RULES: &[(&str, Rule)] =
    &[("aws-key", aws_key), ("aws-secret", aws_secret), ("bearer", bearer), ("url-password", url_password)];

fn aws_key(text: &str) -> Option<(usize, usize)> {
    /// Four letters and sixteen more: the length that IAM documents for access key ids.
    const LENGTH: usize = 20;
    let word = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'A', &bytes[at..]) {
        let start = at + found;
        let run = bytes[start..].iter().take(LENGTH + 1).take_while(|byte| word(**byte)).count();
        let prefix = bytes[start..].starts_with(b"AKIA") || bytes[start..].starts_with(b"ASIA");
        let begins = start == 0 || !bytes[start - 1].is_ascii_alphanumeric();
        if prefix && begins && run == LENGTH {
            return Some((start, start + LENGTH));
        }
        at = start + 1;
    }
    None
}

fn aws_secret(text: &str) -> Option<(usize, usize)> {
    const NAMES: [&str; 4] = ["secret_access_key", "secretaccesskey", "session_token", "sessiontoken"];
    // One pass for all names: a text that is full of one of them must not be searched for the others again and again.
    memchr::memchr2_iter(b's', b'S', text.as_bytes()).find_map(|start| {
        let name = NAMES.iter().find(|name| starts_ignoring_case(&text.as_bytes()[start..], name))?;
        let after = start + name.len();
        let value = after + text[after..].find(|c: char| !matches!(c, '"' | '\'' | ' ' | '=' | ':'))?;
        let assigned = text[after..value].contains(['=', ':']);
        let end = value + text[value..].find(is_delimiter).unwrap_or(text.len() - value);
        (assigned && end > value && !text[value..].starts_with("[redacted:")).then_some((value, end))
    })
}

fn bearer(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let start = from + find_ignoring_case(&text[from..], "bearer ")? + "bearer ".len();
        let end = start + text[start..].find(is_delimiter).unwrap_or(text.len() - start);
        // Shorter words are prose ("bearer of bad news").
        if end - start >= 16 && !text[start..].starts_with("[redacted:") {
            return Some((start, end));
        }
        from = start;
    }
}

fn url_password(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("://")? + "://".len();
        let authority =
            text[start..].find(|c: char| c == '/' || is_delimiter(c)).unwrap_or(text.len() - start);
        let authority = &text[start..start + authority];
        if let (Some(colon), Some(at)) = (authority.find(':'), authority.rfind('@'))
            && colon + 1 < at
            && !authority[colon + 1..].starts_with("[redacted:")
        {
            return Some((start + colon + 1, start + at));
        }
        from = start;
    }
}

fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | ')' | '}' | '<' | '>' | '`')
}

/// Where `needle` (lower case) begins in `text`, whatever the case of its letters.
fn find_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    let first = needle.as_bytes()[0];
    memchr::memchr2_iter(first, first.to_ascii_uppercase(), text.as_bytes())
        .find(|at| starts_ignoring_case(&text.as_bytes()[*at..], needle))
}

fn starts_ignoring_case(text: &[u8], beginning: &str) -> bool {
    text.get(..beginning.len()).is_some_and(|found| found.eq_ignore_ascii_case(beginning.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(input: &str) -> (String, Counts) {
        let mut counts = Counts::new();
        let mut output = input.to_owned();
        text(&mut output, &mut counts);
        (output, counts)
    }

    #[test]
    fn each_rule_takes_its_secret_and_nothing_else() {
        // The key is the one that AWS's documentation uses in examples.
        for (input, output) in [
            ("key AKIAIOSFODNN7EXAMPLE denied", "key [redacted:aws-key] denied"),
            (
                "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY, next",
                "aws_secret_access_key = [redacted:aws-secret], next",
            ),
            ("{\"SecretAccessKey\": \"wJalrXUtnFEMI\"}", "{\"SecretAccessKey\": \"[redacted:aws-secret]\"}"),
            ("Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "Authorization: Bearer [redacted:bearer]"),
            ("postgres://app:hunter2@db:5432/x", "postgres://app:[redacted:url-password]@db:5432/x"),
            (
                "ftp://a:b@c and http://d:e@f",
                "ftp://a:[redacted:url-password]@c and http://d:[redacted:url-password]@f",
            ),
        ] {
            assert_eq!(redacted(input).0, output);
        }
    }

    #[test]
    fn what_looks_like_a_secret_but_is_none_stays() {
        for text in [
            "AKIAIOSFODNN7EXAMPLEX",
            "XAKIAIOSFODNN7EXAMPLE",
            "the bearer of bad news",
            "http://host:8080/a@b",
            "secret_access_key missing",
            "bearer ",
            "://",
        ] {
            assert_eq!(redacted(text), (text.to_owned(), Counts::new()));
        }
    }

    #[test]
    fn redaction_is_counted_and_stable() {
        let (once, counts) = redacted("AKIAIOSFODNN7EXAMPLE x://u:p@h x://u:p@h");
        assert_eq!((counts["aws-key"], counts["url-password"]), (1, 2));
        assert_eq!(redacted(&once), (once.clone(), Counts::new()));
    }
}
