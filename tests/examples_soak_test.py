#!/usr/bin/env python3
"""Thousands of echo connections at once: nothing lost, and the server's process holds afterwards what it held before.

Arguments: soak_echo_server; echo_clients, a program of the build machine; and, where there is one, soak_control, the same server
without Pier.

The server opens and closes three loops. The first two are for what the system sets up once and keeps: its table of sockets, the
C library's buffers, and what Wine keeps of threads (the stacks of the last one that ended until the next one does, and a page of 64 KiB
of each that was ever there at the same time). With the third one comes the soak, and what it leaves behind is looked at:

- what Pier itself has taken, counted at the calls (held.h), is given back to the byte, and a second and a third wave of clients take
  nothing more;
- the process as a whole holds as much as before, and its growth since the very start is the control's.
"""
import os
import resource
import subprocess
import sys
import time

from examples_support import PATIENCE_S, STRESS_S, WRAPPER, Server, Skip, case, check, finish

SERVER, CLIENTS = (os.path.abspath(path) for path in sys.argv[1:3])
CONTROL = [os.path.abspath(path) for path in sys.argv[3:4]]
# Under Wine each connection costs the server three descriptors, and the setting up alone takes seconds.
CONNECTIONS = 10000 if STRESS_S >= 30 and not WRAPPER else 2000
SECONDS = max(4, round(STRESS_S))
# Sixty-four bytes for each of 2,000 connections; an operation or a handle that leaks would be three times that. It is no more than what the
# system has between two of its own steps: 64 KiB under Wine, and what its heap keeps elsewhere.
GROWTH_KIB_MAX = 128


class Soaked(Server):
    """A server that is asked what its process holds."""

    def __init__(self, program, threads):
        super().__init__(program, "--threads", threads, "--connections", str(CONNECTIONS + 100), first_line=True)
        self.reports = []
        self.note("very start", self.start)

    def note(self, name, line):
        report = {word: int(value) for word, value in (word.split("=") for word in line.split() if "=" in word)}
        self.reports.append((name, report))
        return report

    def wave(self, name, seconds=1):
        """All clients come, and go again: (what they counted, what the process holds then)."""
        done = subprocess.run([CLIENTS, str(self.port), str(CONNECTIONS), str(seconds), "64"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=seconds + 120, check=False)
        check(done.returncode == 0, done.stdout)
        until = time.monotonic() + PATIENCE_S
        while True: # until it has noticed that all clients are gone
            self.tell("\n")
            line = self.line()
            if " connections=0 " in line or time.monotonic() > until:
                break
            time.sleep(0.1)
        report = self.note(name, line)
        check(report["connections"] == 0 and report["loop_handles"] == 1, f"all connections are closed: {line}")
        return dict(word.split("=") for word in done.stdout.split()), report

    def again(self, name):
        self.tell("again\n")
        report = self.note(name, self.line())
        self.listens()
        return report

    def done(self, name):
        self.process.stdin.close()
        report = self.note(name, self.line())
        self.end()
        return report

    def table(self):
        for name, report in self.reports:
            print(f"    {name + ':':<14} {report['handles']:3} handles, {report['private_kib']} KiB private,"
                  f" Pier's slabs {report['slab_bytes'] // 1024} KiB, heap blocks {report['heap_bytes']} bytes")


def enough_files():
    wanted = 4 * CONNECTIONS if WRAPPER else CONNECTIONS + 200
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Skip(f"{wanted} open files have to be allowed, not {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def warmed(program, threads):
    """A server that has had two loops, and what it held when the second was closed."""
    server = Soaked(program, threads)
    server.wave("wave 1")
    server.again("loop 1 closed")
    server.wave("wave 2")
    return server, server.again("loop 2 closed")


def same(later, earlier, words, what):
    for word in words:
        check(later[word] == earlier[word], f"{what}: {word} was {earlier[word]} and is {later[word]}")


def grown_little(later, earlier, what):
    growth_kib = later["private_kib"] - earlier["private_kib"]
    check(growth_kib <= GROWTH_KIB_MAX, f"{what}: memory has grown by {growth_kib} KiB")


def soak(threads):
    server, start = warmed(SERVER, threads)
    _, first = server.wave("first wave")
    counted, second = server.wave("second wave", SECONDS)
    _, third = server.wave("third wave")
    end = server.done("loop 3 closed")
    print(f"    {counted['round_trips']} round trips in {SECONDS} s")
    server.table()
    print(f"    Pier had {(first['slab_bytes'] + first['heap_bytes'] - start['heap_bytes']) // CONNECTIONS} bytes for each connection")
    check(counted["lost"] == "0" and counted["wrong"] == "0", f"{counted}")
    check(third["most"] == CONNECTIONS, f"all were connected at once: {third}")
    check(third["failures"] == 0, f"no read or write failed: {third}")
    check(start["handles"] > 0, "the system tells how many handles a process has")
    check(first["slab_bytes"] > 0, "what Pier holds is counted")
    for later, what in ((second, "the second wave"), (third, "the third wave")):
        same(later, first, ("handles", "slab_bytes", "heap_bytes"), what)
        grown_little(later, first, what)
    same(end, start, ("handles", "slab_bytes", "heap_bytes"), "the closed loop")
    check(end["slab_bytes"] == 0, "a closed loop has no slabs")
    grown_little(end, start, "the closed loop")
    return end["private_kib"] - server.reports[0][1]["private_kib"]


def compare(threads, growth_kib):
    """The same without Pier: whatever the process has more than at the very start, the system has taken."""
    server, _ = warmed(CONTROL[0], threads)
    server.wave("wave 3")
    control_kib = server.done("loop 3 closed")["private_kib"] - server.reports[0][1]["private_kib"]
    server.table()
    print(f"    since the very start: {growth_kib} KiB with Pier, {control_kib} KiB without")
    check(growth_kib - control_kib <= GROWTH_KIB_MAX, f"with Pier the process has kept {growth_kib - control_kib} KiB more than without")


def main():
    for threads in ("0", "2"):
        growth_kib = None
        with case(f"--threads {threads}: {CONNECTIONS} connections for {SECONDS} s, no loss and no leak"):
            enough_files()
            growth_kib = soak(threads)
        if CONTROL and growth_kib is not None:
            with case(f"--threads {threads}: what the process keeps of it, the system keeps without Pier too"):
                compare(threads, growth_kib)
    finish()


main()
