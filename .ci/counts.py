#!/usr/bin/env python3
"""Counts the instructions of the hot paths under callgrind and compares them with what is committed below.

Usage: .ci/counts.py [PATH ...]   (builds benches/counts.rs; x86-64 with AVX2)

Time depends on what else the machine does; instructions depend on the code and the compiler alone. Prints a Markdown table
and exits with 1 when a path takes more than TOLERANCE over its limit. One that takes as much less says so: lower its limit.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOLERANCE = 0.05
# How often each path is walked by benches/counts.rs.
RECORDS = 20_000

# Instructions for each record of 100 bytes. What a new compiler makes of them may be committed too; say so.
LIMITS = {
    "put": 652,
    "put_string_key": 1598,
    "put_repeated_key": 782,
    "put_records": 733,
    "next_unverified": 54,
    "next_verified": 296,
    "to_bytes": 106,
}


def build():
    """The benchmark's executable."""
    command = ["cargo", "bench", "--quiet", "--no-run", "--bench", "counts", "--message-format", "json"]
    messages = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = [message["executable"] for message in map(json.loads, messages.splitlines())
             if message.get("executable") and message["target"]["name"] == "counts"]
    return found[-1]


def count(executable, path):
    """Instructions between entering and leaving the path's function, for each record."""
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "callgrind.out"
        subprocess.run(["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}",
                        "--collect-atstart=no", f"--toggle-collect=counts::counted_{path}", executable],
                       check=True, timeout=120)
        totals = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
        return round(int(totals.group(1)) / RECORDS)


def main(paths):
    if not shutil.which("valgrind"):
        print("skipped: instruction counts (valgrind is missing)")
        return 0
    executable = build()
    failed = False
    print("| path | instructions per record | limit |\n|---|---|---|")
    for path in paths or LIMITS:
        counted, limit = count(executable, path), LIMITS[path]
        print(f"| {path} | {counted} | {limit} |", flush=True)
        if counted == 0 or counted > limit * (1 + TOLERANCE):
            failed = True
            print(f"{path}: {counted} instructions instead of {limit}", file=sys.stderr)
        elif counted < limit * (1 - TOLERANCE):
            print(f"{path}: fewer than committed; set its limit to {counted}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
