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
    wine: dict = field(default_factory=dict)  # "full" and "quick" that differ under Wine, where one server does the work of a kernel
    unit: str = "/s"
    needs_file: str = ""  # "read": the large file, "small": the small ones, "write": one that it makes itself
    threads: bool = False  # more than one thread in the program
    pinned: bool = True
    heavy: bool = False  # with --quick few rounds are enough, and neither calls nor instructions are counted
    patience: int = 1  # natively: so many times the target's rounds, and each so much shorter
    floor: bool = True  # false where there is none to speak of; the row says why
    again: bool = False  # the work of another row in another way: not counted twice in the means
    also: tuple = ()  # further ways of doing it, compared with pier
    targets: tuple = tuple(TARGETS)
    aim_libuv: float = 1.0  # under Wine; natively it is 1 for each, and their mean has an aim
    aim_floor: float = 0.9
    aim_also: dict = field(default_factory=dict)
    aim_memory_bytes: int = 0  # of pier, for each connection

    def columns(self, target, backends, sides):
        main = tuple(way for way in MAIN if self.floor or way.side != "floor")
        return columns_of(main + self.also, target, backends, sides)

    def aims(self, target):
        return {"libuv": self.aim_libuv if target.windows else 1.0, "floor": self.aim_floor, **self.aim_also}

    def arguments(self, target, quick):
        length = "quick" if quick else "full"
        under_wine = self.wine.get(length, {}) if target.windows else {}
        return {**self.options, **getattr(self, length), **under_wine}


def timed(patience=6):
    """Natively many short rounds: what the machine does beside changes from one tenth of a second to the next, and what all sides meet with alike cancels
    out. Under Wine starting a program is dear."""
    return {
        "full": {"milliseconds": 100, "warmup": 30},
        "quick": {"milliseconds": 100, "warmup": 30},
        "wine": {"full": {"milliseconds": 2000, "warmup": 200}, "quick": {"milliseconds": 300, "warmup": 50}},
        "patience": patience,
    }


def counted(full, quick):
    return {"full": {"operations": full}, "quick": {"operations": quick}}


WORKLOADS = (
    Workload("tcp_echo_1", "tcp", "tcp_echo", "64-byte round trips over 1 TCP connection",
             {"connections": 1, "block": 64}, **timed(), aim_libuv=1.1),
    Workload("tcp_echo_100", "tcp", "tcp_echo", "64-byte round trips over 100 TCP connections",
             {"connections": 100, "block": 64}, **timed(), aim_libuv=1.25),
    Workload("tcp_echo_1000", "tcp", "tcp_echo", "64-byte round trips over 1,000 TCP connections",
             {"connections": 1000, "block": 64}, **timed(), heavy=True),
    Workload("tcp_pump_1", "tcp", "tcp_pump", "64 KiB writes to the server, counted there",
             {"connections": 1, "block": 65536}, **timed(), unit=" MiB/s"),
    Workload("tcp_pump_100", "tcp", "tcp_pump", "64 KiB writes over 100 TCP connections to the server, counted there",
             {"connections": 100, "block": 65536}, **timed(), unit=" MiB/s", heavy=True),
    Workload("tcp_accept", "tcp", "tcp_accept", "a client connects and sends 2 bytes, the server reads them and closes; 16 clients at a time",
             {"depth": 16}, **counted(6000, 3000), wine=counted(8000, 1500), patience=6),
    Workload("tcp_write_batch", "tcp", "tcp_batch", "1,000,000 writes of 13 bytes (Wine: 60,000), all queued at once, then shutdown",
             {"block": 13}, **counted(1000000, 100000), wine=counted(60000, 8000)),
    Workload("tcp_idle", "tcp", "tcp_idle", "10,000 idle TCP connections (Wine: 2,000), each ready to read; one after the other is woken",
             full={"connections": 10000, "operations": 14000}, quick={"connections": 1000, "operations": 2000},
             wine={"full": {"connections": 2000, "operations": 10000}}, heavy=True, patience=3, aim_memory_bytes=512),
    # No floor: it would be as many of tcp_echo_100's as there are threads, each with its share of the connections.
    *(Workload(f"scale_{threads}", "tcp", "tcp_scale", f"tcp_echo_100 with {threads} poller threads, libuv with {threads} loops; not pinned",
               {"connections": 100, "block": 64, "threads": threads}, **timed(patience=18), threads=True, pinned=False, heavy=True, floor=False)
      for threads in (1, 2, 4)),
    Workload("pipe_echo_1", "pipe", "pipe_echo", "64-byte round trips over 1 named pipe",
             {"block": 64}, **timed()),
    Workload("pipe_echo_32", "pipe", "pipe_echo", "64-byte round trips over 32 named pipes",
             {"connections": 32, "block": 64}, **timed()),
    Workload("pipe_pump_1", "pipe", "pipe_pump", "64 KiB writes to the server, counted there",
             {"block": 65536}, **timed(patience=18), unit=" MiB/s"),
    Workload("pipe_echo_foreign", "pipe", "pipe_foreign", "64-byte round trips over a pipe that is on somebody else's port, or in his epoll set",
             {"block": 64}, **timed(), aim_libuv=1.5,
             also=(Way("pier, not foreign", "pier", "free"), Way("libuv, not foreign", "libuv", "free"))),
    Workload("udp_pump", "alone", "udp_pump", "45-byte datagrams from one socket to another, 16 on the way, counted when they arrive",
             {"depth": 16, "block": 45, "receives": 16}, **counted(600000, 100000),
             # Under Wine one that waits costs the server more than one that finds something.
             wine={"full": {"operations": 60000, "receives": 1}, "quick": {"operations": 12000, "receives": 1}}),
    Workload("file_read_rand_1", "alone", "file_read", "4 KiB random reads, 1 at a time",
             {"depth": 1, "block": 4096}, **counted(60000, 16000), needs_file="read"),
    Workload("file_read_rand_32", "alone", "file_read", "4 KiB random reads, 32 at a time",
             {"depth": 32, "block": 4096}, **counted(150000, 40000), needs_file="read", aim_libuv=2.0,
             also=(Way("floor by port", "floor", "port", only=("windows",)),
                   Way("libuv with SQPOLL", "libuv", "sqpoll", only=("native",)))),
    Workload("file_write_seq", "alone", "file_write", "64 KiB writes, 4 at a time, and a flush at the end",
             {"depth": 4, "block": 65536}, **counted(4000, 400), needs_file="write", unit=" MiB/s", threads=True),
    *(Workload(name, "alone", program, what, {"depth": 4, "block": 4096, "files": 64}, **counted(40000, 4000), wine=counted(10000, 1500),
               needs_file="small", threads=True, again=again)
      for name, program, again, what in (
          ("file_open_read_close", "file_open", False, "files of 4 KiB, 4 at a time, opened, read and closed"),
          ("file_load", "file_load", True, "the same, each in one operation"))),
    Workload("sync_read", "alone", "sync_read", "4 KiB random reads from a plain thread",
             {"block": 4096}, **counted(120000, 40000), needs_file="read",
             also=(Way("CreateEvent per call", "floor", "event", only=("windows",)),
                   Way("through a port", "floor", "port", only=("windows", "uring")),
                   Way("pier through its loop", "pier", "port"),
                   Way("blocking handle", "floor", "blocking", only=("windows",)),
                   Way("pier, blocking handle", "pier", "blocking", only=("windows",))),
             aim_also={"CreateEvent per call": 2.0}),
    Workload("work", "alone", "work", "items for the worker threads, 64 at a time",
             {"depth": 64}, **counted(400000, 40000), threads=True),
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
