#!/usr/bin/env python3
"""Thousands of echo connections at once: nothing lost, and the server's process holds afterwards what it held before.

Arguments: soak_echo_server, and echo_clients, a program of the build machine.
"""
import os
import resource
import subprocess
import sys
import time

from examples_support import PATIENCE_S, STRESS_S, WRAPPER, Server, Skip, case, check, finish

SERVER, CLIENTS = (os.path.abspath(path) for path in sys.argv[1:3])
# Under Wine each connection costs the server three descriptors, and the setting up alone takes seconds.
CONNECTIONS = 10000 if STRESS_S >= 30 and not WRAPPER else 2000
SECONDS = max(4, round(STRESS_S))
# What a wave of 2,000 connections may leave behind, when the one before has left its own: a leaked operation or handle for each
# would be 375 KiB. After the loop is closed, the system's own tables of sockets and its heap's bookkeeping are still there.
WAVE_KIB_MAX = 256
WAVES_MORE = 3
END_KIB_MAX = 4096  # Wine keeps the stacks of threads that ended: a mebibyte each, once


def clients(server, seconds, connections=CONNECTIONS):
    done = subprocess.run([CLIENTS, str(server.port), str(connections), str(seconds), "64"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=seconds + 120, check=False)
    check(done.returncode == 0, done.stdout)
    return dict(word.split("=") for word in done.stdout.split())


def numbers(line):
    return {name: int(value) for name, value in (word.split("=") for word in line.split() if "=" in word)}


def settled(server):
    """What the process holds when it has noticed that all clients are gone."""
    until = time.monotonic() + PATIENCE_S
    while True:
        server.tell("report\n")
        now = numbers(server.line())
        if now["connections"] == 0 or time.monotonic() > until:
            check(now["connections"] == 0 and now["loop_handles"] == 1, f"all connections are closed: {now}")
            return now
        time.sleep(0.1)


def enough_files():
    wanted = 4 * CONNECTIONS if WRAPPER else CONNECTIONS + 200
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Skip(f"{wanted} open files have to be allowed, not {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def soak(threads):
    server = Server(SERVER, "--threads", threads, "--connections", str(CONNECTIONS + 100), first_line=True)
    start = numbers(server.start)
    clients(server, 1)
    before = settled(server)
    counted = clients(server, SECONDS)
    after = settled(server)
    for _ in range(WAVES_MORE):
        # The system may start a thread of its own in between, whose stack is more than the whole allowance: once. A leak goes on.
        if after["private_kib"] - before["private_kib"] <= WAVE_KIB_MAX:
            break
        clients(server, 1)
        before, after = after, settled(server)
    end = numbers(server.end())
    print(f"    {counted['round_trips']} round trips in {SECONDS} s")
    # A loop keeps its slabs until it is closed, so this is what it had when all were connected.
    print(f"    {1024 * (after['private_kib'] - start['private_kib']) // CONNECTIONS} bytes of the process for each connection, threads included, the server's own buffers not")
    for name, was in (("start", start), ("first wave", before), ("second wave", after), ("end", end)):
        print(f"    {name}: {was['handles']} handles, {was['private_kib']} KiB private")
    check(counted["lost"] == "0" and counted["wrong"] == "0", f"{counted}")
    check(after["most"] == CONNECTIONS, f"all were connected at once: {after}")
    check(after["failures"] == 0, f"no read or write failed: {after}")
    check(start["handles"] > 0, "the system tells how many handles a process has")
    check(after["handles"] == before["handles"], f"handles: {before['handles']} before, {after['handles']} after")
    check(end["handles"] == start["handles"], f"handles: {start['handles']} at the start, {end['handles']} at the end")
    for later, earlier, most_kib in ((after, before, WAVE_KIB_MAX), (end, start, END_KIB_MAX)):
        growth_kib = later["private_kib"] - earlier["private_kib"]
        check(growth_kib <= most_kib, f"memory has grown by {growth_kib} KiB")


def main():
    for threads in ("0", "2"):
        with case(f"--threads {threads}: {CONNECTIONS} connections for {SECONDS} s, no loss and no leak"):
            enough_files()
            soak(threads)
    finish()


main()
