#!/usr/bin/env python3
"""Lets libFuzzer loose on the targets in a build folder, on each backend that they know.

With a time it goes on for so long and keeps what it has found in the build folder; without one it makes a fixed number of runs from the
committed corpus with a fixed seed. An input that does harm is written to the build folder and named.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# target: the backends that it makes a difference for, the runs of a short visit
TARGETS = {"address": (("",), 200000), "calls": (("uring", "epoll"), 1500), "packets": (("epoll",), 20000), "ring": (("uring",), 5000)}


def fuzz(build, target, backend, runs, options):
    """(whether all went well, what to say)"""
    # libFuzzer puts what it finds into the first folder. A short visit begins each time where the last one did.
    found = build / "corpus" / f"{target}-{backend or 'any'}"
    if not options.seconds:
        found = build / "corpus" / "visit"
        shutil.rmtree(found, ignore_errors=True)
    found.mkdir(parents=True, exist_ok=True)
    limit = f"-max_total_time={options.seconds}" if options.seconds else f"-runs={runs}"
    command = [build / "tests/fuzz" / f"{target}_fuzz", "-seed=1", "-max_len=500", "-len_control=10", "-timeout=60", limit,
               f"-artifact_prefix={build / 'corpus' / target}-", found, HERE / "corpus" / target]
    environment = dict(os.environ, PIER_BACKEND=backend) if backend else os.environ
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          env=environment, check=False)
    count, edges = re.search(r"Done (\d+) runs", done.stdout), re.findall(r"cov: (\d+)", done.stdout)
    if done.returncode or not count:
        return False, done.stdout
    return True, f"{count[1]} inputs, {edges[-1] if edges else 0} edges"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--seconds", type=int, default=0, help="for each target and backend; 0: the short visit")
    parser.add_argument("--only", default="")
    parser.add_argument("--without", default="", help="a backend that this system has not")
    parser.add_argument("--totals", help="a file that gets a line with the three numbers")
    options = parser.parse_args()
    passed = failed = skipped = 0
    for target, (backends, runs) in TARGETS.items():
        for backend in backends:
            name = f"fuzz {target}" + (f" on {backend}" if backend else "")
            if options.only not in name:
                continue
            if backend and backend == options.without:
                print(f"skipped  {name}: this system has no {backend}", flush=True)
                skipped += 1
                continue
            good, said = fuzz(options.build, target, backend, runs, options)
            passed += good
            failed += not good
            print(f"ok - {name}: {said}" if good else f"not ok - {name}\n{said}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    if options.totals:
        with open(options.totals, "a", encoding="utf-8") as file:
            print(passed, failed, skipped, file=file)
    sys.exit(1 if failed else 0)


main()
