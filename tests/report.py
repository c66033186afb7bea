#!/usr/bin/env python3
"""Runs `meson test` in a build folder, counts the single cases inside each program and closes with a line of totals.

A case is a line of cmocka ("[       OK ] name") or of a script ("ok - name", "not ok - name", "ok - name # SKIP why").
A program that prints none counts as one case; one that ends badly without a failed case counts as one failure.
"""
import argparse
import json
import os
import re
import subprocess
import sys

CMOCKA = re.compile(r"^\[\s*(RUN|OK|FAILED|SKIPPED)\s*\] (\S+)$")
SCRIPT = re.compile(r"^(not )?ok\b(?: \d+)?(?: -)? ?(.*?)(?:\s*# SKIP\s*(.*))?$", re.I)
PROGRESS = re.compile(r"^\s*(\d+)/(\d+) (\S.*?)\s+(OK|FAIL|SKIP|TIMEOUT|ERROR|INTERRUPT)\b")
TERMINAL = sys.stdout.isatty()


class Totals:
    def __init__(self):
        self.passed = self.failed = 0
        self.skips = []
        self.failures = []

    def line(self):
        return f"{self.passed} passed, {self.failed} failed, {len(self.skips)} skipped"


def read_cases(text):
    """(outcome, name, reason) of each case; the last line that starts with "skip:" before a skip is its reason."""
    cases, started, reason = [], None, ""
    for line in text.splitlines():
        line = line.strip()
        cmocka, script = CMOCKA.match(line), SCRIPT.match(line)
        if line.lower().startswith("skip:"):
            reason = line[5:].strip()
        elif cmocka and cmocka[1] == "RUN":
            started, reason = cmocka[2], ""
        elif cmocka and cmocka[2] == started:
            # cmocka repeats the failed and skipped names at the end: those come without a RUN before them.
            cases.append((cmocka[1], cmocka[2], reason))
            started = None
        elif script:
            skipped = script[3] is not None
            cases.append(("FAILED" if script[1] else "SKIPPED" if skipped else "OK", script[2], script[3] or ""))
    if started:
        cases.append(("FAILED", started, "did not end"))
    return cases


def count(record, totals):
    """Adds one program's cases; true when the program failed."""
    cases = read_cases(merge(record))
    result = record["result"]
    ended_badly = result not in ("OK", "SKIP", "EXPECTEDFAIL")
    failures = sum(case[0] == "FAILED" for case in cases)
    if not cases:
        cases = [("FAILED" if ended_badly else "SKIPPED" if result == "SKIP" else "OK", record["name"], last_line(record.get("stdout") or ""))]
    elif ended_badly and not failures:
        cases.append(("FAILED", record["name"], result))
    for outcome, name, reason in cases:
        totals.passed += outcome == "OK"
        totals.failed += outcome == "FAILED"
        if outcome == "FAILED":
            totals.failures.append(f"{plain(record['name'])}: {name}")
        if outcome == "SKIPPED":
            totals.skips.append(f"{plain(record['name'])}: {name}: {reason or 'no reason given'}")
    return ended_badly or failures > 0


def merge(record):
    """cmocka says FAILED on standard error and the rest on standard output; RUN without an end is then not one that hangs."""
    output, errors = record.get("stdout") or "", record.get("stderr") or ""
    failed = set(re.findall(r"^\[\s*FAILED\s*\] (\S+)\s*$", errors, re.M))
    lines = []
    for line in output.splitlines():
        lines.append(line)
        run = CMOCKA.match(line.strip())
        if run and run[1] == "RUN" and run[2] in failed:
            lines.append(f"[  FAILED  ] {run[2]}")
    return "\n".join(lines)


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"^skip:\s*", "", lines[-1]) if lines else ""


def plain(name):
    """The test's own name: meson puts the project and the suite before it."""
    return re.split(r"[:/]", name)[-1].strip()


def show(record):
    print(f"--- {plain(record['name'])}: {record['result']}, {record['duration']:.1f} s, exit code {record['returncode']}")
    for stream in ("stdout", "stderr"):
        text = (record.get(stream) or "").rstrip().replace("\r\n", "\n")
        if text:
            print(text)


def progress(line, totals_text):
    match = PROGRESS.match(line)
    if not match:
        return
    number, total, name, result = match[1], match[2], match[3], match[4]
    if TERMINAL:
        print(f"\r\033[K[{number}/{total}] {plain(name)} {result.lower()}{totals_text}", end="", flush=True)


def in_suite(suite):
    return ["--suite", suite] if suite else []


def chosen(build, wanted, suite):
    # It fails when there is nothing to list, and main says so.
    listed = subprocess.run(["meson", "test", "-C", build, "--list", "--no-rebuild", *in_suite(suite)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True, check=False).stdout
    names = [plain(line) for line in listed.splitlines() if line.strip() and not line.startswith("ninja:")]
    return [name for name in names if wanted in name]


def run_once(build, names, options, totals, text):
    # meson puts the wrapper's name into the log's.
    kind = "-" + os.path.basename(options.wrapper.split()[0]) if options.wrapper else ""
    log = os.path.join(build, "meson-logs", f"testlog{kind}.json")
    if os.path.exists(log):
        os.remove(log)
    # Stress tests go on for the given time each, so the limits grow by it.
    factor = options.slow * (1 + options.stress / 10)
    command = ["meson", "test", "-C", build, "--no-rebuild", "--num-processes", "1", "--timeout-multiplier", str(factor)]
    command += (["--wrapper", options.wrapper] if options.wrapper else []) + in_suite(options.suite) + names
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace") as child:
        other = []
        for line in child.stdout:
            other.append(line)
            progress(line, text)
    if TERMINAL:
        print("\r\033[K", end="", flush=True)
    if not os.path.exists(log):
        print("".join(other), file=sys.stderr)
        sys.exit("meson test did not run")
    with open(log, encoding="utf-8", errors="replace") as lines:
        records = [json.loads(line) for line in lines]
    for record in records:
        if count(record, totals) or options.verbose:
            show(record)
    if len(records) < len(names):
        print(f"only {len(records)} of {len(names)} programs ran")
        totals.failed += len(names) - len(records)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--only", default="")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--stress", type=float, default=0)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--slow", type=float, default=1, help="how much longer than usual a program may take")
    parser.add_argument("--suite", default="", help="only the programs of this suite of meson's")
    parser.add_argument("--wrapper", default="", help="a command that the programs are run under")
    parser.add_argument("--totals", help="a file that gets a line with the three numbers")
    options = parser.parse_args()
    names = chosen(options.build, options.only, options.suite)
    if not names:
        sys.exit(f"no test has '{options.only}' in its name" if options.only else "there are no tests")
    totals = Totals()
    for turn in range(options.repeat):
        text = f"   turn {turn + 1} of {options.repeat}: {totals.line()}" if options.repeat > 1 else ""
        run_once(options.build, names, options, totals, text)
    for skip in sorted(set(totals.skips)):
        print(f"skipped  {skip}")
    for failure in totals.failures:
        print(f"FAILED   {failure}")
    print(totals.line())
    if options.totals:
        with open(options.totals, "a", encoding="utf-8") as file:
            print(totals.passed, totals.failed, len(totals.skips), file=file)
    sys.exit(1 if totals.failed else 0)


main()
