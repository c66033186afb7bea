"""What is measured: the workloads, the options of the programs, and the ratios aimed at."""

from dataclasses import dataclass, field

from columns import MAIN, TARGETS, Way, columns_of


@dataclass(frozen=True)
class Workload:
    name: str
    kind: str  # "alone": the program does the work itself; "tcp", "pipe": it serves a neutral client
    program: str  # the name under which the programs know it
    what: str
    options: dict = field(default_factory=dict)
    full: dict = field(default_factory=dict)
    quick: dict = field(default_factory=dict)
    unit: str = "/s"
    needs_file: bool = False
    threads: bool = False  # more than one thread in the program
    also: tuple = ()  # further ways of doing it, compared with pier
    targets: tuple = tuple(TARGETS)
    aim_libuv: float = 1.0  # under Wine; natively it is 1 for each, and their mean has an aim
    aim_floor: float = 0.9
    aim_also: dict = field(default_factory=dict)

    def columns(self, target, backends, sides):
        return columns_of(MAIN + self.also, target, backends, sides)

    def aims(self, target):
        return {"libuv": self.aim_libuv if target.windows else 1.0, "floor": self.aim_floor, **self.aim_also}

    def arguments(self, quick):
        return {**self.options, **(self.quick if quick else self.full)}


def timed(full_ms, quick_ms):
    return {
        "full": {"milliseconds": full_ms, "warmup": 200},
        "quick": {"milliseconds": quick_ms, "warmup": 50},
    }


def counted(full, quick):
    return {"full": {"operations": full}, "quick": {"operations": quick}}


WORKLOADS = (
    Workload("tcp_echo_1", "tcp", "tcp_echo", "64-byte round trips over 1 TCP connection",
             {"connections": 1, "block": 64}, **timed(2000, 500), aim_libuv=1.1),
    Workload("tcp_echo_100", "tcp", "tcp_echo", "64-byte round trips over 100 TCP connections",
             {"connections": 100, "block": 64}, **timed(2000, 500), aim_libuv=1.25),
    Workload("tcp_pump_1", "tcp", "tcp_pump", "64 KiB writes to the server, counted there",
             {"connections": 1, "block": 65536}, **timed(2000, 500), unit=" MiB/s"),
    Workload("pipe_echo_1", "pipe", "pipe_echo", "64-byte round trips over 1 named pipe",
             {"block": 64}, **timed(2000, 500)),
    Workload("file_read_rand_1", "alone", "file_read", "4 KiB random reads, 1 at a time",
             {"depth": 1, "block": 4096}, **counted(60000, 16000), needs_file=True),
    Workload("file_read_rand_32", "alone", "file_read", "4 KiB random reads, 32 at a time",
             {"depth": 32, "block": 4096}, **counted(150000, 40000), needs_file=True, aim_libuv=2.0,
             also=(Way("floor by port", "floor", "port", only=("windows",)),)),
    Workload("sync_read", "alone", "sync_read", "4 KiB random reads from a plain thread",
             {"block": 4096}, **counted(120000, 40000), needs_file=True,
             also=(Way("CreateEvent per call", "floor", "event", only=("windows",)),
                   Way("through a port", "floor", "port", only=("windows", "uring")),
                   Way("pier through its loop", "pier", "port"),
                   Way("blocking handle", "floor", "blocking", only=("windows",)),
                   Way("pier, blocking handle", "pier", "blocking", only=("windows",))),
             aim_also={"CreateEvent per call": 2.0}),
    Workload("post_1", "alone", "post_pair", "two loops wake each other in turn",
             {}, **counted(50000, 12000), threads=True),
    Workload("post_4", "alone", "post_flood", "4 threads post to one loop",
             {"threads": 4, "operations": 1000000}, full={"repeats": 8}, quick={"repeats": 3}, threads=True),
    Workload("timers", "alone", "timers", "a million timers: start all, stop half, fire half",
             {}, **counted(1000000, 250000)),
)

SIZE_LABELS = (
    ("operation_read", "file read"),
    ("operation_write", "write"),
    ("operation_post", "post"),
    ("handle_tcp", "TCP handle"),
    ("handle_pipe", "pipe handle"),
    ("timer", "timer"),
    ("loop", "loop"),
)
