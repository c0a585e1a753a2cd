//! The layer as Lambda gets it: built, packed, unpacked again by somebody else's program, and run where `/opt` is.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use libtest_mimic::{Arguments, Trial};
use trace_agent::native;
use trace_layer::{Arch, Packed, Programs};

use crate::harness::{Outcome, Stop, equal, holds, run, said, tool};

pub(crate) fn tests() -> Vec<Trial> {
    use crate::harness::test;
    vec![
        test("layer: what the x86_64 one holds, and that nothing else is needed", || holds_all(Arch::X86_64)),
        test("layer: what the aarch64 one holds, and that nothing else is needed", || {
            holds_all(Arch::Aarch64)
        }),
        test("layer: the aarch64 programs run", the_aarch64_programs_run),
        test("layer: the wrapper becomes the runtime whatever goes wrong", the_wrapper_fails_open),
        test("layer: the wrapper finds the proxy, the recorder and another wrapper", the_wrapper_attaches),
        test(
            "layer: the bootstrap finds the function's program, and never itself",
            the_bootstrap_finds_its_program,
        ),
    ]
}

/// Bytes of the largest layer, zipped and unzipped: every cold start reads it (ARCHITECTURE.md, "Decisions").
const ZIPPED_MAX: u64 = 2_500_000;
const UNZIPPED_MAX: u64 = 6_000_000;

/// A layer that was built for `arch`, and the folder that stands for its `/opt`.
pub(crate) fn unpacked(arch: Arch) -> Result<(Packed, PathBuf), Stop> {
    static ALL: OnceLock<Result<Vec<(Packed, PathBuf)>, Stop>> = OnceLock::new();
    let all = ALL.get_or_init(|| Arch::ALL.into_iter().try_for_each(can_build).and_then(|()| unpack_all()));
    match all {
        Ok(all) => Ok(all[arch as usize].clone()),
        Err(Stop::Skip(reason)) => Err(Stop::Skip(reason.clone())),
        Err(Stop::Fail(message)) => Err(Stop::Fail(message.clone())),
    }
}

/// Builds the layers before any test runs that needs them: it takes minutes of all processors, and some tests look at the clock.
pub(crate) fn begin(arguments: &Arguments, tests: &[Trial]) {
    let needs = |test: &&Trial| {
        let name = test.name();
        name.starts_with("layer: ") || name.starts_with("rie: ") && name.contains("the layer")
    };
    if arguments.list || !tests.iter().filter(needs).any(|test| !arguments.is_filtered_out(test)) {
        return;
    }
    println!("building the layers for both processors, which takes some minutes the first time");
    // Why it cannot be had is said by its tests.
    let _ = unpacked(Arch::X86_64);
}

fn can_build(arch: Arch) -> Outcome {
    tool("unzip")?;
    arch.check().map_err(|missing| Stop::Skip(format!("{missing:#}")))
}

/// Builds all layers, side by side, and has somebody else unpack them.
fn unpack_all() -> Result<Vec<(Packed, PathBuf)>, Stop> {
    let (target, _) = native::target()?;
    let folder = target.join("layer-test");
    let programs = trace_layer::build(Path::new(env!("CARGO_MANIFEST_DIR")), &target, &Arch::ALL)?;
    let unpack = |(programs, arch): (&Programs, Arch)| -> Result<(Packed, PathBuf), Stop> {
        let packed = trace_layer::pack(programs, arch, &folder)?;
        let opt = folder.join(arch.name()).join("opt");
        let _ = fs::remove_dir_all(&opt);
        fs::create_dir_all(&opt)?;
        let unzipped = run(Command::new("unzip").arg("-q").arg(&packed.path).arg("-d").arg(&opt))?;
        holds(unzipped.status.success(), said(&unzipped))?;
        Ok((packed, opt))
    };
    programs.iter().zip(Arch::ALL).map(unpack).collect()
}

