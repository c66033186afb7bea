"""What the scripts that drive the examples share: programs of the target, cases, and a plain HTTP client."""
import atexit
import contextlib
import os
import random
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

WRAPPER = shlex.split(os.environ.get("PIER_WRAPPER", ""))
STRESS_S = float(os.environ.get("PIER_STRESS_SECONDS") or 0)
PATIENCE_S = 30

running = []
failures = 0


class Skip(Exception):
    """Raised inside a case with what is missing."""


@contextlib.contextmanager
def case(name):
    """One counted case: ok when the block runs through."""
    global failures
    try:
        yield
        print(f"ok - {name}", flush=True)
    except Skip as reason:
        print(f"ok - {name} # SKIP {reason}", flush=True)
    except Exception:
        failures += 1
        print(f"not ok - {name}")
        print("    " + traceback.format_exc().replace("\n", "\n    ").rstrip(), flush=True)


def finish():
    sys.exit(1 if failures else 0)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def same(got, wanted, what):
    """Bodies can be large, so a difference is told by its place."""
    if got == wanted:
        return
    at = next((i for i in range(min(len(got), len(wanted))) if got[i] != wanted[i]), min(len(got), len(wanted)))
    raise AssertionError(f"{what}: {len(got)} bytes instead of {len(wanted)}, different from byte {at}")


def need(command):
    if shutil.which(command) is None:
        raise Skip(f"{command} is not installed")


def folder():
    """An empty folder that goes away with the script."""
    made = tempfile.mkdtemp(prefix="pier-examples-")
    atexit.register(shutil.rmtree, made, True)
    return made


def target_path(path):
    """A path as a program of the target knows it."""
    return "Z:" + path.replace("/", "\\") if WRAPPER else path


def content(length, seed=1):
    return random.Random(seed * 1000003 + length).randbytes(length)


def command(program, *arguments):
    return [*WRAPPER, program, *arguments]


def environment():
    # Wine turns the names of files into bytes by the locale, and "C" has no letter beyond ASCII.
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def run(program, *arguments, patience_s=PATIENCE_S):
    """Runs a program to its end: (exit code, standard output, standard error)."""
    done = subprocess.run(command(program, *arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=patience_s, env=environment(), check=False)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


class Server:
    """A server of docs/examples, or one that behaves alike: says where it listens, and ends when its input does."""

    def __init__(self, program, *arguments, first_line=False):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command(program, "--port", "0", "--until-eof", *arguments), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors, env=environment())
        running.append(self.process)
        self.start = self.line() if first_line else ""
        self.listens()

    def listens(self):
        """Takes the line that says where it listens."""
        listening = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)", self.line())
        check(listening, "the server says where it listens")
        self.port = int(listening[1])
        self.address = ("127.0.0.1", self.port)
        self.url = f"http://127.0.0.1:{self.port}"

    def line(self, patience_s=PATIENCE_S):
        """The next line that it prints."""
        text, until = b"", time.monotonic() + patience_s
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
            check(ready, f"the server prints a line (so far: {text!r})")
            byte = os.read(self.process.stdout.fileno(), 1)
            if not byte:
                raise AssertionError(f"the server ended with {self.process.wait(PATIENCE_S)}: {self.said()}")
            text += byte
        return text.decode(errors="replace").strip()

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()

    def tell(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def alive(self):
        return self.process.poll() is None

    def end(self, patience_s=PATIENCE_S):
        """Ends it the clean way; fails if it does not end, or says that something was left open."""
        self.process.stdin.close()
        try:
            code = self.process.wait(patience_s)
        finally:
            stop(self.process)
        rest = self.process.stdout.read().decode(errors="replace").strip()
        check(code == 0, f"exit code 0 instead of {code}: {rest} {self.said()}")
        check("ended after" in rest, f"it says that it has ended: {rest!r}")
        check(self.said() == "", f"no complaints: {self.said()}")
        return rest


def stop(process):
    if process.poll() is None:
        process.kill()
        process.wait()
    if process in running:
        running.remove(process)


def stop_all(*_):
    for process in list(running):
        stop(process)


def on_signal(number, _frame):
    sys.exit(128 + number)


atexit.register(stop_all)
signal.signal(signal.SIGTERM, on_signal)
signal.signal(signal.SIGINT, on_signal)


class Client:
    """A socket, and answers taken from it one by one."""

    def __init__(self, server, receive_buffer_bytes=0):
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE_S)
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.connect(server.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def more(self):
        part = self.socket.recv(1 << 20)
        self.received += part
        return part

    def answer(self, method="GET"):
        """(status, headers by their lower-case names, body) of the next answer."""
        while b"\r\n\r\n" not in self.received:
            check(self.more(), f"an answer comes, not the end after {self.received[:200]!r}")
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = re.fullmatch(r"HTTP/1\.1 (\d{3}) [\w ]+", lines[0])
        check(status, f"a status line: {lines[0]!r}")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        length = 0 if method == "HEAD" else int(headers["content-length"])
        body = bytearray(self.received)
        while len(body) < length:
            part = self.socket.recv(1 << 20)
            check(part, f"a body of {length} bytes, not the end after {len(body)}")
            body += part
        self.received = bytes(body[length:])
        return int(status[1]), headers, bytes(body[:length])

    def ask(self, target, method="GET", headers=""):
        self.send(f"{method} {target} HTTP/1.1\r\nHost: test\r\n{headers}\r\n")
        return self.answer(method)

    def more_or_end(self):
        """As more(); nothing also if the connection was reset."""
        try:
            return self.more()
        except ConnectionError:
            return b""

    def ended(self):
        """Whether the server ends the connection, in whatever way."""
        while self.more_or_end():
            pass
        return True

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
