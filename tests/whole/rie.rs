//! A second judge: AWS's own Runtime Interface Emulator. Its classic mode for the life cycle, without telemetry; its Managed Instances mode for
//! the real Telemetry API, without INVOKE events.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use serde_json::Value;
use trace_agent::native;
use trace_agent::peers::AWSLAMBDARIC;
use trace_layer::Arch;

use crate::harness::{Outcome, Stop, equal, extension, holds, peer, records, run, rust_handler, said, test};
use crate::layer;
use crate::runtimes::{self, Client, Row};

/// The emulator, at a version that is known.
const EMULATOR: &str = "github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie@v0.0.0-20261030222936-bef5c4ba774d";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("rie: the life cycle of an extension", the_life_cycle),
        test("rie: an initialization that fails", an_initialization_that_fails),
        test("rie: Managed Instances and their telemetry", managed_instances),
        test("rie: Managed Instances and the layer", managed_instances_and_the_layer),
    ]
    .into_iter()
    .chain(
        runtimes::seeds()
            .into_iter()
            .map(|row| test(&format!("rie: the layer and {}", row.client.name()), move || the_layer(row))),
    )
    .collect()
}

/// A folder that becomes the sandbox's file system.
struct Sandbox {
    folder: tempfile::TempDir,
    emulator: PathBuf,
    python: PathBuf,
}

impl Sandbox {
    fn new() -> Result<Self, Stop> {
        let emulator = emulator()?;
        let python = peer(AWSLAMBDARIC)?.join("python3");
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        for part in ["opt/extensions", "var/task", "var/runtime", "var/tmp"] {
            fs::create_dir_all(path.join(part))?;
        }
        // Managed Instances run everything as a user without rights.
        fs::set_permissions(path, Permissions::from_mode(0o755))?;
        fs::set_permissions(path.join("var/tmp"), Permissions::from_mode(0o1777))?;
        Ok(Self { folder, emulator, python })
    }

    /// With the extension alone.
    fn with_extension() -> Result<Self, Stop> {
        let sandbox = Self::new()?;
        fs::copy(extension(), sandbox.folder.path().join("opt/extensions/trace-agent-extension"))?;
        Ok(sandbox)
    }

    /// With the layer, as it was packed and unpacked.
    fn with_layer() -> Result<Self, Stop> {
        let sandbox = Self::new()?;
        let (_, opt) = layer::unpacked(Arch::X86_64)?;
        copy_all(&opt, &sandbox.folder.path().join("opt"))?;
        Ok(sandbox)
    }

    /// Makes an OS-only function of a program: two lines of shell, and the program under another name.
    fn bootstrap(&self, program: &Path) -> Outcome {
        fs::copy(program, self.task().join("my-program"))?;
        let debug_file = program.with_extension("debug");
        if debug_file.exists() {
            fs::copy(&debug_file, self.task().join(debug_file.file_name().unwrap_or_default()))?;
        }
        let bootstrap = self.task().join("bootstrap");
        fs::write(&bootstrap, include_str!("../../deploy/functions/native/bootstrap"))?;
        fs::set_permissions(bootstrap, Permissions::from_mode(0o755))?;
        Ok(())
    }

    fn task(&self) -> PathBuf {
        self.folder.path().join("var/task")
    }

