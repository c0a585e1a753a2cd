//! What the variables of a process decide: region, endpoint and credentials, as a service sees them.
//!
//! The variables of a running process cannot be changed safely, so each test starts one. The test program is also that
//! process: `environment --child lambda` and `environment --child host` run `child`.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};

use stand_in::{Request, StandIn, answer};

mod child;
mod stand_in;

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    if words.next().as_deref() == Some("--child") {
        child::run(&words.next().expect("where the process runs"));
        return ExitCode::SUCCESS;
    }
    libtest_mimic::run(&Arguments::from_args(), trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    let trials: [(&str, fn()); 6] = [
        ("variables say region, endpoint and credentials", variables_say_region_endpoint_and_credentials),
        ("the general endpoint serves if there is no special one", the_general_endpoint_serves),
        ("a host reads the profile and a Lambda sandbox does not", only_a_host_reads_the_profile),
        ("a Lambda sandbox asks the container endpoint", a_lambda_sandbox_asks_the_container_endpoint),
        ("a token that cannot be sent is not quoted", a_token_that_cannot_be_sent_is_not_quoted),
        ("no region is said with the variable to set", no_region_is_said_with_the_variable_to_set),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    trials.into_iter().map(trial).collect()
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "VARIABLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];

fn variables_say_region_endpoint_and_credentials() {
    for (environment, region) in [("lambda", "AWS_REGION"), ("host", "AWS_DEFAULT_REGION")] {
        let service = service();
        let variables = [
            KEYS[0],
            KEYS[1],
            (region, "eu-central-1"),
            ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &service.url()),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ];
        let said = put(environment, &variables);
        let request = only(&service, &said);
        assert_eq!(request.operation(), "PutLogEvents");
        assert_eq!(signer(&request), ("VARIABLE", "eu-central-1"));
        assert!(said.contains(&format!("cloudwatch (eu-central-1, {})\n", service.url())), "{said}");
    }
}

fn the_general_endpoint_serves() {
    let service = service();
    let url = service.url();
    let said = put("host", &[KEYS[0], KEYS[1], ("AWS_REGION", "eu-central-1"), ("AWS_ENDPOINT_URL", &url)]);
    only(&service, &said);
}

fn only_a_host_reads_the_profile() {
    let service = service();
    let text = format!(
        "[profile other]\nregion = eu-west-3\naws_access_key_id = PROFILE\naws_secret_access_key = secret\n\
         endpoint_url = {}\n",
        service.url()
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let variables = [("AWS_CONFIG_FILE", as_text(file.path())), ("AWS_PROFILE", "other")];

    let said = put("lambda", &variables);
    assert!(said.contains("set AWS_REGION"), "{said}");
    assert_eq!(service.requests().len(), 0);

    let said = put("host", &variables);
    assert_eq!(signer(&only(&service, &said)), ("PROFILE", "eu-west-3"));
}

fn a_lambda_sandbox_asks_the_container_endpoint() {
    let service = service();
    let credentials = StandIn::answering([answer(
        200,
        "",
        r#"{"AccessKeyId":"CONTAINER","SecretAccessKey":"secret","Token":"t","Expiration":"2099-01-01T00:00:00Z"}"#,
    )]);
    let variables = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &*service.url()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*format!("{}/role", credentials.url())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token"),
    ];
    let said = put("lambda", &variables);
    assert_eq!(signer(&only(&service, &said)), ("CONTAINER", "eu-central-1"));
    assert_eq!(credentials.requests()[0].header("authorization"), Some("token"));
}

fn a_token_that_cannot_be_sent_is_not_quoted() {
    let variables = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/role"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hidden\n"),
    ];
    let said = put("lambda", &variables);
    assert!(said.contains("was not properly configured") && !said.contains("hidden"), "{said}");
}

fn no_region_is_said_with_the_variable_to_set() {
    for environment in ["lambda", "host"] {
        for region in [None, Some(("AWS_REGION", ""))] {
            let variables: Vec<_> = KEYS.into_iter().chain(region).collect();
            let said = put(environment, &variables);
            assert!(said.contains("set AWS_REGION"), "{said}");
        }
    }
}

/// Puts one batch in a process that has these variables and no others, and gives what it said.
fn put(environment: &str, variables: &[(&str, &str)]) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--child", environment])
        .env_clear()
        // Nothing may leave this machine, whatever the code under test does.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A service that stores one batch.
fn service() -> StandIn {
    StandIn::answering([answer(200, "", "{}")])
}

/// The one request that came.
fn only(service: &StandIn, said: &str) -> Request {
    let requests = service.requests();
    assert_eq!(requests.len(), 1, "{said}");
    requests[0].clone()
}

/// The access key and the region of its signature.
fn signer(request: &Request) -> (&str, &str) {
    let signature = request.header("authorization").unwrap_or_default();
    let (_, scope) = signature.split_once("Credential=").unwrap_or_default();
    let mut parts = scope.split('/');
    (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default())
}

fn as_text(path: &Path) -> &str {
    path.to_str().unwrap()
}
