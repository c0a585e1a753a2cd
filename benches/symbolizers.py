#!/usr/bin/env python3
"""Whole processes side by side: trace-agent and the symbolizers that are installed, on one program.

    cargo build --release && benches/symbolizers.py PROGRAM [RUNS]

Fresh processes answer 1, 10, 1,000 and 100,000 addresses of PROGRAM on standard input, function names and inlined calls included, round robin
(A B C, A B C, ...), with the files in the page cache. Printed are the median CPU time (user and system), the peak resident memory, and both as
ratios to the best peer; memory below some 15 MiB is that of this script, from which each process begins. With valgrind installed, ICOUNT=1 counts instructions of one run each instead. Peers: addr2line (GNU), llvm-addr2line
(or llvm-addr2line-19), eu-addr2line, and whatever PEERS names: `PEERS='gimli=addr2line-gimli -a -f -i -C -e {};;...'`."""
import os, random, re, resource, shlex, shutil, statistics, subprocess, sys, tempfile

if len(sys.argv) < 2:
    sys.exit(__doc__)
PROGRAM, RUNS = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
OURS = os.environ.get("TRACE_AGENT", os.path.join(os.path.dirname(__file__), "../target/release/trace-agent"))
COUNTS = [1, 10, 1_000, 100_000]
# Its time grows with the square of the addresses: minutes for the last of the counts.
SLOW = {"elfutils": 1_000, "gnu": 1_000}


def tools():
    named = {
        "ours": f"{OURS} symbolize -a -f -i -C -e {{}}",
        "gnu": "addr2line -a -f -i -C -e {}",
        "llvm": ("llvm-addr2line-19" if shutil.which("llvm-addr2line-19") else "llvm-addr2line") + " -a -f -i -C -e {}",
        "elfutils": "eu-addr2line -A -a -f -i -C -e {}",
    }
    for peer in filter(None, os.environ.get("PEERS", "").split(";;")):
        name, command = peer.split("=", 1)
        named[name] = command
    commands = {name: [part.replace("{}", PROGRAM) for part in shlex.split(command)] for name, command in named.items()}
    for name in [name for name, command in commands.items() if not shutil.which(command[0])]:
        print(f"skipped {name}: no {commands.pop(name)[0]}")
    return commands


def addresses(count):
    """Bytes of functions, each as likely as its function is long; the same on each run."""
    text = subprocess.run(["readelf", "-sW", PROGRAM], capture_output=True, text=True, errors="replace").stdout
    functions = [(int(p[1], 16), int(p[2], 0)) for p in map(str.split, text.splitlines())
                 if len(p) >= 8 and p[3] == "FUNC" and p[6] != "UND" and int(p[2], 0) > 0]
    chance = random.Random(count)
    chosen = chance.choices(functions, [size for _, size in functions], k=count)
    return "".join(f"{start + chance.randrange(size):#x}\n" for start, size in chosen)


def run(command, input_path):
    """CPU seconds and MiB of one process."""
    with open(input_path) as given:
        child = subprocess.Popen(command, stdin=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = 0
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def instructions(command, input_path):
    with open(input_path) as given:
        said = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"] + command,
                              stdin=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True).stderr
    found = re.search(r"Collected : (\d+)", said)
    return int(found[1]) / 1e6 if found else float("nan")


def main():
    commands = tools()
    for count in COUNTS:
        fit = {name: command for name, command in commands.items() if count <= SLOW.get(name, count)}
        with tempfile.NamedTemporaryFile("w", suffix=".addresses") as given:
            given.write(addresses(count))
            given.flush()
            if os.environ.get("ICOUNT"):
                for name, command in fit.items():
                    print(f"{count:7} {name:10} {instructions(command, given.name):10.1f} million instructions")
                continue
            measured = {name: [] for name in fit}
            for _ in range(RUNS):
                for name, command in fit.items():
                    measured[name].append(run(command, given.name))
        median = {name: tuple(statistics.median(part) for part in zip(*runs)) for name, runs in measured.items()}
        peers = [name for name in median if name != "ours"]
        for name, (seconds, mib) in median.items():
            print(f"{count:7} {name:10} {1_000 * seconds:8.1f} ms {mib:7.1f} MiB")
        if peers and "ours" in median:
            time, memory = min(median[p][0] for p in peers), min(median[p][1] for p in peers)
            print(f"{count:7} ours: {time / max(median['ours'][0], 1e-4):.1f} times as fast as the best peer, "
                  f"{median['ours'][1] / memory:.2f} of the least memory\n")


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
main()
