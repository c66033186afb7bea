#!/usr/bin/env python3
"""Measures pier, libuv and the floor in turn, A B C A B C, and prints the ratios. bench/run prepares everything and calls this."""

import argparse
import os
import sys

sys.dont_write_bytecode = True  # no __pycache__ beside the sources

import plot
import report
import wine
from programs import Failure, Programs
from samples import Samples, check_pair, check_same
from workloads import SIDES, WORKLOADS

ROUNDS = 5
ROUNDS_QUICK = 3
BUSY_LOAD = 1.5


def options_read():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="the build folder")
    parser.add_argument("--target", default="windows", choices=("windows", "native"))
    parser.add_argument("--quick", action="store_true", help="short rounds: a figure to see that it works, not one to quote")
    parser.add_argument("--only", metavar="NAME", help="only the workloads whose name contains NAME")
    parser.add_argument("--rounds", type=int, help=f"rounds per workload ({ROUNDS}; with --quick {ROUNDS_QUICK})")
    parser.add_argument("--sides", default=",".join(SIDES), help="which sides to run, separated by commas")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    parser.add_argument("--plot", metavar="DIR", help="draw SVG charts into DIR")
    parser.add_argument("--no-pin", dest="pin", action="store_false", help="let the programs use every processor")
    options = parser.parse_args()
    options.sides = options.sides.split(",")
    options.rounds = options.rounds or (ROUNDS_QUICK if options.quick else ROUNDS)
    if options.target == "native":
        parser.error("native comes with the Linux backends; --target windows is what there is")
    if options.rounds < 1 or not set(options.sides) <= set(SIDES):
        parser.error(f"--rounds must be 1 or more, --sides some of {','.join(SIDES)}")
    return options


class Progress:
    """One line on a terminal that is written over; nothing where there is none."""

    def __init__(self, total):
        self.total = total
        self.done = 0
        self.shown = sys.stderr.isatty()

    def step(self, text):
        self.done += 1
        if self.shown:
            sys.stderr.write(f"\r\033[K[{self.done}/{self.total}] {text}")
            sys.stderr.flush()

    def clear(self):
        if self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


class Harness:
    def __init__(self, options):
        self.options = options
        self.programs = Programs(options.build, options.pin)
        self.workloads = [w for w in WORKLOADS if not options.only or options.only in w.name]
        runs = sum(len(w.columns(options.sides)) * (options.rounds + 1) for w in self.workloads)
        self.progress = Progress(runs)
        self.measured = []
        self.failures = []

    def run_once(self, workload, column, gate=None, shorter=1):
        arguments = dict(workload.arguments(self.options.quick))
        for name in ("operations", "milliseconds"):
            if name in arguments:
                arguments[name] = max(1, arguments[name] // shorter)
        arguments["workload"] = workload.program
        if column.form:
            arguments["form"] = column.form
        if workload.needs_file:
            arguments["path"] = self.file
        start = {"alone": self.programs.alone, "tcp": self.programs.with_tcp_client, "pipe": self.programs.with_pipe_client}
        server, client = start[workload.kind](column.side, arguments, gate)
        check_pair(column.name, server, client)
        return server, client

    def measure(self, workload):
        """All rounds of a workload, the columns in turn, and one short run each in which calls are counted."""
        columns = workload.columns(self.options.sides)
        samples = {column.name: Samples(column) for column in columns}
        first = None
        if workload.needs_file:
            self.file = self.programs.read_file()
        for number in range(self.options.rounds):
            for column in columns:
                self.progress.step(f"{workload.name}: round {number + 1} of {self.options.rounds}, {column.name}")
                server, client = self.run_once(workload, column)
                if client is None:
                    first = first or server
                    check_same(column.name, server, first)
                samples[column.name].add(workload, server, client)
        self.count_calls(workload, columns, samples)
        return samples

    def count_calls(self, workload, columns, samples):
        server_pid = wine.server_pid() if self.programs.wine else None
        for column in columns:
            self.progress.step(f"{workload.name}: counting calls, {column.name}")
            if self.programs.wine:
                server, _ = self.run_once(workload, column, lambda pid: wine.counters(pid, server_pid), shorter=4)
                samples[column.name].count(server)

    def measure_all(self):
        for workload in self.workloads:
            try:
                samples = self.measure(workload)
                self.measured.append((workload, samples))
                self.progress.clear()
                print(report.line(workload, samples), flush=True)
            except Failure as failure:
                self.failures.append(f"{workload.name}: {failure}")
                self.progress.clear()
                print(f"{workload.name:<18}ERROR {failure}", flush=True)

    def sizes(self):
        found = {}
        for side in self.options.sides:
            result, _ = self.programs.alone(side, {"workload": "sizes"})
            found[side] = {name: value for name, value in result.items()
                           if name.startswith(("operation_", "handle_")) or name in ("timer", "loop")}
        return found

    def version(self):
        if "libuv" not in self.options.sides:
            return "not measured"
        result, _ = self.programs.alone("libuv", {"workload": "version"})
        return ".".join(str(int(result[part])) for part in ("major", "minor", "patch"))


def warn_if_busy():
    """Interleaving shares a disturbance fairly among the sides, but does not make it small."""
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > BUSY_LOAD:
        print(f"note: other programs are at work here (load {os.getloadavg()[0]:.1f}); expect wide spreads", flush=True)


def run(options):
    harness = Harness(options)
    if not harness.workloads:
        raise Failure(f"no workload's name contains '{options.only}': " + " ".join(w.name for w in WORKLOADS))
    missing = [side for side in options.sides if not harness.programs.has(side)]
    if missing:
        raise Failure("not built: " + ", ".join(f"bench_{side}.exe" for side in missing))
    version, sizes = harness.version(), harness.sizes()
    warn_if_busy()
    harness.measure_all()
    if harness.measured:
        report.closing(harness.measured, sizes, version)
    settings = {"target": options.target, "quick": options.quick, "pinned": options.pin, "rounds_per_workload": options.rounds}
    if options.json:
        report.write_json(options.json, harness.measured, harness.failures, sizes, version, settings)
    if options.plot and harness.measured:
        plot.charts(options.plot, harness.measured)
    for failure in harness.failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if harness.failures else 0


def main():
    options = options_read()
    try:
        return run(options)
    except Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141  # whoever read this has gone


if __name__ == "__main__":
    sys.exit(main())
