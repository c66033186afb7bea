#!/usr/bin/env python3
"""http_server.exe under wrk: 100 connections for some seconds, and not one error. Argument: the program."""
import os
import re
import subprocess
import sys

from examples_support import STRESS_S, Server, case, check, content, finish, folder, need, target_path

PROGRAM = os.path.abspath(sys.argv[1])
SECONDS = max(3, round(STRESS_S / 4))


def wrk(url):
    need("wrk")
    done = subprocess.run(["wrk", "-c100", "-t2", f"-d{SECONDS}s", "--timeout", "10s", url], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=SECONDS + 60, check=False)
    check(done.returncode == 0, done.stdout)
    check("Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    check(rate and float(rate[1]) > 100, done.stdout)
    return float(rate[1])


def main():
    root = folder()
    with open(os.path.join(root, "small.txt"), "wb") as file:
        file.write(content(1000))
    for threads in ("0", "2"):
        server = Server(PROGRAM, "--threads", threads, "--root", target_path(root))
        for path in ("/plaintext", "/small.txt"):
            with case(f"--threads {threads}: wrk -c100 -t2 for {SECONDS} s on {path}"):
                print(f"    {wrk(server.url + path):.0f} requests/s")
                check(server.alive(), server.said())
        with case(f"--threads {threads}: ends cleanly after wrk"):
            server.end()
    finish()


main()
