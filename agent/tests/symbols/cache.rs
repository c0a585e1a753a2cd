//! What is remembered, for how long, and for whom.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::Trial;
use trace_agent_core::symbols::layout::{Kind, written};
use trace_agent_core::symbols::limits::{Limits, MISSING_AGE_MAX};

use crate::harness::{Built, Outcomes, SOON, fetch, files, limits, reasons, test};
use crate::server::{Server, absent, ok};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("what was fetched is not asked for again", what_was_fetched_is_not_asked_for_again),
        test("what nobody has is not asked for again for a while", what_nobody_has_is_remembered),
        test("a failure is not remembered as missing", a_failure_is_not_remembered_as_missing),
        test("many ask at once, one fetches", many_ask_at_once_one_fetches),
        test(
            "who waits for another waits no longer than its limit",
            who_waits_waits_no_longer_than_its_limit,
        ),
        test("a download that died is done anew", a_download_that_died_is_done_anew),
        test("what was used last is removed last", what_was_used_last_is_removed_last),
        test("folders are read in place, and what is wrong in them refused", folders_are_read_in_place),
    ]
}

fn what_was_fetched_is_not_asked_for_again() -> Outcomes {
    let built = Built::new("cached")?;
    let server = Server::with("/debuginfo", built.debug());
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cache");
    for _ in 0..2 {
        let fetch = fetch(&[&server.url], &root, limits());
        for _ in 0..2 {
            assert_eq!(fetch.debug_file(&built.id), Some(root.join(written(&built.id, &Kind::Debuginfo))));
        }
    }
    assert_eq!(server.count(), 1);
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().mode() & 0o777;
    let file = root.join(written(&built.id, &Kind::Debuginfo));
    assert_eq!(
        (mode(root.clone()), mode(file.parent().unwrap().to_owned()), mode(file)),
        (0o700, 0o700, 0o600)
    );
    assert_eq!(files(&root).len(), 1);
    Ok(())
}

fn what_nobody_has_is_remembered() -> Outcomes {
    let built = Built::new("missing")?;
    let (one, other) = (Server::start(|_, stream| absent(stream)), Server::with("/debuginfo", built.debug()));
    let folder = tempfile::tempdir().unwrap();
    let servers = format!("debuginfod:{}", one.url);
    for _ in 0..2 {
        assert_eq!(fetch(&[&servers], folder.path(), limits()).debug_file(&built.id), None);
    }
    assert_eq!(one.count(), 1);
    // Another server was not asked yet.
    let both = format!("debuginfod:{} {}", one.url, other.url);
    assert!(fetch(&[&both], folder.path(), limits()).debug_file(&built.id).is_some());
    // Ten minutes later.
    let gone = Built::new("gone")?;
    assert_eq!(fetch(&[&servers], folder.path(), limits()).debug_file(&gone.id), None);
    let asked = one.count();
    let missing =
        files(folder.path()).into_iter().find(|path| path.extension().is_some_and(|end| end == "missing"));
    let file = std::fs::File::open(missing.unwrap()).unwrap();
    file.set_modified(SystemTime::now() - MISSING_AGE_MAX - Duration::from_secs(1)).unwrap();
    assert_eq!(fetch(&[&servers], folder.path(), limits()).debug_file(&gone.id), None);
    assert_eq!(one.count(), asked + 1);
    Ok(())
}

fn a_failure_is_not_remembered_as_missing() -> Outcomes {
    let built = Built::new("failure")?;
    let server = Server::start(|_, stream| {
        crate::server::send(stream, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    });
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let fetch = fetch(&[&format!("debuginfod:{}", server.url)], folder.path(), limits());
        assert_eq!(fetch.debug_file(&built.id), None);
        assert_eq!(reasons(&fetch), ["the answer is 503 Service Unavailable"]);
    }
    assert_eq!(server.count(), 2);
    Ok(())
}

fn many_ask_at_once_one_fetches() -> Outcomes {
    let built = Built::new("single flight")?;
    let debug = built.debug();
    let server = Server::start(move |_, stream| {
        std::thread::sleep(Duration::from_millis(200));
        ok(stream, "", &debug);
    });
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            // One `Fetch` for each, as each process has: they share the folder alone.
            scope.spawn(|| {
                let fetch = fetch(&[&server.url], folder.path(), limits());
                assert!(fetch.debug_file(&built.id).is_some(), "{:?}", fetch.take_log());
            });
        }
    });
    assert_eq!(server.count(), 1);
    assert_eq!(files(folder.path()).len(), 1);
    Ok(())
}

