#!/usr/bin/env python3
"""Line coverage of the three rooms, from what the instrumented programs in a build folder have left behind.

Prints a line for each room, and each file that is under the mark; fails if a room is. Counted are the files that the target
builds: the common ones and those of its system.
"""
import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("poller", "runtime", "io")
GCOV = {"native": "gcov", "windows": "x86_64-w64-mingw32-gcov-win32"}


def measure(build, gcov):
    """The lines of each file: {path: {line: was run}}."""
    command = ["gcovr", "--root", ROOT, "--json", "--gcov-executable", gcov]
    for room in ROOMS:
        command += ["--filter", f"{room}/"]
    done = subprocess.run([str(word) for word in [*command, build]], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return {file["file"]: {line["line_number"]: line["count"] > 0 for line in file["lines"] if not line["gcovr/noncode"]}
            for file in json.loads(done.stdout)["files"]}


def ranges(numbers):
    """1 2 3 7 as "1-3 7"."""
    spans = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return " ".join(f"{first}-{last}" if last > first else str(first) for first, last in spans)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("target", choices=GCOV)
    parser.add_argument("--at-least", type=float, default=0, help="fail if a room has fewer percent of its lines")
    parser.add_argument("--missed", action="store_true", help="name every line that was not run")
    options = parser.parse_args()
    files = measure(options.build, GCOV[options.target])
    totals = defaultdict(lambda: [0, 0])
    for path, lines in sorted(files.items()):
        run = sum(lines.values())
        for name in (path.split("/")[0], "all"):
            totals[name][0] += run
            totals[name][1] += len(lines)
        missed = [number for number, was_run in sorted(lines.items()) if not was_run]
        if missed and (options.missed or run * 100 < options.at_least * len(lines)):
            print(f"{path}: {run} of {len(lines)} lines; not run: {ranges(missed)}")
    low = False
    for name in (*ROOMS, "all"):
        run, count = totals[name]
        percent = 100 * run / count if count else 0
        low = low or percent < options.at_least
        print(f"coverage  {options.target}  {name + '/' if name != 'all' else name:<9} {percent:5.1f} % of {count} lines")
    if low:
        print(f"coverage  {options.target}  a room has less than {options.at_least:g} %")
    sys.exit(1 if low else 0)


main()
