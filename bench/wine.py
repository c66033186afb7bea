"""Counts what a program asks of Wine's server: each request is one write of the program, and the kernel counts those."""

import os
import pathlib


def server_pid():
    """The server of this prefix, or None."""
    wanted = os.environ.get("WINEPREFIX", "")
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if not (entry / "comm").read_text().startswith("wineserver"):
                continue
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has gone, or is somebody else's
        if f"WINEPREFIX={wanted}".encode() in environment:
            return int(entry.name)
    return None


def move_server(processors):
    """Has the server of this prefix run on these processors from now on."""
    pid = server_pid()
    if pid is not None:
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), processors)


class Calls:
    """A gate that reads the counters of a program and of the server of its prefix."""

    def __init__(self):
        self.server = server_pid()

    def __call__(self, pid):
        return counters(pid, self.server)

    def close(self):
        pass


def counters(pid, server):
    """Requests so far of a process, and the server's processor time so far in nanoseconds."""
    requests = 0
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("syscw:"):
            requests = int(line.split()[1])
    server_ns = 0
    if server is not None:
        server_ns = int(pathlib.Path(f"/proc/{server}/schedstat").read_text().split()[0])
    return {"calls": requests, "server_ns": server_ns}
