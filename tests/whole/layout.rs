//! Which crate may depend on which: the picture in ARCHITECTURE.md, read from `cargo metadata`.

use std::collections::BTreeSet;
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::harness::{Outcome, Stop, equal, holds, test};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("each crate depends on those below it alone", each_crate_depends_on_those_below_it_alone),
        test("only the CloudWatch sink names AWS", only_the_cloudwatch_sink_names_aws),
        test(
            "what handlers link and the pure crates wait for no runtime",
            the_pure_crates_wait_for_no_runtime,
        ),
    ]
}

/// The crates of the workspace and the ones among them that each may use.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("trace-capture", &[]),
    ("trace-itanium", &[]),
    ("trace-packed", &[]),
    ("trace-pclntab", &[]),
    ("trace-symbolizer", &["trace-itanium", "trace-packed", "trace-pclntab"]),
    ("trace-record", &[]),
    ("trace-sandbox", &[]),
    ("trace-logs-service", &[]),
    ("trace-attach", &[]),
    ("trace-layer", &[]),
    ("trace-agent-core", &["trace-capture", "trace-record", "trace-symbolizer"]),
    ("trace-cloudwatch", &["trace-agent-core", "trace-record"]),
    ("trace-extension", &["trace-agent-core", "trace-capture", "trace-record", "trace-attach"]),
    ("failing-handler", &["trace-capture"]),
];

fn packages() -> Result<Vec<Value>, Stop> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()?;
    holds(output.status.success(), String::from_utf8_lossy(&output.stderr))?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    Ok(metadata["packages"].as_array().cloned().unwrap_or_default())
}

/// The names of the dependencies of a package, those of its tests left out.
fn dependencies(package: &Value) -> BTreeSet<String> {
    let list = package["dependencies"].as_array().cloned().unwrap_or_default();
    let used = list.iter().filter(|dependency| dependency["kind"] != "dev");
    used.filter_map(|dependency| dependency["name"].as_str().map(str::to_owned)).collect()
}

fn each_crate_depends_on_those_below_it_alone() -> Outcome {
    let packages = packages()?;
    let ours: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    for package in &packages {
        let name = package["name"].as_str().unwrap_or_default();
        if name == "trace-agent" {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            return Err(Stop::Fail(format!("{name} has no place in the picture yet")));
        };
        let used = dependencies(package);
        let used: BTreeSet<&str> =
            used.iter().map(String::as_str).filter(|used| ours.contains(used)).collect();
        let forbidden: Vec<&&str> = used.iter().filter(|used| !allowed.contains(used)).collect();
        holds(forbidden.is_empty(), format!("{name} must not depend on {forbidden:?}"))?;
    }
    equal(ours.len(), ALLOWED.len() + 1, "every crate of the picture is there")
}

fn only_the_cloudwatch_sink_names_aws() -> Outcome {
    for package in packages()? {
        let aws: Vec<String> =
            dependencies(&package).into_iter().filter(|name| name.starts_with("aws-")).collect();
        let name = package["name"].as_str().unwrap_or_default();
        holds(aws.is_empty() || name == "trace-cloudwatch", format!("{name} names {aws:?}"))?;
    }
    Ok(())
}

fn the_pure_crates_wait_for_no_runtime() -> Outcome {
    for name in ["trace-capture", "trace-symbolizer", "trace-record"] {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["tree", "--offline", "--prefix", "none", "--edges", "normal,build,dev", "--package", name])
            .output()?;
        holds(output.status.success(), String::from_utf8_lossy(&output.stderr))?;
        let tree = String::from_utf8_lossy(&output.stdout).into_owned();
        let heavy = tree.lines().find(|line| line.starts_with("tokio ") || line.starts_with("aws-"));
        equal(heavy, None, &format!("what {name} is built with"))?;
    }
    Ok(())
}
