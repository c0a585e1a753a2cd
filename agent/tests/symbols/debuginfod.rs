//! Debian's debuginfod serves a folder; its own client judges what we fetch.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use libtest_mimic::Trial;
use trace_agent_core::symbols::fetch::Fetch;
use trace_agent_core::symbols::layout::Kind;
use trace_symbolizer::BuildId;

use crate::harness::{Built, Outcomes, eventually, fetch, limits, test, tool};

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("debuginfod's own client gets the same from its server", debuginfods_own_client_gets_the_same)]
}

/// A running server; it ends with the test.
struct Debuginfod {
    server: Child,
    url: String,
}

impl Debuginfod {
    fn start(folder: &Path) -> Result<Self, String> {
        ["debuginfod", "debuginfod-find"].into_iter().try_for_each(tool)?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new("debuginfod")
            .args(["-F", "-d", ":memory:", "-p", &port.to_string()])
            .arg(folder)
            // Else it asks others for what it does not have, and keeps their answers in a home.
            .env_remove("DEBUGINFOD_URLS")
            .env("HOME", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Ok(Self { server, url: format!("http://127.0.0.1:{port}") })
    }
}

impl Drop for Debuginfod {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What the client that comes with debuginfod gets; `None` if it gets nothing.
fn judge(url: &str, cache: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("debuginfod-find")
        .args(arguments)
        .env("DEBUGINFOD_URLS", url)
        .env("DEBUGINFOD_CACHE_PATH", cache)
        .output()
        .unwrap();
    let path = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| std::fs::read(path.trim()).unwrap())
}

fn read(fetch: &Fetch, id: &BuildId, kind: &Kind) -> Option<Vec<u8>> {
    fetch.file(id, kind).map(|path| std::fs::read(path).unwrap())
}

fn debuginfods_own_client_gets_the_same() -> Outcomes {
    let built = Built::new("debuginfod")?;
    // The server takes what has debug information for both; a user who strips keeps these two.
    std::fs::remove_file(built.path("app")).unwrap();
    let server = Debuginfod::start(built.folder.path())?;
    let folder = tempfile::tempdir().unwrap();
    let id = built.id.to_string();
    // It listens before it has read the folder. The judge has no cache here, or it would remember that there was nothing.
    eventually("debuginfod has read its folder", || {
        let first = tempfile::tempdir().unwrap();
        judge(&server.url, first.path(), &["debuginfo", &id]).and(judge(
            &server.url,
            first.path(),
            &["executable", &id],
        ))
    });
    let judged = folder.path().join("judge");
    let ours = fetch(&[&format!("debuginfod:{}/buildid", server.url)], &folder.path().join("ours"), limits());
    let debug = read(&ours, &built.id, &Kind::Debuginfo);
    assert_eq!(debug.as_deref(), Some(&*built.debug()), "{:?}", ours.take_log());
    assert!(debug == judge(&server.url, &judged, &["debuginfo", &id]), "debuginfo");
    let executable = read(&ours, &built.id, &Kind::Executable);
    assert_eq!(executable, std::fs::read(built.path("app.stripped")).ok(), "{:?}", ours.take_log());
    assert!(executable == judge(&server.url, &judged, &["executable", &id]), "executable");
    let source = built.path("app.c").to_str().unwrap().to_owned();
    let text = read(&ours, &built.id, &Kind::Source(source.clone()));
    assert_eq!(text, std::fs::read(&source).ok(), "{:?}", ours.take_log());
    assert!(text == judge(&server.url, &judged, &["source", &id, &source]), "source");
    // What neither has.
    let other: BuildId = "00112233445566778899".parse().unwrap();
    assert_eq!(read(&ours, &other, &Kind::Debuginfo), None);
    assert_eq!(judge(&server.url, &judged, &["debuginfo", &other.to_string()]), None);
    assert_eq!(read(&ours, &built.id, &Kind::Source("/etc/passwd".to_owned())), None);
    assert_eq!(read(&ours, &built.id, &Kind::Packed), None);
    Ok(())
}
