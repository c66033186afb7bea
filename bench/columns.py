"""The targets with their backends, and the columns that a workload is measured in."""

from dataclasses import dataclass, field

SIDES = ("pier", "libuv", "floor")


@dataclass(frozen=True)
class Target:
    """A system, and the backends that Pier has there. Each backend is compared with libuv and with the floor of the same backend."""

    name: str
    backends: tuple
    rounds: int
    windows: bool = False  # run under Wine where the machine has no Windows
    aim_means: dict = field(default_factory=dict)  # backend: the geometric mean of pier/libuv that is aimed at

    def label(self, backend):
        """What tells the figures of two backends apart; nothing where there is one."""
        return f" {backend}" if len(self.backends) > 1 else ""


TARGETS = {
    "native": Target("native", ("uring", "epoll"), 13, aim_means={"uring": 1.5, "epoll": 1.1}),
    "windows": Target("windows", ("iocp",), 5, windows=True),
}


@dataclass(frozen=True)
class Way:
    """One way of doing a workload's work: which side does it and, if that knows several, in which form."""

    name: str
    side: str
    form: str = ""
    only: tuple = ()  # targets or backends; empty: all

    def fits(self, target, backend):
        return not self.only or target.name in self.only or backend in self.only


@dataclass(frozen=True)
class Column:
    """A way on a backend. libuv has no choice of backends, so one column of it stands beside all of Pier's."""

    way: Way
    backend: str  # empty for libuv
    title: str

    @property
    def program(self):
        return "floor_" + self.backend if self.way.side == "floor" else self.way.side


MAIN = tuple(Way(side, side) for side in SIDES)


def column_of(way, target, backend):
    return Column(way, "", way.name) if way.side == "libuv" else Column(way, backend, way.name + target.label(backend))


def columns_of(ways, target, backends, sides):
    """Each column once, in the order in which it is measured and printed."""
    found = {}
    for way in ways:
        for backend in backends:
            if way.side in sides and way.fits(target, backend):
                found[column_of(way, target, backend)] = True
    return list(found)
