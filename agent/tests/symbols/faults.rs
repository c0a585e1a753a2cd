//! Servers that are away, silent, slow, wrong, or send too little or too much.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use libtest_mimic::Trial;
use trace_agent_core::symbols::limits::Limits;

use crate::harness::{Built, Outcomes, SOON, fetch, files, limits, reasons, short, test};
use crate::server::{Server, absent, chunked, nobody, ok, send};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a server that is away is asked once in a run", a_server_that_is_away_is_asked_once),
        test("a silent server costs its limit, and once", a_silent_server_costs_its_limit_and_once),
        test("a server that drips costs the limit in all", a_server_that_drips_costs_the_limit_in_all),
        test(
            "a file of another build is dropped, and the next server heard",
            a_file_of_another_build_is_dropped,
        ),
        test("a body that broke off is dropped", a_body_that_broke_off_is_dropped),
        test("a body that is too large is dropped", a_body_that_is_too_large_is_dropped),
        test("packed and chunked bodies are read", packed_and_chunked_bodies_are_read),
        test("redirects are followed, but not for ever", redirects_are_followed_but_not_for_ever),
        test("all servers are asked at once, and the first answer wins", the_first_answer_wins),
        test("it works within another runtime", it_works_within_another_runtime),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// Asks a server for a file that it does not send as it should. Nothing may come of it, and nothing be left.
fn refused(
    built: &Built,
    limits: Limits,
    answer: impl Fn(&mut std::net::TcpStream) + Send + Sync + 'static,
) -> String {
    let server = Server::start(move |_, stream| answer(stream));
    let folder = tempfile::tempdir().unwrap();
    let fetch = fetch(&[&format!("debuginfod:{}", server.url)], folder.path(), limits);
    assert_eq!(fetch.debug_file(&built.id), None);
    assert_eq!(
        files(folder.path()),
        Vec::<std::path::PathBuf>::new(),
        "nothing is left, and nothing remembered"
    );
    reasons(&fetch).join("\n")
}

fn a_server_that_is_away_is_asked_once() -> Outcomes {
    let (one, other) = (Built::new("one")?, Built::new("other")?);
    let folder = tempfile::tempdir().unwrap();
    let fetch = fetch(&[&nobody(), &format!("debuginfod:{}", nobody())], folder.path(), limits());
    let start = Instant::now();
    assert_eq!(fetch.debug_file(&one.id), None);
    let first = reasons(&fetch);
    assert!(
        first.iter().all(|reason| reason.contains("cannot connect") || reason.contains("failed before")),
        "{first:?}"
    );
    assert_eq!(fetch.debug_file(&other.id), None);
    let second = reasons(&fetch);
    assert!(second.iter().all(|reason| reason.contains("failed before")), "{second:?}");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    Ok(())
}