fn holds_all(arch: Arch) -> Outcome {
    let (packed, opt) = unpacked(arch)?;
    holds(packed.zipped <= ZIPPED_MAX, format!("{} bytes zipped", packed.zipped))?;
    holds(packed.unzipped <= UNZIPPED_MAX, format!("{} bytes unzipped", packed.unzipped))?;
    holds(opt.join("lib").is_dir(), "lib/ is there")?;
    let machine = match arch {
        Arch::X86_64 => "Advanced Micro Devices X86-64",
        Arch::Aarch64 => "AArch64",
    };
    for program in ["extensions/trace-agent", "trace-agent/wrapper", "trace-agent/bootstrap"] {
        let path = opt.join(program);
        equal(fs::metadata(&path)?.permissions().mode() & 0o777, 0o755, program)?;
        let read = run(Command::new("readelf")
            .args(["--file-header", "--program-headers", "--dynamic", "--wide"])
            .arg(&path))?;
        let text = String::from_utf8_lossy(&read.stdout).into_owned();
        holds(text.contains(machine), &text)?;
        // No loader, no libraries: then there is no C library that could be too old.
        for needed in ["INTERP", "NEEDED", "VERNEED"] {
            holds(!text.contains(needed), format!("{program} has {needed}: {text}"))?;
        }
        let bytes = fs::read(&path)?;
        let own = env!("CARGO_MANIFEST_DIR").as_bytes();
        holds(
            !bytes.windows(own.len()).any(|window| window == own),
            format!("{program} names this machine's folder"),
        )?;
    }
    Ok(())
}

/// How programs of `arch` are run here.
fn runs(arch: Arch, program: &Path) -> Result<Command, Stop> {
    if arch.name() == std::env::consts::ARCH {
        return Ok(Command::new(program));
    }
    let emulator = format!("qemu-{}-static", arch.name());
    tool(&emulator)?;
    let mut command = Command::new(emulator);
    command.arg(program);
    Ok(command)
}

/// The emulator of the processor can start programs for this machine only from within, so the worker is not to be had there: what the supervisor
/// does alone is what is seen.
fn the_aarch64_programs_run() -> Outcome {
    let (_, opt) = unpacked(Arch::Aarch64)?;
    let version = run(runs(Arch::Aarch64, &opt.join("trace-agent/wrapper"))?.arg("--version"))?;
    equal(
        String::from_utf8_lossy(&version.stdout).trim(),
        concat!("trace-agent ", env!("CARGO_PKG_VERSION")),
        "version",
    )?;
    let echoed = run(runs(Arch::Aarch64, &opt.join("trace-agent/bootstrap"))?
        .args(["/bin/echo", "it runs"])
        .env("TRACE_AGENT_DISABLED", "1"))?;
    equal(String::from_utf8_lossy(&echoed.stdout).trim(), "it runs", &said(&echoed))?;

    let folder = tempfile::tempdir()?;
    let program = folder.path().join("trace-agent");
    let emulator = which("qemu-aarch64-static")?;
    fs::write(
        &program,
        format!(
            "#!/bin/sh\nexec {} -0 \"$0\" {} \"$@\"\n",
            emulator.display(),
            opt.join("extensions/trace-agent").display()
        ),
    )?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let mut local = crate::harness::trace_agent(folder.path());
    local
        .args(["local", "--sink", "stdout", "--event", "{}", "--timeout", "20", "--extension"])
        .arg(&program);
    let handler = crate::harness::rust_handler()?;
    local.arg("--handler-cmd").arg(handler).args(["--event", r#"{"fail":"error"}"#]);
    let played = run(&mut local)?;
    let log = said(&played);
    holds(played.status.success(), &log)?;
    holds(log.contains(r#""kind":"exception""#), &log)
}

fn which(program: &str) -> Result<PathBuf, Stop> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists());
    found.ok_or_else(|| Stop::Skip(format!("{program} is not installed")))
}

/// The variables that matter here, as a program behind the wrapper sees them.
fn seen(wrapper: &Path, folder: &Path, variables: &[(&str, &OsStr)]) -> Result<Vec<String>, Stop> {
    let output = run(Command::new(wrapper)
        .arg("/usr/bin/env")
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
        .env("TRACE_AGENT_SOCKET", folder.join("capture.sock"))
        .envs(variables.iter().copied()))?;
    holds(output.status.success(), said(&output))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().map(str::to_owned).collect())
}

const DIRECT: &str = "AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001";

/// Listens somewhere, and answers each connection with `answer`.
fn listening(answer: &'static str) -> Result<SocketAddr, Stop> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
            if answer.is_empty() {
                // Silence: the connection stays open.
                std::mem::forget(stream);
            }
        }
    });
    Ok(address)
}