/// The part of a download, as its process would lock it.
fn part(folder: &std::path::Path, built: &Built) -> std::fs::File {
    let path = folder.join(format!("{}.part", written(&built.id, &Kind::Debuginfo)));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "half").unwrap();
    std::fs::File::open(path).unwrap()
}

fn who_waits_waits_no_longer_than_its_limit() -> Outcomes {
    let built = Built::new("waits")?;
    let server = Server::with("/debuginfo", built.debug());
    let folder = tempfile::tempdir().unwrap();
    let part = part(folder.path(), &built);
    part.lock().unwrap();
    let fetch =
        fetch(&[&server.url], folder.path(), Limits { total: Duration::from_millis(300), ..limits() });
    let start = Instant::now();
    assert_eq!(fetch.debug_file(&built.id), None);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(reasons(&fetch).join("\n").contains("somebody else is fetching it"));
    assert_eq!(server.count(), 0);
    Ok(())
}

fn a_download_that_died_is_done_anew() -> Outcomes {
    let built = Built::new("died")?;
    let server = Server::with("/debuginfo", built.debug());
    let folder = tempfile::tempdir().unwrap();
    drop(part(folder.path(), &built));
    let found = fetch(&[&server.url], folder.path(), limits()).debug_file(&built.id).unwrap();
    assert_eq!(std::fs::read(&found).unwrap(), built.debug());
    // And so is a file that lost its end.
    std::fs::write(&found, &built.debug()[..1000]).unwrap();
    let found = fetch(&[&server.url], folder.path(), limits()).debug_file(&built.id).unwrap();
    assert_eq!(std::fs::read(&found).unwrap(), built.debug());
    assert_eq!(files(folder.path()).len(), 1);
    Ok(())
}

fn what_was_used_last_is_removed_last() -> Outcomes {
    let builds = [Built::new("a")?, Built::new("b")?, Built::new("c")?];
    let bodies: Vec<_> = builds.iter().map(|built| (built.id.to_string(), built.debug())).collect();
    let bytes: u64 = bodies.iter().map(|(_, body)| body.len() as u64).sum();
    let server = Server::start(move |path, stream| match bodies.iter().find(|(id, _)| path.contains(id)) {
        Some((_, body)) => ok(stream, "", body),
        None => absent(stream),
    });
    let folder = tempfile::tempdir().unwrap();
    // One byte too small for three.
    let limits = Limits { cache_bytes: bytes - 1, ..limits() };
    let fetch = fetch(&[&format!("debuginfod:{}", server.url)], folder.path(), limits);
    let [a, b, c] = &builds;
    for built in [a, b, a, c] {
        assert!(fetch.debug_file(&built.id).is_some());
        std::thread::sleep(Duration::from_millis(20));
    }
    let there = |built: &Built| folder.path().join(written(&built.id, &Kind::Debuginfo)).exists();
    assert_eq!((there(a), there(b), there(c)), (true, false, true));
    Ok(())
}

fn folders_are_read_in_place() -> Outcomes {
    let (built, other) = (Built::new("in place")?, Built::new("not in place")?);
    let store = tempfile::tempdir().unwrap();
    let cache = store.path().join("cache");
    let id = built.id.to_string();
    let tree = store.path().join(".build-id").join(&id[..2]);
    std::fs::create_dir_all(&tree).unwrap();
    let path = tree.join(format!("{}.debug", &id[2..]));
    std::os::unix::fs::symlink(built.path("app.debug"), &path).unwrap();
    // Where it is looked for first lies a file of another build.
    let wrong = store.path().join(written(&built.id, &Kind::Debuginfo));
    std::fs::create_dir_all(wrong.parent().unwrap()).unwrap();
    std::fs::copy(other.path("app.debug"), &wrong).unwrap();
    let fetch = fetch(&[store.path().to_str().unwrap()], &cache, limits());
    assert_eq!(fetch.debug_file(&built.id), Some(path));
    assert_eq!(reasons(&fetch), [format!("it has build-id {}", other.id)]);
    assert!(!cache.exists(), "nothing is fetched, so nothing is kept");
    Ok(())
}
