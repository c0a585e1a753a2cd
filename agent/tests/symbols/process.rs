//! What takes another process: an environment of its own, or a lock that is held elsewhere.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::harness::{Built, Outcomes, eventually, fetch, files, limits, test};
use crate::s3::programs;
use crate::server::{Server, ok};

/// The first argument that makes this program a fetch: `SOURCE BUILD-ID CACHE`.
const FETCH: &str = "--fetch";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("many processes ask at once, one fetches", many_processes_ask_at_once_one_fetches),
        test("a process that is killed holds up nobody", a_process_that_is_killed_holds_up_nobody),
        test("https is trusted where the system trusts it", https_is_trusted_where_the_system_trusts_it),
    ]
}

/// Fetches if this process was started to do that.
pub(crate) fn fetched() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [word, source, id, cache] = &arguments[..] else { return false };
    if word != FETCH {
        return false;
    }
    let fetch = fetch(&[source], Path::new(cache), limits());
    match fetch.debug_file(&id.parse().unwrap()) {
        Some(path) => println!("{}", path.display()),
        None => eprintln!("{:?}", fetch.take_log()),
    }
    true
}

fn start(source: &str, built: &Built, cache: &Path, trusted: Option<&Path>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([FETCH, source, &built.id.to_string()]).arg(cache);
    // What the system trusts, but for a test.
    command.envs(trusted.map(|path| ("SSL_CERT_FILE", path)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn path(output: &Output) -> Option<PathBuf> {
    let text = String::from_utf8_lossy(&output.stdout);
    (!text.is_empty()).then(|| PathBuf::from(text.trim()))
}

fn slow(built: &Built) -> Server {
    let debug = built.debug();
    Server::start(move |_, stream| {
        std::thread::sleep(Duration::from_millis(300));
        ok(stream, "", &debug);
    })
}

fn many_processes_ask_at_once_one_fetches() -> Outcomes {
    let built = Built::new("processes")?;
    let server = slow(&built);
    let folder = tempfile::tempdir().unwrap();
    let processes: Vec<Child> = (0..6).map(|_| start(&server.url, &built, folder.path(), None)).collect();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        let found = path(&output).unwrap_or_else(|| panic!("{output:?}"));
        assert_eq!(std::fs::read(found).unwrap(), built.debug());
    }
    assert_eq!(server.count(), 1);
    assert_eq!(files(folder.path()).len(), 1);
    Ok(())
}

fn a_process_that_is_killed_holds_up_nobody() -> Outcomes {
    let built = Built::new("killed")?;
    let server = slow(&built);
    let folder = tempfile::tempdir().unwrap();
    let mut first = start(&server.url, &built, folder.path(), None);
    eventually("it asks", || (server.count() > 0).then_some(()));
    let second = start(&server.url, &built, folder.path(), None);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(path(&second.wait_with_output().unwrap()).is_some());
    assert_eq!(files(folder.path()).len(), 1, "what was left was written over");
    Ok(())
}

/// A running server; it ends with the test.
struct Https(Child);

impl Drop for Https {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn https_is_trusted_where_the_system_trusts_it() -> Outcomes {
    let built = Built::new("https")?;
    let python = programs()?.join("python3");
    let (store, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    crate::store::symbols(&[
        "push",
        store.path().to_str().unwrap(),
        built.path("app.debug").to_str().unwrap(),
    ])
    .unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/peers/https.py");
    let server = Command::new(python)
        .arg(script)
        .args([store.path(), state.path()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Https(server);
    let port = eventually("it serves", || std::fs::read_to_string(state.path().join("port")).ok());
    let url = format!("https://127.0.0.1:{port}");
    let cache = state.path().join("cache");
    let stranger = start(&url, &built, &cache, None).wait_with_output().unwrap();
    assert_eq!(path(&stranger), None);
    let said = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(said.contains("certificate") || said.contains("trusts no"), "{said}");
    let trusted =
        start(&url, &built, &cache, Some(&state.path().join("authority.pem"))).wait_with_output().unwrap();
    let found = path(&trusted).unwrap_or_else(|| panic!("{trusted:?}"));
    assert_eq!(std::fs::read(found).unwrap(), built.debug());
    Ok(())
}
