#!/usr/bin/env python3
"""Writes supervisor.ld: where the code lies that the extension runs while nothing fails.

A page fault costs as much as a system call, and the kernel maps 64 KiB around each. The supervisor's 0.4 MB, strewn over a program of ten, are
thirty faults of an initialization that the owner pays for, and two mebibytes of the function's memory. So the linker puts first what runs.

What runs is recorded with callgrind while the real extension serves an invocation that goes well: the one that is linked against the system's C
library, and the layer's. Hashes in names become wildcards, so the list outlives the next build; a name that no longer exists matches nothing, and
costs a fault.

    cargo build --release --workspace && CARGO_PROFILE_LAYER_STRIP=none cargo layer --arch x86_64 && extension-layer/order/order.py

needs valgrind, nm and awslambdaric (any run of the tests installs it).
"""

import os
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXTENSIONS = [
    ROOT / "target/release/trace-agent-extension",
    ROOT / "target/x86_64-unknown-linux-musl/layer/trace-agent-extension",
]
AGENT = ROOT / "target/release/trace-agent"
PYTHON = ROOT / "target/peers/awslambdaric/bin/python3"
SCRIPT = pathlib.Path(__file__).with_name("supervisor.ld")

HEAD = """\
/* Written by order.py, which says why. Sections that run while nothing fails, in the extension; what is not listed follows. */
SECTIONS
{
  .text.worker : { *(.text*.*trace_extension6worker* .text*.*trace_extension..worker*) }
  .text.supervisor : {
    *(.text*.*trace_extension*)
"""
TAIL = """\
  }
}
INSERT BEFORE .text;
"""


def recorded(extension):
    """The mangled names of the functions of `extension` that ran."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "callgrind")
        wrapper = pathlib.Path(folder, "trace-agent-extension")
        wrapper.write_text(
            "#!/bin/sh\n"
            f"exec valgrind -q --tool=callgrind --demangle=no --callgrind-out-file={out} {extension}\n"
        )
        wrapper.chmod(0o755)
        pathlib.Path(folder, "app.py").write_text("def handler(event, context):\n    print('all is well')\n")
        command = [AGENT, "local", "--extension", wrapper, "--handler-cmd", f"{PYTHON} -m awslambdaric app.handler"]
        command += ["--event", "{}", "--timeout", "60"]
        for arguments in ([], ["--no-proxy"]):
            subprocess.run(command + arguments, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            yield from re.findall(r"^c?fn=\(\d+\) (\S+)", out.read_text(), re.MULTILINE)


def members():
    """The member of the C library that each of its functions comes from."""
    libc = subprocess.run(["cc", "-print-file-name=libc.a"], capture_output=True, text=True, check=True).stdout.strip()
    listing = subprocess.run(["nm", "-A", "--defined-only", libc], capture_output=True, text=True).stdout
    for line in listing.splitlines():
        place, _, kind, name = (line.split(":", 2)[1:] + [""])[0], *line.rsplit(" ", 2)
        if kind in "tTwWi":
            yield name, place


def files(member):
    """`member` of the C library, and its kin: callgrind's processor is an older one, and the library chooses by processor."""
    base = re.sub(r"-(avx|sse|evex)[^.]*", "", member)
    variants = ("avx2", "avx512", "evex", "avx-") if base != member else ()
    return {member} | {base.replace(".o", f"-{variant}*.o") for variant in variants}


def patterns():
    ran = {name.split("'")[0].split("@")[0] for extension in EXTENSIONS for name in recorded(extension)}
    places = dict(members())
    own, library = set(), set()
    for name in ran:
        if name.startswith("_ZN"):
            own.add(re.sub(r"17h[0-9a-f]{16}E.*", "17h*", name))
        elif name.startswith("_R"):
            own.add(re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name.split(".llvm.")[0]) + "*")
        elif re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            # The layer's C library has a section for each function, the system's a file.
            own.add(name)
            library |= files(places[name]) if name in places else set()
    own = {name for name in own if "trace_extension" not in name}
    # Code that the compiler takes for unlikely has a section of that name.
    yield from (f"*(.text*.{name})" for name in sorted(own))
    # What another processor needs, or another state of /tmp, and how the C library chooses by processor.
    library |= {"dl-object.o", "unlink.o", "strcmp-avx2*.o", "strcmp-evex*.o", "stat64.o", "lstat64.o"}
    yield "*libm*.a:e_pow.o(.text .text.*)"
    yield "*libgcc_eh.a:unwind-dw2-fde-dip.o(.text .text.*)"
    yield from (f"*libc.a:{member}(.text .text.*)" for member in sorted(library))


def main():
    if not PYTHON.exists():
        raise SystemExit(f"{PYTHON} is missing; run the tests once")
    lines = list(patterns())
    SCRIPT.write_text(HEAD + "".join(f"    {line}\n" for line in lines) + TAIL)
    print(f"{len(lines)} patterns in {os.path.relpath(SCRIPT)}")


if __name__ == "__main__":
    main()
