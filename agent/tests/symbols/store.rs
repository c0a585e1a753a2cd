//! A store in a folder: filled, listed, checked, and read by who looks for a debug file.

use clap::Parser;
use libtest_mimic::Trial;
use trace_agent_core::cli::Command;
use trace_agent_core::symbols::layout::{Kind, facts, written};
use trace_agent_core::symbols::store::Facts;

use crate::harness::{Built, Outcomes, fetch, files, limits, test};
use crate::server::{Server, absent, ok};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("what was pushed is listed, good, and found", what_was_pushed_is_listed_good_and_found),
        test("what was changed afterwards is damaged", what_was_changed_afterwards_is_damaged),
        test("find prints what a symbolizer would get", find_prints_what_a_symbolizer_would_get),
        test("what has no build-id is refused, and the rest pushed", what_has_no_build_id_is_refused),
    ]
}

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Runs `trace-agent symbols …`.
pub(crate) fn symbols(arguments: &[&str]) -> Result<(), String> {
    let cli = Cli::parse_from(["trace-agent", "symbols"].iter().chain(arguments));
    let connect = |_| unreachable!("symbols needs no sink");
    cli.command
        .execute(connect, || unreachable!("symbols needs no reader"))
        .map_err(|error| format!("{error:#}"))
}

fn text(path: std::path::PathBuf) -> String {
    path.to_str().unwrap().to_owned()
}

fn what_was_pushed_is_listed_good_and_found() -> Outcomes {
    let built = Built::new("pushed")?;
    let folder = tempfile::tempdir().unwrap();
    let (root, debug, stripped) =
        (text(folder.path().join("store")), text(built.path("app.debug")), text(built.path("app.stripped")));
    for _ in 0..2 {
        symbols(&["push", &root, &debug, &stripped]).unwrap();
    }
    assert_eq!(files(folder.path()).len(), 4, "two files, and what is known of each");
    symbols(&["list", &root, "--format", "json"]).unwrap();
    symbols(&["verify", &root]).unwrap();
    for (kind, name) in [(Kind::Debuginfo, "app.debug"), (Kind::Executable, "app.stripped")] {
        let known =
            std::fs::read_to_string(folder.path().join("store").join(facts(&built.id, &kind))).unwrap();
        let known: Facts = serde_json::from_str(&known).unwrap();
        assert_eq!(
            (known.name.as_str(), known.bytes),
            (name, std::fs::metadata(built.path(name)).unwrap().len())
        );
        let path = folder.path().join("store").join(written(&built.id, &kind));
        assert_eq!(
            fetch(&[&root], &folder.path().join("cache"), limits()).file(&built.id, &kind),
            Some(path)
        );
    }
    // The same folder behind a web server.
    let served = folder.path().join("store");
    let server =
        Server::start(move |path, stream| match std::fs::read(served.join(path.trim_start_matches('/'))) {
            Ok(body) => ok(stream, "", &body),
            Err(_) => absent(stream),
        });
    let found = fetch(&[&server.url], &folder.path().join("cache"), limits()).debug_file(&built.id).unwrap();
    assert_eq!(std::fs::read(found).unwrap(), built.debug());
    let error = symbols(&["list", &server.url]).unwrap_err();
    assert!(error.contains("not listed or written"), "{error}");
    Ok(())
}

fn find_prints_what_a_symbolizer_would_get() -> Outcomes {
    let built = Built::new("find")?;
    let folder = tempfile::tempdir().unwrap();
    let root = text(folder.path().to_owned());
    symbols(&["push", &root, &text(built.path("app.debug"))]).unwrap();
    let id = built.id.to_string();
    symbols(&["find", &id, "--symbols", "/nonexistent", "--symbols", &root]).unwrap();
    let error = symbols(&["find", &id, "--symbols", &root, "--kind", "packed", "--explain"]).unwrap_err();
    assert_eq!(error, format!("nobody has the packed file of {id}"));
    let error = symbols(&["find", &id, "--symbols", "ftp://host"]).unwrap_err();
    assert!(error.contains("is no symbol source"), "{error}");
    Ok(())
}

fn what_was_changed_afterwards_is_damaged() -> Outcomes {
    let (built, other) = (Built::new("changed")?, Built::new("other")?);
    let folder = tempfile::tempdir().unwrap();
    let root = text(folder.path().to_owned());
    symbols(&["push", &root, &text(built.path("app.debug"))]).unwrap();
    let path = folder.path().join(written(&built.id, &Kind::Debuginfo));
    let mut changed = built.debug();
    *changed.last_mut().unwrap() ^= 1;
    for damage in [changed, built.debug()[..2000].to_vec(), other.debug()] {
        std::fs::write(&path, damage).unwrap();
        assert_eq!(symbols(&["verify", &root]).unwrap_err(), "1 of 1 files could not be verified");
    }
    std::fs::write(&path, built.debug()).unwrap();
    symbols(&["verify", &root]).unwrap();
    Ok(())
}

fn what_has_no_build_id_is_refused() -> Outcomes {
    let built = Built::new("with an id")?;
    let status = std::process::Command::new("objcopy")
        .args(["--remove-section", ".note.gnu.build-id", "app", "anonymous"])
        .current_dir(&built.folder)
        .status()
        .unwrap();
    assert!(status.success());
    let folder = tempfile::tempdir().unwrap();
    let root = text(folder.path().to_owned());
    let error = symbols(&["push", &root, &text(built.path("anonymous")), &text(built.path("app.debug"))])
        .unwrap_err();
    assert_eq!(error, "1 of 2 files could not be pushed");
    assert_eq!(files(folder.path()).len(), 2);
    // A folder is searched for what has one; app.c is none of its business.
    std::fs::remove_file(built.path("anonymous")).unwrap();
    symbols(&["push", &root, &text(built.folder.path().to_owned())]).unwrap();
    symbols(&["verify", &root, "--format", "json"]).unwrap();
    assert!(symbols(&["push", &root, "/nonexistent"]).is_err());
    assert!(symbols(&["list", &text(folder.path().join("nonexistent"))]).is_err());
    Ok(())
}
