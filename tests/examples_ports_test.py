#!/usr/bin/env python3
"""The examples about hosts with a port or a loop of their own say what they have seen. Arguments: those that this system has."""
import os
import sys

from examples_support import case, check, finish, run

WANTED = {
    "sync_over_async": (
        "1000 reads through Pier: 4096000 bytes, 0 packets on the host's port",
        "1 read of the host's own: 1 packet on the host's port",
        "a read with nothing to read: the time was up first, 0 packets on the host's port",
        "a read with something to read: 1 byte, 0 packets on the host's port",
    ),
    "foreign_iocp": (
        "Pier: 10 messages there and back, 1 timer",
        "the host: 5 packets posted, 1 write of its own, 0 unknown",
        "the host's port goes on working without Pier",
    ),
    "message_loop": (
        "Pier: 10 messages there and back, 1 timer",
        "the window: 5 messages of its own",
    ),
    "epoll_host": (
        "Pier: 10 messages there and back, 1 timer",
        "the host: 5 events of its own",
        "the host's set goes on working without Pier",
    ),
}

for program in sys.argv[1:]:
    name = os.path.splitext(os.path.basename(program))[0]
    with case(f"{name} shows what it is about"):
        code, text, errors = run(os.path.abspath(program))
        check(code == 0, f"{code} {text} {errors}")
        check(tuple(text.splitlines()) == WANTED[name], text)
finish()
