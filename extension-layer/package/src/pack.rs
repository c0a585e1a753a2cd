//! The zip file: the names below `/opt`, their mode bits, and nothing that changes from one build to the next.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::{Arch, Programs};

/// What may be run. A zip without mode bits gives files that Lambda cannot start: `Extension.LaunchError`.
const EXECUTABLE: u32 = 0o755;

/// The best that deflate can do, by the search of zopfli: levels above 9 are how often it looks anew.
const LEVEL: i64 = 15;

/// A layer that was packed.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub zipped: u64,
    /// The size of what it holds in bytes.
    pub unzipped: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// Packs `programs` into the layer of `arch` in the folder `dist`.
///
/// # Errors
///
/// If a program cannot be read or the file cannot be written.
pub fn pack(programs: &Programs, arch: Arch, dist: &Path) -> anyhow::Result<Packed> {
    fs::create_dir_all(dist).with_context(|| format!("cannot create {}", dist.display()))?;
    let path = dist.join(format!("trace-agent-layer-{}.zip", arch.name()));
    let new = path.with_extension("zip.new");
    let unzipped = write(programs, &new).with_context(|| format!("cannot write {}", new.display()))?;
    fs::rename(&new, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Packed { zipped: fs::metadata(&path)?.len(), unzipped, sha256: sha256(&path)?, path })
}

/// Writes the file, and gives the bytes of what is in it.
fn write(programs: &Programs, path: &Path) -> anyhow::Result<u64> {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(path)?));
    // The beginning of the format's time.
    let plain =
        SimpleFileOptions::default().last_modified_time(DateTime::default()).unix_permissions(EXECUTABLE);
    let deflated = plain.compression_method(CompressionMethod::Deflated).compression_level(Some(LEVEL));
    let mut unzipped = 0;
    let files = [
        ("extensions/trace-agent", &programs.extension),
        ("trace-agent/bootstrap", &programs.wrapper),
        ("trace-agent/wrapper", &programs.wrapper),
    ];
    for (name, program) in files {
        let mut file = File::open(program).with_context(|| format!("cannot read {}", program.display()))?;
        zip.start_file(name, deflated)?;
        unzipped += io::copy(&mut file, &mut zip)?;
    }
    // On the loader's path; the crash recorder goes here.
    zip.add_directory("lib/", plain)?;
    zip.finish()?.flush()?;
    Ok(unzipped)
}

fn sha256(path: &Path) -> anyhow::Result<String> {
    let mut digest = Sha256::new();
    let mut file = BufReader::new(File::open(path)?);
    let mut block = [0; 64 * 1024];
    loop {
        match file.read(&mut block)? {
            0 => break,
            read => digest.update(&block[..read]),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_twice_is_equal_and_can_be_run() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, name.repeat(1000)).expect("it can be written");
            path
        };
        let programs = Programs { extension: program("extension"), wrapper: program("wrapper") };
        let packed = pack(&programs, Arch::X86_64, &folder.path().join("a")).expect("it can be packed");
        let again = pack(&programs, Arch::X86_64, &folder.path().join("b")).expect("it can be packed");
        assert_eq!((&packed.sha256, packed.zipped), (&again.sha256, again.zipped));
        assert_eq!(packed.unzipped, 9_000 + 2 * 7_000);
        assert!(packed.path.ends_with("trace-agent-layer-x86_64.zip"));
        let mut zip =
            zip::ZipArchive::new(File::open(packed.path).expect("it is there")).expect("it is a zip");
        let names: Vec<String> =
            zip.file_names().map(|name| name.expect("it is a name").into_owned()).collect();
        assert_eq!(names, ["extensions/trace-agent", "trace-agent/bootstrap", "trace-agent/wrapper", "lib/"]);
        for name in names {
            let file = zip.by_name(&name).expect("it is there");
            assert_eq!(file.unix_mode().map(|mode| mode & 0o7777), Some(EXECUTABLE), "{name}");
        }
    }
}