fn the_wrapper_fails_open() -> Outcome {
    let wrapper = unpacked(Arch::X86_64)?.1.join("trace-agent/wrapper");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("proxy");
    let is_unchanged = |what: &str| -> Outcome {
        let seen = seen(&wrapper, folder.path(), &[])?;
        holds(seen.len() == 2 && seen.contains(&DIRECT.to_owned()), format!("{what}: {seen:?}"))
    };
    is_unchanged("no extension")?;
    // An earlier environment's file, whose port is nobody's, or somebody else's.
    let silent = listening("")?;
    let other = listening("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nb2")?;
    let refusing = listening("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\na1")?;
    let dead = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    for address in [silent, other, refusing, dead] {
        fs::write(&file, format!("{address} a1\n"))?;
        is_unchanged(&format!("a stale file with {address}"))?;
    }
    for text in ["", "nonsense", "127.0.0.1:1 a1", "\0\0\n"] {
        fs::write(&file, text)?;
        is_unchanged(&format!("a file with {text:?}"))?;
    }
    fs::remove_file(&file)?;
    let right = folder.path().join("right");
    let address = listening("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na1")?;
    fs::write(&right, format!("{address} a1\n"))?;
    symlink(&right, &file)?;
    is_unchanged("a link to a file")?;
    fs::remove_file(&file)?;
    fs::create_dir(&file)?;
    is_unchanged("a folder")?;
    fs::remove_dir(&file)?;
    fs::write(&file, format!("{address} a1\n"))?;
    longer_than_a_list(&wrapper, folder.path())?;

    let another = [("TRACE_AGENT_DISABLED", "1"), ("TRACE_AGENT_EXEC_WRAPPER", "/no/such/wrapper")];
    let output = run(Command::new(&wrapper).args(["/bin/echo", "it runs"]).envs(another))?;
    equal(String::from_utf8_lossy(&output.stdout).trim(), "it runs", &said(&output))?;
    holds(said(&output).contains("cannot run /no/such/wrapper"), said(&output))?;

    let output = run(Command::new(&wrapper).arg("/no/such/program").env("TRACE_AGENT_DISABLED", "1"))?;
    equal(output.status.code(), Some(126), "status")?;
    holds(said(&output).contains("cannot run /no/such/program: it does not exist"), said(&output))?;
    let output = run(Command::new(&wrapper).arg("/etc/passwd").env("TRACE_AGENT_DISABLED", "1"))?;
    holds(said(&output).contains("cannot run /etc/passwd: it may not be executed"), said(&output))
}

/// More variables and arguments than the wrapper has room for pass as they are.
fn longer_than_a_list(wrapper: &Path, folder: &Path) -> Outcome {
    let names: Vec<String> = (0..2_000).map(|number| format!("VARIABLE_{number}")).collect();
    let variables: Vec<(&str, &OsStr)> =
        names.iter().map(|name| (name.as_str(), OsStr::new("value"))).collect();
    let seen = seen(wrapper, folder, &variables)?;
    equal((seen.len(), seen.contains(&DIRECT.to_owned())), (names.len() + 2, true), "variables")?;

    let another = [("TRACE_AGENT_DISABLED", "1"), ("TRACE_AGENT_EXEC_WRAPPER", "/bin/false")];
    let output = run(Command::new(wrapper).arg("/bin/echo").args(&names).envs(another))?;
    equal(String::from_utf8_lossy(&output.stdout).trim(), names.join(" ").as_str(), &said(&output))
}

