//! Pairs of failures that must and that must not have one fingerprint.

use std::collections::BTreeMap;

use super::set;
use crate::culprit::{self, OwnCode};
use crate::failure::Record;

fn fingerprint(json: &str) -> String {
    let mut record: Record = serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
    culprit::find(&mut record, &OwnCode::default());
    set(&mut record, &OwnCode::default());
    record.fingerprint.unwrap()
}

/// A record of one call.
fn call(runtime: &str, file: &str, function: &str) -> String {
    let file = serde_json::to_string(file).unwrap();
    let function = serde_json::to_string(function).unwrap();
    format!(r#"{{"errorType":"E","runtime":"{runtime}","stackTrace":[[{file},3,{function},null]]}}"#)
}

#[test]
fn equal_failures_have_equal_fingerprints() {
    for (why, left, right) in [
        (
            "another line of the same function",
            r#"{"errorType":"E","stackTrace":[["/var/task/a.py",3,"f","g()"]]}"#,
            r#"{"errorType":"E","stackTrace":[["/var/task/a.py",9,"f","g( )"]]}"#,
        ),
        (
            "another message",
            r#"{"errorType":"E","errorMessage":"order 1","stackTrace":[["a.py",3,"f",null]]}"#,
            r#"{"errorType":"E","errorMessage":"order x","stackTrace":[["a.py",3,"f",null]]}"#,
        ),
        (
            "a deeper recursion",
            r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null],["a.py",3,"f",null]]}"#,
            r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null],["a.py",3,"f",null],["a.py",3,"f",null]]}"#,
        ),
        (
            "a deeper recursion of two functions",
            r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null],["a.py",7,"g",null],["a.py",3,"f",null]]}"#,
            r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null],["a.py",7,"g",null],["a.py",3,"f",null],["a.py",7,"g",null]]}"#,
        ),
        (
            "a newer library below the same code",
            r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null],["/opt/python/x.py",1,"y",null]]}"#,
            r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null],["/opt/python/x.py",2,"z",null]]}"#,
        ),
        (
            "asynchronous steps of the runtime between the calls",
            r#"{"errorType":"E","runtime":"node","stackTrace":[["a.js",3,"f",null]]}"#,
            r#"{"errorType":"E","runtime":"node","stackTrace":[["node:internal/process/task_queues",95,"process.processTicksAndRejections",null],["a.js",3,"async f",null]]}"#,
        ),
        (
            "numbers in a message without calls",
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"timed out after 3.00 seconds"}"#,
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"timed out after 15.00 seconds"}"#,
        ),
        (
            "ids and addresses in a message without calls",
            r#"{"errorMessage":"order 7f3c9a12-1b2c-4d5e-8f90-a1b2c3d4e5f6 at 0x7ffe00001234 not found"}"#,
            r#"{"errorMessage":"order abcdefab-cdef-abcd-efab-cdefabcdefab at 0x7ffe0000aaaa not found"}"#,
        ),
        (
            "quoted values and paths in a message without calls",
            r#"{"errorMessage":"cannot open '/tmp/a' for \"bob\" in /tmp/x/1"}"#,
            r#"{"errorMessage":"cannot open '/tmp/b' for \"eve\" in /tmp/y/2/z"}"#,
        ),
        (
            "seen in the body and in the log",
            r#"{"errorType":"NotFound","runtime":"python","stackTrace":[["/var/task/a.py",3,"f",null]]}"#,
            r#"{"errorType":"shop.errors.NotFound","runtime":"python","stackTrace":[["/var/task/a.py",3,"f",null]]}"#,
        ),
        (
            "by a witness that does not know the runtime",
            r#"{"errorType":"E","runtime":"python","stackTrace":[["/var/task/a.py",3,"f",null]]}"#,
            r#"{"errorType":"E","stackTrace":[["/var/task/a.py",3,"f",null]]}"#,
        ),
    ] {
        assert_eq!(fingerprint(left), fingerprint(right), "{why}\n{left}\n{right}");
    }
}

