"""Runs the programs of the benchmark: pinned, bounded in time, and nothing is ended but what was started here."""

import json
import os
import pathlib
import queue
import random
import shutil
import signal
import subprocess
import tempfile
import threading

import wine

RUN_SECONDS_MAX = 120
READY_SECONDS_MAX = 20
FILE_BYTES = 256 << 20


class Failure(Exception):
    """A side that did not do its work; the text says which and what it wrote."""


class Program:
    """One started program. Its lines are read by a thread, so that waiting for one can have an end."""

    def __init__(self, name, command, environment, gate):
        self.name = name
        self.gate = gate
        self.counters = {}
        self.lines = queue.Queue()
        self.printed = []
        self.process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=os.name != "nt")
        self.errors = b""
        self.readers = [threading.Thread(target=self._read_lines, daemon=True),
                        threading.Thread(target=self._read_errors, daemon=True)]
        for reader in self.readers:
            reader.start()

    def _read_lines(self):
        for line in self.process.stdout:
            text = line.decode("utf-8", "replace").strip()
            self.printed.append(text)
            self.lines.put(text)
        self.lines.put(None)

    def _read_errors(self):
        self.errors = self.process.stderr.read()

    def _fail(self, what):
        """The text tells a program that never came to its work from one that broke off in it."""
        self.stop()
        for reader in self.readers:
            reader.join(2)
        said = " / ".join(self.errors.decode("utf-8", "replace").strip().splitlines()[-3:])
        printed = " / ".join(self.printed[-2:])
        raise Failure(f"{self.name}: {what}; standard error: {said or 'empty'}; printed: {printed or 'nothing'}")

    def next_line(self, seconds):
        """The next line that is not a gate's; at a gate the counters are read and the program is let through."""
        while True:
            try:
                line = self.lines.get(timeout=seconds)
            except queue.Empty:
                self._fail(f"silent for {seconds} s")
            if line is None:
                self._fail(f"ended with status {self.process.wait()} and no result")
            if self.gate and line in ("begin", "end"):
                self.counters[line] = self.gate(self.process.pid)
                self._let_through()
                continue
            return line

    def _let_through(self):
        try:
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it has ended: the next line says so

    def ready(self):
        line = self.next_line(READY_SECONDS_MAX)
        if not line.startswith("ready "):
            self._fail(f"unexpected answer '{line}'")
        return int(line.split()[1])

    def result(self):
        line = self.next_line(RUN_SECONDS_MAX)
        try:
            result = json.loads(line)
        except ValueError:
            self._fail(f"unexpected answer '{line}'")
        if self.process.wait(READY_SECONDS_MAX) != 0:
            self._fail(f"ended with status {self.process.returncode} after its result")
        if self.gate:
            begin, end = self.counters["begin"], self.counters["end"]
            result["counters"] = {key: end[key] - begin[key] for key in begin if key in end}
        return result

    def stop(self, patience_seconds=0):
        """Ends it, unless it does so itself in time. True if it had to be ended."""
        try:
            self.process.wait(patience_seconds)
            return False
        except subprocess.TimeoutExpired:
            pass
        if os.name == "nt":
            self.process.kill()
        else:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


