"""Samples of one workload: checks that the sides did the same work, and makes figures of them."""

import statistics
from dataclasses import dataclass

from programs import Failure


def check_pair(side, server, client):
    """The server must have counted what the client had back."""
    if client is None:
        return
    if client["operations"] == 0:
        raise Failure(f"{side}: the client had no answer at all")
    if server["bytes"] != client["bytes"]:
        raise Failure(f"{side}: the server counted {server['bytes']} bytes, the client {client['bytes']}")


def check_same(column, result, first):
    """Programs without a client do a fixed amount of work, so its trace must be the same on every side."""
    for what in ("operations", "bytes", "checksum"):
        if result[what] != first[what]:
            raise Failure(f"{column}: {what} {result[what]}, but the first side had {first[what]}")


def rate(workload, server, client):
    if workload.unit == " MiB/s":
        return server["bytes"] / server["seconds"] / (1 << 20)
    judge = server if workload.program == "tcp_batch" else client or server
    return judge["operations"] / judge["seconds"]


class Samples:
    """All rounds of one column."""

    def __init__(self, column):
        self.column = column
        self.rates = []
        self.results = []
        self.clients = []
        self.counters = {}  # of the one run with gates: calls, and the time of Wine's server
        self.counted_operations = 0
        self.instructions = None  # per operation, of the one run in a simulator

    def add(self, workload, server, client):
        self.rates.append(rate(workload, server, client))
        self.results.append(server)
        self.clients.append(client or server)

    def count(self, server):
        self.counters = server.get("counters", {})
        self.counted_operations = server["operations"]

    def simulate(self, server, instructions):
        self.instructions = None if instructions is None else instructions / self._operations(server)

    @property
    def median(self):
        return statistics.median(self.rates)

    def _operations(self, result):
        return max(1, result["operations"])

    @property
    def cpu_us(self):
        """Processor time of the program per operation, user and system."""
        return statistics.median((r["cpu_user"] + r["cpu_system"]) * 1e6 / self._operations(r) for r in self.results)

    @property
    def calls(self):
        """What is asked of the system per operation: system calls, under Wine requests to its server."""
        return self._counted("calls")

    @property
    def server_us(self):
        nanoseconds = self._counted("server_ns")
        return None if nanoseconds is None else nanoseconds / 1e3

    @property
    def processor_us(self):
        """What an operation costs the machine, without its kernel's own threads: the program's time, and under Wine its server's."""
        return self.cpu_us + (self.server_us or 0)

    def _counted(self, name):
        return self.counters[name] / max(1, self.counted_operations) if name in self.counters else None

    @property
    def allocations(self):
        """Requests for memory per operation: malloc and its kin, and the steps in which Pier's slabs grow."""
        return statistics.median(r["allocations"] / self._operations(r) for r in self.results)

    def extra(self, name, source="results"):
        values = [result[name] for result in getattr(self, source) if name in result]
        return statistics.median(values) if values else None

    def as_json(self):
        known = {"side", "workload", "form", "operations", "bytes", "checksum", "seconds", "cpu_user", "cpu_system", "allocations", "counters"}
        extras = sorted({name for result in self.results for name in result} - known)
        return {
            "median": self.median,
            "rounds": self.rates,
            "cpu_us_per_operation": self.cpu_us,
            "allocations_per_operation": self.allocations,
            "calls_per_operation": self.calls,
            "instructions_per_operation": self.instructions,
            "server_us_per_operation": self.server_us,
            "p50_ns": self.extra("p50_ns", "clients"),
            "p99_ns": self.extra("p99_ns", "clients"),
            "extras": {name: self.extra(name) for name in extras},
        }


class Measured:
    """A workload with the samples of all its columns."""

    def __init__(self, workload, columns):
        self.workload = workload
        self.samples = {column: Samples(column) for column in columns}

    def view(self, backend):
        """One backend's samples by the names of their ways; libuv's belong to every backend."""
        return {column.way.name: samples for column, samples in self.samples.items() if column.backend in ("", backend)}

    def by_title(self):
        return {column.title: samples for column, samples in self.samples.items()}


# Fewer rounds say nothing of how sure they are: even all of them have the true median between them less than 15 times of 16.
ROUNDS_TO_BE_SURE = 5


@dataclass(frozen=True)
class Ratio:
    """The median of the ratios within a round, between what the middle half of them lies, and between what the true median does (19 times of 20;
    None for too few rounds)."""

    median: float
    lower: float
    upper: float
    surely_lower: float | None
    surely_upper: float | None

    def is_surely_below(self, aim):
        return self.surely_upper is not None and self.surely_upper < aim

    def __str__(self):
        if self.surely_upper is None:
            return f"{self.median:.2f} [{self.lower:.2f} {self.upper:.2f}]"
        error = max(self.surely_upper - self.median, self.median - self.surely_lower)
        return f"{self.median:.2f} [{self.lower:.2f} {self.upper:.2f}] ±{error:.2f}"


def rank_outside(count):
    """How many of so many sorted values lie outside an interval that has the true median in it 19 times of 20, on each side. Each value lies above it
    or below with the same chance, however they are distributed; for fewer than six no interval of theirs is as sure as that."""
    chance, outside = 0.5 ** count, 0
    below = chance
    while below <= 0.025:
        outside += 1
        chance *= (count - outside + 1) / outside
        below += chance
    return max(0, outside - 1)


def ratio(over, under):
    each = sorted(a / b for a, b in zip(over.rates, under.rates))
    lower, median, upper = statistics.quantiles(each, n=4, method="inclusive") if len(each) > 1 else each * 3
    if len(each) < ROUNDS_TO_BE_SURE:
        return Ratio(median, lower, upper, None, None)
    outside = rank_outside(len(each))
    return Ratio(median, lower, upper, each[outside], each[-1 - outside])
