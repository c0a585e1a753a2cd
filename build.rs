//! Links `trace-agent-extension`, and nothing else, statically and at a fixed address.
//!
//! It starts within Lambda's initialization, which the owner waits and pays for. The dynamic linker, the pages of the C library, and the
//! relocation of tables that only the worker reads would be most of the supervisor's start and memory (ARCHITECTURE.md, "Decisions").
//!
//! Cargo has no `crt-static` for one program, so what the compiler asks the linker for by name is answered here: the shared libraries that
//! the standard library names become linker scripts for their archives. The program's own address is given up with it: what could be
//! attacked through a known address is written in safe Rust.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the standard library links to, and where that is without shared libraries; since glibc 2.34 the empty ones are parts of libc.
const LIBRARIES: [(&str, &str); 7] = [
    ("libgcc_s.so", "GROUP(libgcc_eh.a)"),
    ("libutil.so", ""),
    ("librt.so", ""),
    ("libpthread.so", ""),
    ("libdl.so", ""),
    ("libm.so", "GROUP(libm.a)"),
    ("libc.so", "GROUP(libc.a libgcc_eh.a libgcc.a)"),
];

/// Puts the code that runs while nothing fails in one place.
const ORDER: &str = "extension-layer/order/supervisor.ld";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |part: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    let is_dynamic = target("OS") == "linux" && target("ENV") == "gnu";
    let root = env::var("CARGO_MANIFEST_DIR")?;
    println!("cargo::rerun-if-changed={ORDER}");
    println!("cargo::rustc-link-arg-bin=trace-agent-extension=-Wl,-T,{root}/{ORDER}");
    if !is_dynamic || target("FEATURE").split(',').any(|feature| feature == "crt-static") {
        return Ok(());
    }
    if !has_archive() {
        println!("cargo::warning=no libc.a: trace-agent-extension is linked dynamically, and starts slower");
        return Ok(());
    }
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    for (name, script) in LIBRARIES {
        fs::write(folder.join(name), script)?;
    }
    let libraries = format!("-L{}", folder.display());
    for argument in [libraries, "-static".to_owned(), "-no-pie".to_owned()] {
        println!("cargo::rustc-link-arg-bin=trace-agent-extension={argument}");
    }
    Ok(())
}

/// True if the linker's C compiler knows a static C library; it answers with the bare name if not.
fn has_archive() -> bool {
    let compiler = env::var("RUSTC_LINKER").unwrap_or_else(|_| "cc".to_owned());
    let asked = Command::new(compiler).arg("-print-file-name=libc.a").output();
    asked.is_ok_and(|answer| Path::new(String::from_utf8_lossy(&answer.stdout).trim()).is_absolute())
}