class Programs:
    """Knows where the programs lie and how they are started on this system."""

    def __init__(self, target, build, pin):
        self.folder = pathlib.Path(build).resolve() / "bench"
        self.windows = target.windows
        self.wine = target.windows and os.name != "nt"
        self.cpu = os.environ.get("PIER_CPU", "0")
        self.pin = self.pin_wanted = ["taskset", "-c", self.cpu] if pin and os.name != "nt" else []
        self.pipes = 0
        self.written = None
        self.pipe_client = "pipe_client" if target.windows else "client"
        self.sockets = tempfile.TemporaryDirectory(prefix="pier-bench-")
        if self.wine and not shutil.which("wine"):
            raise Failure("no wine here: bench/run installs it")
        if self.wine and not os.environ.get("WINEPREFIX"):
            raise Failure("WINEPREFIX is not set: start me by bench/run")
        if self.pin and not shutil.which("taskset"):
            raise Failure("no taskset here (util-linux): give --no-pin")

    def set_pinned(self, pinned):
        """Whether the programs of the next workload stay on one processor, and Wine's server with them."""
        wanted = self.pin_wanted if pinned else []
        if wanted != self.pin and self.wine:
            wine.move_server({int(self.cpu)} if wanted else range(os.cpu_count()))
        self.pin = wanted

    def path(self, program):
        """The client is built for the machine that measures, all others for the target."""
        windows = os.name == "nt" if program == "client" else self.windows
        return self.folder / f"bench_{program}{'.exe' if windows else ''}"

    def has(self, column):
        return self.path(column.program).exists()

    def _start(self, program, options, gate=None, backend="", under=()):
        path = self.path(program)
        if not path.exists():
            raise Failure(f"{path.name} is not built")
        command = [*self.pin, *under, *(["wine"] if self.wine and path.suffix == ".exe" else []), str(path)]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        if gate:
            command += ["--gate", "1"]
        environment = {"PIER_BACKEND": backend} if program == "pier" and not self.windows else {}
        return Program(f"{program} {backend}".rstrip() if environment else program, command, environment, gate)

    def file(self, what, options):
        """The name that a program is given for "read", "small" or "write"."""
        return {"read": self._read_file, "small": lambda: self._small_files(options), "write": self._write_file}[what]()

    def _write_file(self):
        """In memory where the system has such a place: how fast a disk happens to be would hide everything else."""
        if self.written is None:
            memory = pathlib.Path("/dev/shm")
            self.written = tempfile.TemporaryDirectory(prefix="pier-bench-", dir=memory if memory.is_dir() else self.folder)
        return self._name(pathlib.Path(self.written.name) / "write.dat")

    def _read_file(self):
        """The file that is read at random: made once, the same everywhere, and in the system's cache."""
        path = self.folder / "read.dat"
        if not path.exists() or path.stat().st_size != FILE_BYTES:
            block = random.Random(1).randbytes(1 << 20)
            with open(path, "wb") as file:
                for i in range(FILE_BYTES >> 20):
                    file.write(i.to_bytes(8, "little") + block[8:])
        with open(path, "rb") as file:
            while file.read(1 << 22):
                pass
        return self._name(path)

    def _small_files(self, options):
        """Files that begin with their numbers; what is given is what their names begin with."""
        folder = self.folder / "small"
        folder.mkdir(exist_ok=True)
        for number in range(options["files"]):
            (folder / str(number)).write_bytes(number.to_bytes(8, "little") + bytes(options["block"] - 8))
        return self._name(folder) + ("/" if not self.windows else "\\")

    def _name(self, path):
        absolute = str(path.resolve())
        return "Z:" + absolute.replace("/", "\\") if self.wine else absolute

    def alone(self, column, options, **how):
        """`how`: a gate to count at, or a simulator's command to run it under."""
        with self._start(column.program, options, backend=column.backend, **how) as program:
            return program.result(), None

    def with_tcp_client(self, column, options, **how):
        with self._start(column.program, options, backend=column.backend, **how) as server:
            port = server.ready()
            with self._start("client", {**options, "form": "", "port": port}) as client:
                return self._both(server, client)

    def with_pipe_client(self, column, options, **how):
        self.pipes += 1
        name = f"pier-bench-{os.getpid()}-{self.pipes}"
        path = rf"\\.\pipe\{name}" if self.windows else f"{self.sockets.name}/{name}"
        with self._start(column.program, {**options, "path": path}, backend=column.backend, **how) as server:
            server.ready()
            with self._start(self.pipe_client, {**options, "form": "", "path": path}) as client:
                return self._both(server, client)

    @staticmethod
    def _both(server, client):
        """The server's gates are passed while the client runs, so a thread waits for the client. When both fail, the one that failed first is named."""
        box = {}

        def wait():
            try:
                box["result"] = client.result()
            except Failure as failure:
                box["failure"] = failure
                box["server_hung"] = server.stop(patience_seconds=1)

        waiter = threading.Thread(target=wait)
        waiter.start()
        try:
            result = server.result()
        except Failure:
            client.stop(patience_seconds=1)
            waiter.join()
            if box.get("server_hung"):
                raise box["failure"]
            raise
        waiter.join()
        if "failure" in box:
            raise box["failure"]
        return result, box["result"]
