"""Counts the system calls of a program between its two gates, with strace. Where that is not to be had there is no count."""

import os
import re
import shutil
import signal
import subprocess
import tempfile

SECONDS_MAX = 5


class Calls:
    """A gate: attaches at "begin", lets go and reads the count at "end"."""

    def __init__(self):
        self.tracer = None
        self.attached = False

    def __call__(self, pid):
        if self.tracer is None:
            return self._start(pid)
        return self._finish()

    def _start(self, pid):
        self.file = tempfile.NamedTemporaryFile(prefix="pier-calls-")
        self.tracer = subprocess.Popen(["strace", "-f", "-c", "-o", self.file.name, "-p", str(pid)],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        # The program stands at its gate and so makes no call; the first line says that strace has it, or why not.
        self.attached = "attached" in self.tracer.stderr.readline()
        return {"calls": 0} if self.attached else {}

    def _finish(self):
        self.tracer.send_signal(signal.SIGINT)
        self.close()
        total = re.search(r"^\s*100\.00\s+[\d.]+\s+\d+\s+(\d+)\s.*total$", self.file.read().decode(), re.M)
        return {"calls": int(total[1])} if total else {}

    def close(self):
        """It ends with the program that it traces, if it has not been told to before."""
        if self.tracer:
            try:
                self.tracer.communicate(timeout=SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.tracer.kill()
                self.tracer.communicate()


def why_not():
    """What keeps calls from being counted here, or None. Containers may forbid one process to trace another."""
    if not shutil.which("strace"):
        return "no strace here"
    tried = subprocess.run(["strace", "-f", "-c", "-o", os.devnull, "true"], capture_output=True, text=True, timeout=SECONDS_MAX)
    return None if tried.returncode == 0 else (tried.stderr.strip().splitlines() or ["strace fails"])[-1]
