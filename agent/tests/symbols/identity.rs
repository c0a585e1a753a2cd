//! Which build a file belongs to: readelf says so too, and no changed byte makes it worse than unknown.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use trace_agent_core::symbols::identity;
use trace_symbolizer::{Module, Search};

use crate::harness::{Built, Outcomes, test, tool};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("readelf finds the same build-ids", readelf_finds_the_same_build_ids),
        test("the symbolizer finds the same build-ids", the_symbolizer_finds_the_same_build_ids),
        test(
            "a changed byte costs no more than the build-id",
            a_changed_byte_costs_no_more_than_the_build_id,
        ),
    ]
}

fn readelf(path: &Path) -> Option<String> {
    let output = Command::new("readelf").arg("--notes").arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| Some(line.trim().strip_prefix("Build ID: ")?.to_owned()))
}

fn readelf_finds_the_same_build_ids() -> Outcomes {
    tool("readelf")?;
    let built = Built::new("readelf")?;
    for arguments in [
        &["objcopy", "-O", "elf32-i386", "app", "narrow"][..],
        &["objcopy", "--remove-section", ".note.gnu.build-id", "app", "anonymous"],
        &["gcc", "-g", "-c", "app.c", "-o", "object"],
        &["gcc", "-shared", "-fPIC", "-Wl,--build-id=0x0123456789abcdef", "app.c", "-o", "library"],
    ] {
        let status =
            Command::new(arguments[0]).args(&arguments[1..]).current_dir(&built.folder).status().unwrap();
        assert!(status.success(), "{arguments:?}");
    }
    for (name, debug, code) in [
        ("app", true, true),
        ("app.debug", true, false),
        ("app.stripped", false, true),
        ("narrow", true, true),
        ("anonymous", true, true),
        ("object", true, true),
        ("library", false, true),
    ] {
        let path = built.path(name);
        let identity = identity::read(&File::open(&path).unwrap()).unwrap();
        assert_eq!(identity.build_id.map(|id| id.to_string()), readelf(&path), "{name}");
        assert_eq!((identity.debug, identity.code), (debug, code), "{name}");
    }
    Ok(())
}

/// How many of the machine's own files are compared.
const FILES_MAX: usize = 300;

fn the_symbolizer_finds_the_same_build_ids() -> Outcomes {
    let mut compared = 0;
    for entry in std::fs::read_dir("/usr/bin").unwrap().flatten() {
        let path = entry.path();
        if !entry.file_type().unwrap().is_file() || compared == FILES_MAX {
            continue;
        }
        // Scripts are none of either's.
        let Ok(module) = Module::open(&path, &Search::default()) else { continue };
        let identity = identity::read(&File::open(&path).unwrap()).unwrap();
        assert_eq!(identity.build_id.as_ref(), module.build_id(), "{}", path.display());
        compared += 1;
    }
    if compared == 0 { Err("there are no programs in /usr/bin".to_owned()) } else { Ok(()) }
}

fn a_changed_byte_costs_no_more_than_the_build_id() -> Outcomes {
    let built = Built::new("changed byte")?;
    let path = built.path("app.debug");
    let file = File::options().read(true).write(true).open(&path).unwrap();
    for (at, byte) in (0..).zip(built.debug()) {
        for changed in [0, 1, 0x7f, 0xff, byte ^ 0x80] {
            file.write_all_at(&[changed], at).unwrap();
            let _ = identity::read(&file);
        }
        file.write_all_at(&[byte], at).unwrap();
    }
    assert_eq!(identity::read(&file).unwrap().build_id, Some(built.id));
    Ok(())
}