fn a_silent_server_costs_its_limit_and_once() -> Outcomes {
    let (one, other) = (Built::new("one")?, Built::new("other")?);
    let silent = Server::start(|_, _| std::thread::sleep(Duration::from_secs(30)));
    let folder = tempfile::tempdir().unwrap();
    let fetch = fetch(&[&silent.url], folder.path(), short());
    let start = Instant::now();
    assert_eq!(fetch.debug_file(&one.id), None);
    assert_eq!(fetch.debug_file(&other.id), None);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(silent.count(), 1);
    assert!(reasons(&fetch).join("\n").contains("said nothing for 400ms"));
    // Silence that begins within the body is the same.
    let debug = one.debug();
    let stalls = Server::start(move |_, stream| {
        send(stream, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", debug.len()).as_bytes());
        send(stream, &debug[..1000]);
        std::thread::sleep(Duration::from_secs(30));
    });
    let fetch = self::fetch(&[&stalls.url], folder.path(), short());
    assert_eq!(fetch.debug_file(&one.id), None);
    assert_eq!(fetch.debug_file(&other.id), None);
    assert_eq!(stalls.count(), 1);
    assert!(reasons(&fetch).join("\n").contains("said nothing for 400ms"));
    Ok(())
}

fn a_server_that_drips_costs_the_limit_in_all() -> Outcomes {
    let built = Built::new("drip")?;
    let start = Instant::now();
    let reason = refused(&built, Limits { total: Duration::from_millis(600), ..limits() }, |stream| {
        send(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        for _ in 0..600 {
            send(stream, b"x");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(reason.contains("longer than 600ms"), "{reason}");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    Ok(())
}

fn a_file_of_another_build_is_dropped() -> Outcomes {
    let (right, wrong) = (Built::new("right")?, Built::new("wrong")?);
    let liar = Server::with("/debuginfo", wrong.debug());
    let page = Server::with("/debuginfo", b"<html>please log in</html>".to_vec());
    let debug = right.debug();
    let slow = Server::start(move |_, stream| {
        std::thread::sleep(Duration::from_millis(200));
        ok(stream, "", &debug);
    });
    let folder = tempfile::tempdir().unwrap();
    let servers = format!("debuginfod:{} {} {}", liar.url, page.url, slow.url);
    let fetch = fetch(&[&servers], folder.path(), limits());
    let found = fetch.debug_file(&right.id).expect("the last server has it");
    assert_eq!(std::fs::read(found).unwrap(), right.debug());
    let reasons = reasons(&fetch).join("\n");
    assert!(reasons.contains(&format!("refused: it has build-id {}", wrong.id)), "{reasons}");
    assert!(reasons.contains("refused: it is no ELF file"), "{reasons}");
    Ok(())
}

fn a_body_that_broke_off_is_dropped() -> Outcomes {
    let built = Built::new("cut")?;
    let (debug, length) = (built.debug(), built.debug().len());
    let half = debug[..length / 2].to_vec();
    let body = half.clone();
    refused(&built, limits(), move |stream| {
        send(stream, format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes());
        send(stream, &body);
    });
    let body = half.clone();
    refused(&built, limits(), move |stream| chunked(stream, "", &body, false));
    // Nothing but the file itself says that this one is not whole.
    let body = half.clone();
    let reason = refused(&built, limits(), move |stream| {
        send(stream, b"HTTP/1.0 200 OK\r\n\r\n");
        send(stream, &body);
    });
    assert!(reason.contains("it is shorter than"), "{reason}");
    let body = half;
    let reason = refused(&built, limits(), move |stream| {
        ok(stream, &format!("X-DEBUGINFOD-SIZE: {length}\r\n"), &body);
    });
    assert!(reason.contains(&format!("bytes came of {length}")), "{reason}");
    let packed = gzip(&debug);
    let reason = refused(&built, limits(), move |stream| {
        ok(stream, "Content-Encoding: gzip\r\n", &packed[..packed.len() - 4]);
    });
    assert!(reason.contains("does not unpack"), "{reason}");
    Ok(())
}

fn a_body_that_is_too_large_is_dropped() -> Outcomes {
    let built = Built::new("large")?;
    let limits = Limits { file_bytes: 1_000_000, ..limits() };
    let said = "larger than 1000000 bytes";
    let reason = refused(&built, limits, |stream| {
        send(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n");
    });
    assert!(reason.contains(said), "{reason}");
    let reason = refused(&built, limits, |stream| chunked(stream, "", &vec![0; 1_100_000], true));
    assert!(reason.contains(said), "{reason}");
    let bomb = gzip(&vec![0; 100_000_000]);
    let reason = refused(&built, limits, move |stream| ok(stream, "Content-Encoding: gzip\r\n", &bomb));
    assert!(reason.contains(said), "{reason}");
    Ok(())
}

fn packed_and_chunked_bodies_are_read() -> Outcomes {
    let built = Built::new("packed")?;
    for (headers, body) in [("", built.debug()), ("Content-Encoding: gzip\r\n", gzip(&built.debug()))] {
        let server = Server::start(move |_, stream| chunked(stream, headers, &body, true));
        let folder = tempfile::tempdir().unwrap();
        let fetch = fetch(&[&server.url], folder.path(), limits());
        let found = fetch.debug_file(&built.id).unwrap_or_else(|| panic!("{:?}", fetch.take_log()));
        assert_eq!(std::fs::read(found).unwrap(), built.debug());
    }
    Ok(())
}

fn redirects_are_followed_but_not_for_ever() -> Outcomes {
    let built = Built::new("redirect")?;
    let debug = built.debug();
    let there = Server::with("/there", debug);
    let to = there.url.clone();
    let here = Server::start(move |path, stream| {
        let to = if path.starts_with("/loop") { path.to_owned() } else { format!("{to}/there") };
        send(stream, format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    });
    let folder = tempfile::tempdir().unwrap();
    let endless = fetch(&[&format!("{}/loop", here.url)], folder.path(), limits());
    assert_eq!(endless.debug_file(&built.id), None);
    assert!(here.count() <= 12, "two names, six times each");
    let reasons = reasons(&endless);
    assert!(reasons.iter().all(|reason| reason.contains("not followed")), "{reasons:?}");
    let found = fetch(&[&here.url], folder.path(), limits()).debug_file(&built.id).unwrap();
    assert_eq!(std::fs::read(found).unwrap(), built.debug());
    Ok(())
}

fn the_first_answer_wins() -> Outcomes {
    let built = Built::new("first")?;
    let silent = Server::start(|_, _| std::thread::sleep(Duration::from_secs(30)));
    let empty = Server::start(|_, stream| absent(stream));
    let quick = Server::with(format!("/buildid/{}/debuginfo", built.id), built.debug());
    let folder = tempfile::tempdir().unwrap();
    let servers = format!("debuginfod:{} {} {}/buildid/ {}", silent.url, empty.url, quick.url, nobody());
    let fetch = fetch(&[&servers], folder.path(), limits());
    let start = Instant::now();
    assert!(fetch.debug_file(&built.id).is_some());
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(quick.paths(), [format!("/buildid/{}/debuginfo", built.id)]);
    Ok(())
}

fn it_works_within_another_runtime() -> Outcomes {
    let built = Built::new("runtime")?;
    let server = Server::with("/debuginfo", built.debug());
    let folder = tempfile::tempdir().unwrap();
    let fetch = fetch(&[&server.url], folder.path(), limits());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(runtime.block_on(async { fetch.debug_file(&built.id) }).is_some());
    Ok(())
}