fn the_wrapper_attaches() -> Outcome {
    let opt = unpacked(Arch::X86_64)?.1;
    // A copy, to which a recorder can be added.
    let copied = tempfile::tempdir()?;
    let wrapper = copied.path().join("trace-agent/wrapper");
    fs::create_dir_all(copied.path().join("trace-agent"))?;
    fs::create_dir_all(copied.path().join("lib"))?;
    fs::copy(opt.join("trace-agent/wrapper"), &wrapper)?;
    let folder = tempfile::tempdir()?;
    let address = listening("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na1")?;
    fs::write(folder.path().join("proxy"), format!("{address} a1\n"))?;
    let proxied = format!("AWS_LAMBDA_RUNTIME_API={address}");
    let is_seen = |variables: &[(&str, &OsStr)], wanted: &[&str]| -> Outcome {
        let seen = seen(&wrapper, folder.path(), variables)?;
        wanted
            .iter()
            .try_for_each(|line| holds(seen.contains(&(*line).to_owned()), format!("{line}: {seen:?}")))
    };
    is_seen(&[], &[&proxied])?;
    is_seen(&[("TRACE_AGENT_DISABLED", OsStr::new("1"))], &[DIRECT])?;

    let another = folder.path().join("another");
    fs::write(&another, "#!/bin/sh\nANOTHER=\"$1\" exec \"$@\"\n")?;
    fs::set_permissions(&another, fs::Permissions::from_mode(0o755))?;
    is_seen(&[("TRACE_AGENT_EXEC_WRAPPER", another.as_os_str())], &[&proxied, "ANOTHER=/usr/bin/env"])?;
    // It names itself: to chain it would never end.
    is_seen(&[("TRACE_AGENT_EXEC_WRAPPER", wrapper.as_os_str())], &[&proxied])?;

    let recorder = copied.path().join("lib/libtrace_preload.so");
    let source = folder.path().join("recorder.c");
    fs::write(&source, "int recorder;\n")?;
    let compiled = run(Command::new("cc").args(["-shared", "-o"]).arg(&recorder).arg(&source))?;
    holds(compiled.status.success(), said(&compiled))?;
    let recorder = recorder.display();
    is_seen(&[], &[&format!("LD_PRELOAD={recorder}")])?;
    let own = folder.path().join("own.so");
    fs::copy(copied.path().join("lib/libtrace_preload.so"), &own)?;
    is_seen(&[("LD_PRELOAD", own.as_os_str())], &[&format!("LD_PRELOAD={}:{recorder}", own.display())])
}

fn the_bootstrap_finds_its_program() -> Outcome {
    let bootstrap = unpacked(Arch::X86_64)?.1.join("trace-agent/bootstrap");
    let task = tempfile::tempdir()?;
    let program = task.path().join("bootstrap");
    let start = || {
        run(Command::new(&bootstrap).env("TRACE_AGENT_DISABLED", "1").env("LAMBDA_TASK_ROOT", task.path()))
    };
    // Itself, a link to itself and a copy of itself would become each other for ever.
    holds(!start()?.status.success(), "there is no program")?;
    symlink(&bootstrap, &program)?;
    equal(start()?.status.code(), Some(126), "status")?;
    fs::remove_file(&program)?;
    fs::copy(&bootstrap, &program)?;
    equal(start()?.status.code(), Some(126), "status")?;
    // So would a script that names no program, which is less easily seen.
    fs::write(&program, format!("#!/bin/sh\nexec {}\n", bootstrap.display()))?;
    let output = start()?;
    equal(output.status.code(), Some(126), "status")?;
    holds(said(&output).contains("leads back to this one"), said(&output))?;
    fs::write(&program, "#!/bin/sh\necho the function\n")?;
    let output = start()?;
    equal(String::from_utf8_lossy(&output.stdout).trim(), "the function", &said(&output))
}