#[test]
fn equal_calls_have_equal_fingerprints() {
    for (why, runtime, left, right) in [
        (
            "another build root",
            "rust",
            ("/build/1/src/main.rs", "shop::price"),
            ("/home/ci/src/main.rs", "shop::price"),
        ),
        (
            "the hash of a Rust function",
            "rust",
            ("src/main.rs", "shop::price::h0123456789abcdef"),
            ("src/main.rs", "shop::price"),
        ),
        (
            "the two manglings of Rust",
            "rust",
            ("src/main.rs", "shop::f::{{closure}}"),
            ("src/main.rs", "shop::f::{async_fn#0}"),
        ),
        (
            "a Go build with and without -trimpath",
            "go",
            ("/home/ci/shop/cart.go", "main.run.func1"),
            ("shop/cart.go", "main.run.func2"),
        ),
        (
            "a lambda class of the JVM",
            "java",
            ("A.java", "a.A$$Lambda$14/0x0000000800c03000.apply"),
            ("A.java", "a.A$$Lambda/0x00007f.apply"),
        ),
        ("a proxy class", "java", ("A.java", "a.$Proxy12.call"), ("A.java", "a.$Proxy31.call")),
        (
            "a newer package of the same name",
            "ruby",
            ("/var/task/vendor/bundle/gems/pg-1.5.4/lib/pg.rb", "f"),
            ("/opt/gems/pg-1.6.0/lib/pg.rb", "f"),
        ),
        (
            "a package store with versions",
            "node",
            ("/var/task/node_modules/.pnpm/a@1.2.3/node_modules/a/i.js", "f"),
            ("/var/task/node_modules/a/i.js", "f"),
        ),
        (
            "the hash of a bundle",
            "node",
            ("/var/task/main.3f9a2c1b.js", "f"),
            ("/var/task/main.77aa01fe.js", "f"),
        ),
        (
            "a file and its URL",
            "node",
            ("file:///var/task/index.mjs", "handler"),
            ("/var/task/index.mjs", "handler"),
        ),
        (
            "the line in a closure's name",
            "php",
            ("/var/task/a.php", "{closure:/var/task/a.php:3}"),
            ("/var/task/a.php", "{closure}"),
        ),
        (
            "the folder of a release",
            "python",
            ("/srv/releases/20261126101500/a.py", "f"),
            ("/srv/releases/20251126101500/a.py", "f"),
        ),
    ] {
        assert_eq!(
            fingerprint(&call(runtime, left.0, left.1)),
            fingerprint(&call(runtime, right.0, right.1)),
            "{why}"
        );
    }
}

#[test]
fn different_failures_have_different_fingerprints() {
    let mut all = vec![
        r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null]]}"#.to_owned(),
        r#"{"errorType":"F","stackTrace":[["a.py",3,"f",null]]}"#.to_owned(),
        r#"{"errorType":"E","stackTrace":[["a.py",3,"g",null]]}"#.to_owned(),
        r#"{"errorType":"E","stackTrace":[["b.py",3,"f",null]]}"#.to_owned(),
        r#"{"errorType":"E","stackTrace":[["orders/a.py",3,"f",null]]}"#.to_owned(),
        r#"{"errorType":"E","stackTrace":[["users/a.py",3,"f",null]]}"#.to_owned(),
        r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null],["a.py",9,"g",null]]}"#.to_owned(),
        r#"{"errorType":"E","stackTrace":[["a.py",9,"g",null],["a.py",3,"f",null]]}"#.to_owned(),
        r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null]],"causes":[{"errorType":"C"}]}"#.to_owned(),
        r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null]],"causes":[{"errorType":"D"}]}"#.to_owned(),
        r#"{"errorType":"E","stackTrace":[["a.py",3,"f",null]],"causes":[{"errorType":"C","stackTrace":[["a.py",5,"h",null]]}]}"#.to_owned(),
        r#"{"errorType":"E","errorMessage":"disk full"}"#.to_owned(),
        r#"{"errorType":"E","errorMessage":"disk missing"}"#.to_owned(),
        r#"{"errorType":"E","errorMessage":""}"#.to_owned(),
    ];
    for (runtime, file, function) in [
        ("rust", "src/main.rs", "shop::price"),
        ("rust", "src/main.rs", "shop::price::{closure#0}"),
        ("rust", "src/main.rs", "depot::price"),
        ("go", "main.go", "main.run"),
        ("go", "main.go", "main.run.func1"),
        ("go", "main.go", "main.(*Cart).run"),
        ("java", "A.java", "com.a.A.run"),
        ("java", "A.java", "com.b.A.run"),
        ("java", "A.java", "com.a.A.lambda$run$0"),
        ("java", "A.java", "com.a.A.lambda$run$1"),
        ("node", "/var/task/a/index.js", "handler"),
        ("node", "/var/task/b/index.js", "handler"),
        ("node", "/var/task/handler2.js", "handler2"),
        ("node", "/var/task/handler3.js", "handler3"),
    ] {
        all.push(call(runtime, file, function));
    }
    let mut found: BTreeMap<String, &str> = BTreeMap::new();
    for json in &all {
        if let Some(other) = found.insert(fingerprint(json), json) {
            panic!("one fingerprint for\n{json}\n{other}");
        }
    }
}
