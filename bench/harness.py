#!/usr/bin/env python3
"""Measures Pier's backends, libuv and the floors in turn, A B C C B A, and prints the ratios. bench/run prepares everything and calls this."""

import argparse
import os
import sys

sys.dont_write_bytecode = True  # no __pycache__ beside the sources

import calls
import instructions
import plot
import report
import wine
from columns import MAIN, SIDES, TARGETS, columns_of
from programs import Failure, Programs
from samples import Measured, check_pair, check_same
from workloads import WORKLOADS

ROUNDS_QUICK = 3
PATIENCE_QUICK = 3
BUSY_LOAD = 1.5
SHORTER_COUNTED = 4  # a program that strace or the simulator slows down is given less to do,
SHORTER_SIMULATED = 20
COUNTED_MILLISECONDS = 500  # or where it goes by the time, so much that its beginning and end do not show


def options_read():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="the build folder")
    parser.add_argument("--target", required=True, choices=TARGETS)
    parser.add_argument("--backends", help="which of the target's backends, separated by commas")
    parser.add_argument("--quick", action="store_true", help="short rounds: a figure to see that it works, not one to quote")
    parser.add_argument("--only", metavar="NAME", help="only the workloads whose name contains NAME")
    parser.add_argument("--rounds", type=int, help=f"rounds per workload (" + ", ".join(f"{t.name} {t.rounds}" for t in TARGETS.values()) + f"; with --quick {ROUNDS_QUICK})")
    parser.add_argument("--sides", default=",".join(SIDES), help="which sides to run, separated by commas")
    parser.add_argument("--instructions", action="store_true", help="count instructions with --quick too")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE")
    parser.add_argument("--plot", metavar="DIR", help="draw SVG charts into DIR")
    parser.add_argument("--no-pin", dest="pin", action="store_false", help="let the programs use every processor")
    options = parser.parse_args()
    options.target = TARGETS[options.target]
    options.sides = options.sides.split(",")
    options.backends = options.backends.split(",") if options.backends else list(options.target.backends)
    options.rounds = options.rounds or (ROUNDS_QUICK if options.quick else options.target.rounds)
    if options.rounds < 1 or not set(options.sides) <= set(SIDES):
        parser.error(f"--rounds must be 1 or more, --sides some of {','.join(SIDES)}")
    if not set(options.backends) <= set(options.target.backends):
        parser.error(f"--backends must be some of {','.join(options.target.backends)}")
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
        self.target = options.target
        self.programs = Programs(options.target, options.build, options.pin)
        self.workloads = [w for w in WORKLOADS if (not options.only or options.only in w.name) and self.target.name in w.targets]
        self.notes = []
        self.gate = self._gate()
        self.simulate = self._simulates()
        self.progress = Progress(sum(len(self.columns(w)) * self.runs(w) for w in self.workloads))
        self.measured = []
        self.failures = []

    def _gate(self):
        """What counts the calls, or None where nothing can."""
        if self.target.windows:
            return wine.Calls if self.programs.wine else None
        reason = calls.why_not()
        if reason:
            self.notes.append(f"system calls are not counted: {reason}")
        return None if reason else calls.Calls

    def _simulates(self):
        if self.target.windows or (self.options.quick and not self.options.instructions):
            return False
        reason = instructions.why_not()
        if reason:
            self.notes.append(f"instructions are not counted: {reason}")
        return not reason

    def columns(self, workload):
        return workload.columns(self.target, self.options.backends, self.options.sides)

    def light(self, workload):
        return workload.heavy and self.options.quick

    def rounds(self, workload):
        patience = 1 if self.target.windows else min(workload.patience, PATIENCE_QUICK) if self.options.quick else workload.patience
        return patience if self.light(workload) else self.options.rounds * patience

    def runs(self, workload):
        simulated = self.simulate and not workload.heavy
        return self.rounds(workload) + (0 if self.light(workload) else bool(self.gate) + simulated)

    def run_once(self, workload, column, shorter=1, **how):
        arguments = dict(workload.arguments(self.target, self.options.quick))
        if "operations" in arguments:
            arguments["operations"] = max(1, arguments["operations"] // shorter)
        if "milliseconds" in arguments and shorter > 1:
            arguments["milliseconds"] = COUNTED_MILLISECONDS
        arguments["workload"] = workload.program
        if column.way.form:
            arguments["form"] = column.way.form
        if workload.needs_file:
            arguments["path"] = self.file
        start = {"alone": self.programs.alone, "tcp": self.programs.with_tcp_client, "pipe": self.programs.with_pipe_client}
        server, client = start[workload.kind](column, arguments, **how)
        check_pair(column.title, server, client)
        return server, client

    def measure(self, workload):
        """All rounds of a workload, the columns in turn, and short runs of each in which calls and instructions are counted."""
        measured = Measured(workload, self.columns(workload))
        first = None
        self.programs.set_pinned(workload.pinned)
        if workload.needs_file:
            self.file = self.programs.file(workload.needs_file, workload.options)
        for number in range(self.rounds(workload)):
            columns = list(measured.samples.items())
            # Back and forth: what changes steadily meanwhile is then for nobody and against nobody.
            for column, samples in reversed(columns) if number % 2 else columns:
                self.progress.step(f"{workload.name}: round {number + 1} of {self.rounds(workload)}, {column.title}")
                server, client = self.run_once(workload, column)
                if client is None:
                    first = first or server
                    check_same(column.title, server, first)
                samples.add(workload, server, client)
        if not self.light(workload):
            for column, samples in measured.samples.items():
                self.count(workload, column, samples)
        return measured

    @staticmethod
    def counts_calls(workload, column):
        """With strace on it, each callback of Pier's threads that have a ring takes so long that they call one another for it."""
        return not (column.backend == "uring" and column.way.side == "pier" and workload.options.get("threads", 1) > 1 and workload.program == "tcp_scale")

    def count(self, workload, column, samples):
        if self.gate and self.counts_calls(workload, column):
            self.progress.step(f"{workload.name}: counting calls, {column.title}")
            gate = self.gate()
            try:
                samples.count(self.run_once(workload, column, SHORTER_COUNTED, gate=gate)[0])
            finally:
                gate.close()
        # The simulator runs one thread at a time, and does not know that a thread which waits in io_uring_enter lets others run.
        if self.simulate and not workload.heavy and not (workload.threads and column.backend == "uring"):
            self.progress.step(f"{workload.name}: counting instructions, {column.title}")
            self.count_instructions(workload, column, samples)

    def count_instructions(self, workload, column, samples):
        """What the simulator cannot run has no count, and is measured all the same."""
        simulator = instructions.Simulator()
        try:
            server, _ = self.run_once(workload, column, SHORTER_SIMULATED, under=simulator.command())
            samples.simulate(server, simulator.instructions())
        except Failure as failure:
            self.progress.clear()
            print(f"note: {workload.name}: no count of instructions: {failure}", flush=True)

    def measure_all(self):
        for workload in self.workloads:
            try:
                measured = self.measure(workload)
                self.measured.append(measured)
                self.progress.clear()
                for backend in self.options.backends:
                    print(report.line(measured, self.target, backend), flush=True)
            except Failure as failure:
                self.failures.append(f"{workload.name}: {failure}")
                self.progress.clear()
                print(f"{workload.name:<22}ERROR {failure}", flush=True)

    def main_columns(self):
        return columns_of(MAIN, self.target, self.options.backends, self.options.sides)

    def sizes(self):
        found = {}
        for column in self.main_columns():
            result, _ = self.programs.alone(column, {"workload": "sizes"})
            found[column.title] = {name: value for name, value in result.items()
                                   if name.startswith(("operation_", "handle_")) or name in ("timer", "loop")}
        return found

    def version(self):
        for column in self.main_columns():
            if column.way.side == "libuv":
                result, _ = self.programs.alone(column, {"workload": "version"})
                return ".".join(str(int(result[part])) for part in ("major", "minor", "patch"))
        return "not measured"


def warn_if_busy():
    """Interleaving shares a disturbance fairly among the sides, but does not make it small."""
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > BUSY_LOAD:
        print(f"note: other programs are at work here (load {os.getloadavg()[0]:.1f}); expect wide spreads", flush=True)


def run(options):
    harness = Harness(options)
    if not harness.workloads:
        raise Failure(f"no workload's name contains '{options.only}': " + " ".join(w.name for w in WORKLOADS))
    missing = [harness.programs.path(column.program).name for column in harness.main_columns() if not harness.programs.has(column)]
    if missing:
        raise Failure("not built: " + ", ".join(missing))
    version, sizes = harness.version(), harness.sizes()
    for note in harness.notes:
        print(f"note: {note}", flush=True)
    warn_if_busy()
    harness.measure_all()
    results = report.Results(options.target, options.backends, harness.main_columns(), harness.measured, sizes, version)
    if harness.measured:
        report.closing(results)
    settings = {"target": options.target.name, "quick": options.quick, "pinned": options.pin, "rounds_per_workload": options.rounds}
    if options.json:
        report.write_json(options.json, results, harness.failures, settings)
    if options.plot and harness.measured:
        plot.charts(options.plot, results)
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