    /// Runs the function, invokes it with each event, and gives the answers and the records.
    fn invoke(
        &self,
        command: &str,
        variables: &[(&str, &str)],
        events: &[&str],
    ) -> Result<(Vec<String>, Vec<Value>), Stop> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/rie.sh");
        let output = run(Command::new("unshare")
            .args(["--mount", "--net", "--propagation", "private", "sh", script])
            .args([&self.emulator, self.folder.path(), &self.python])
            .arg(command)
            .args(events)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs([
                ("AWS_LAMBDA_FUNCTION_NAME", "checkout"),
                ("AWS_LAMBDA_FUNCTION_TIMEOUT", "2"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("TRACE_AGENT_SINK", "file:/var/tmp/records"),
                ("TRACE_AGENT_SOCKET", "/var/tmp/agent/capture.sock"),
            ])
            .envs(variables.iter().copied()))?;
        holds(output.status.success(), said(&output))?;
        let answers = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        let records = records(&self.folder.path().join("var/tmp/records"))
            .map_err(|_| Stop::Fail(format!("no records\n{}", self.log())))?;
        Ok((answers, records))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// Copies what is in a folder.
fn copy_all(from: &Path, to: &Path) -> Outcome {
    let copied = run(Command::new("cp").arg("-a").arg(from.join(".")).arg(to))?;
    holds(copied.status.success(), said(&copied))
}

/// Installs the emulator, or says why it is skipped.
fn emulator() -> Result<PathBuf, Stop> {
    let spaces = ["--mount", "--net", "--propagation", "private", "ip", "link", "set", "lo", "up"];
    let may = Command::new("unshare").args(spaces).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        return Err(Stop::Skip("namespaces cannot be made here; that takes root, unshare and ip".to_owned()));
    }
    let (target, _) = native::target()?;
    let folder = target.join("peers/rie");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let installed = folder.join("installed");
    if !fs::read_to_string(&installed).is_ok_and(|version| version == EMULATOR) {
        install(&folder)?;
        fs::write(installed, EMULATOR)?;
    }
    Ok(folder.join("aws-lambda-rie"))
}

fn install(folder: &Path) -> Outcome {
    let output = Command::new("go")
        .args(["install", EMULATOR])
        .current_dir(folder)
        .env("GOBIN", folder)
        .env("GOFLAGS", "-modcacherw")
        .stdin(Stdio::null())
        .output()
        .map_err(|_| Stop::Skip("go is not installed".to_owned()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Stop::Skip(format!("go install failed; is the module proxy within reach? {}", said(&output))))
}

/// Type, kind and number of calls of each record, in the order of the names.
fn told(records: &[Value]) -> Vec<(String, String, usize)> {
    let text = |record: &Value, member: &str| record[member].as_str().unwrap_or_default().to_owned();
    let calls = |record: &Value| record["stackTrace"].as_array().map_or(0, Vec::len);
    let mut told: Vec<_> = records
        .iter()
        .map(|record| (text(record, "errorType"), text(record, "kind"), calls(record).min(2)))
        .collect();
    told.sort();
    told
}

fn owned(told: &[(&str, &str, usize)]) -> Vec<(String, String, usize)> {
    told.iter().map(|(name, kind, calls)| ((*name).to_owned(), (*kind).to_owned(), *calls)).collect()
}

const APP: &str = r#"
import ctypes, os, time

def handler(event, context):
    fail = event.get("fail")
    if fail == "exception":
        raise Exception("I failed!")
    if fail == "exit":
        os._exit(7)
    if fail == "segv":
        ctypes.string_at(0)
    if fail == "sleep":
        time.sleep(30)
    return {"ok": True}
"#;

/// The proxy is the only witness here: the emulator's classic mode has no telemetry.
const PROXY: &str = "127.0.0.1:9009";

fn the_life_cycle() -> Outcome {
    let sandbox = Sandbox::with_extension()?;
    fs::write(sandbox.task().join("app.py"), APP)?;
    let runtime = format!(
        "AWS_LAMBDA_RUNTIME_API={PROXY} exec '{}' -m awslambdaric app.handler",
        sandbox.python.display()
    );
    let events = [
        "{}",
        r#"{"fail":"exception"}"#,
        r#"{"fail":"exit"}"#,
        "{}",
        r#"{"fail":"segv"}"#,
        r#"{"fail":"sleep"}"#,
        "{}",
    ];
    let (answers, records) = sandbox.invoke(&runtime, &[("TRACE_AGENT_PROXY_LISTEN", PROXY)], &events)?;
    // A reset ends the extension too, with SHUTDOWN; the good invocations after each show that it comes back.
    for (answer, beginning) in answers.iter().zip([
        r#"200 {"ok": true}"#,
        r#"200 {"errorMessage": "I failed!""#,
        r#"502 {"errorType":"Runtime.ExitError""#,
        r#"200 {"ok": true}"#,
        r#"502 {"errorType":"Runtime.ExitError""#,
        "200 Task timed out after 2.00 seconds",
        r#"200 {"ok": true}"#,
    ]) {
        holds(answer.starts_with(beginning), format!("{answer}\n{}", sandbox.log()))?;
    }
    equal(answers.len(), 7, "answers")?;
    let expected = [
        ("Exception", "exception", 1),
        ("Runtime.ExitError", "exit", 0),
        ("Runtime.ExitError", "exit", 0),
        ("Sandbox.Timedout", "timeout", 0),
    ];
    equal(told(&records), owned(&expected), &sandbox.log())?;
    holds(!sandbox.log().contains("Extension.Crash"), sandbox.log())
}

fn an_initialization_that_fails() -> Outcome {
    let sandbox = Sandbox::with_extension()?;
    fs::write(sandbox.task().join("app.py"), "import nothing_of_that_name\n")?;
    let runtime = format!(
        "AWS_LAMBDA_RUNTIME_API={PROXY} exec '{}' -m awslambdaric app.handler",
        sandbox.python.display()
    );
    let (answers, records) = sandbox.invoke(&runtime, &[("TRACE_AGENT_PROXY_LISTEN", PROXY)], &["{}"])?;
    holds(answers.iter().any(|answer| answer.contains("Runtime.ImportModuleError")), format!("{answers:?}"))?;
    holds(!records.is_empty(), sandbox.log())?;
    // It is tried again with the first invocation, and fails again.
    let is_one =
        |record: &Value| record["errorType"] == "Runtime.ImportModuleError" && record["kind"] == "init";
    holds(records.iter().all(is_one), format!("{records:#?}"))
}

fn managed_instances() -> Outcome {
    let sandbox = Sandbox::with_extension()?;
    // The emulator looks for a bootstrap, and runs it as a user who may not go where Python is.
    fs::copy(rust_handler()?, sandbox.task().join("bootstrap"))?;
    let events = [
        r#"{"fail":"none"}"#,
        r#"{"fail":"panic"}"#,
        r#"{"fail":"error"}"#,
        r#"{"fail":"none"}"#,
        r#"{"fail":"sleep"}"#,
    ];
    let (answers, records) = sandbox.invoke("", &[("AWS_LAMBDA_MAX_CONCURRENCY", "1")], &events)?;
    holds(answers.first().is_some_and(|answer| answer.starts_with("200 {\"ok\":true}")), sandbox.log())?;
    let expected =
        [("Runtime.Unknown", "exception", 0), ("Sandbox.Timedout", "timeout", 0), ("panic", "panic", 2)];
    equal(told(&records), owned(&expected), &format!("{records:#?}\n{}", sandbox.log()))?;
    let panic = records.iter().find(|record| record["kind"] == "panic").unwrap_or(&Value::Null);
    equal(&panic["witnesses"], &serde_json::json!(["log", "platform", "capture"]), "who saw the panic")?;
    equal(&panic["report"]["initializationType"], &serde_json::json!("lambda-managed-instances"), "report")
}

/// A client with the whole layer: no address is told to anybody, the wrapper finds the proxy.
fn the_layer(row: Row) -> Outcome {
    let program = row.client.program()?;
    let sandbox = Sandbox::with_layer()?;
    copy_all(&program.task_root, &sandbox.task())?;
    let quoted = program.words.iter().map(|word| format!("'{}'", word.to_string_lossy()));
    let handler = row.client.handler(row.fail);
    let command = match row.client {
        Client::Rust | Client::Go => {
            sandbox.bootstrap(Path::new(&program.words[0]))?;
            format!("exec /var/task/bootstrap {handler}")
        }
        _ => format!("exec /opt/trace-agent/wrapper {} {handler}", quoted.collect::<Vec<_>>().join(" ")),
    };
    let mut variables = runtimes::NO_AWS.to_vec();
    // Java takes its time on a busy machine.
    variables.extend([
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", "60"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        // The emulator's images set it.
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("AWS_LAMBDA_FUNCTION_HANDLER", handler),
    ]);
    let event = runtimes::event(row).to_string();
    let (_, records) = sandbox.invoke(&command, &variables, &[&event])?;
    equal(records.len(), 1, &format!("records: {records:#?}\n{}", sandbox.log()))?;
    runtimes::tells_of(&records[0], row)?;
    // What the wrapper handed over: the emulator's function has no other way to tell its handler than this.
    equal(&records[0]["report"]["handler"], &serde_json::json!(handler), &sandbox.log())?;
    holds(!sandbox.log().contains("Extension."), sandbox.log())
}

/// Only a static program runs there: the emulator's user may not go where languages are installed.
fn managed_instances_and_the_layer() -> Outcome {
    let sandbox = Sandbox::with_layer()?;
    sandbox.bootstrap(rust_handler()?)?;
    let events = [r#"{"fail":"none"}"#, r#"{"fail":"panic"}"#, r#"{"fail":"none"}"#];
    let (answers, records) = sandbox.invoke("", &[("AWS_LAMBDA_MAX_CONCURRENCY", "1")], &events)?;
    holds(
        answers.iter().filter(|answer| answer.starts_with("200 {\"ok\":true}")).count() == 2,
        sandbox.log(),
    )?;
    equal(records.len(), 1, &format!("{records:#?}\n{}", sandbox.log()))?;
    equal(&records[0]["kind"], &serde_json::json!("panic"), "kind")?;
    let witnesses = records[0]["witnesses"].to_string();
    holds(witnesses.contains("runtime-api"), witnesses)
}
