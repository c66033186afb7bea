"""Prints what was measured, and writes it as JSON."""

import json
import math
from dataclasses import dataclass

from columns import SIDES, Target
from samples import ratio
from workloads import SIZE_LABELS


@dataclass
class Results:
    target: Target
    backends: list
    columns: list  # the main ones: what the tables have
    measured: list
    sizes: dict
    version: str


def figure(value, unit):
    return f"{value:,.0f}{unit}"


def small(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def size(value):
    return "-" if value is None else f"{value:,.0f}"


def label_width(target):
    return 22 + max(len(target.label(backend)) for backend in target.backends)


def line(measured, target, backend):
    """tcp_echo_100      pier 41,203/s   libuv 30,118/s   floor 43,950/s   pier/libuv 1.37 [1.33 1.41] ±0.01   pier/floor 0.94 [0.91 0.95] ±0.01"""
    workload, samples = measured.workload, measured.view(backend)
    parts = [f"{side} {figure(samples[side].median, workload.unit)}" for side in SIDES if side in samples]
    text = (workload.name + target.label(backend)).ljust(label_width(target)) + "".join(f"{part:<23}" for part in parts)
    if "pier" in samples and "libuv" in samples:
        text += f"pier/libuv {ratio(samples['pier'], samples['libuv'])}".ljust(38)
    if "pier" in samples and "floor" in samples:
        text += f"pier/floor {ratio(samples['pier'], samples['floor'])}"
    if "pier" not in samples and "floor" in samples and "libuv" in samples:
        text += f"floor/libuv {ratio(samples['floor'], samples['libuv'])}"
    return text.rstrip()


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def counted_views(results, backend):
    return [measured.view(backend) for measured in results.measured if not measured.workload.again]


def means(results, backend):
    """The geometric means over all workloads that have both sides."""
    found = {}
    views = counted_views(results, backend)
    for under in ("libuv", "floor"):
        values = [ratio(view["pier"], view[under]).median for view in views if "pier" in view and under in view]
        if values:
            found[f"pier/{under}"] = geometric_mean(values)
    return found


def processor_means(results, backend):
    """The same of the processor time of an operation, turned round so that more is better: the machine's other work hardly moves it."""
    found = {}
    views = counted_views(results, backend)
    for over in ("libuv", "floor"):
        pairs = [(view[over].processor_us, view["pier"].processor_us) for view in views if "pier" in view and over in view]
        values = [theirs / ours for theirs, ours in pairs if theirs > 0 and ours > 0]
        if values:
            found[f"{over}/pier"] = geometric_mean(values)
    return found


def aims_missed(results, backend):
    """What is below its aim, and what is so by less than these rounds can tell."""
    missed, undecided = [], []
    mean, aim = means(results, backend).get("pier/libuv"), results.target.aim_means.get(backend)
    if mean and aim and mean < aim:
        missed.append(f"geometric mean pier/libuv {mean:.2f} (aim {aim:g})")
    for measured in results.measured:
        view = measured.view(backend)
        for under, aim in measured.workload.aims(results.target).items():
            if "pier" in view and under in view:
                found = ratio(view["pier"], view[under])
                if found.median < aim:
                    below = missed if found.is_surely_below(aim) else undecided
                    below.append(f"{measured.workload.name} pier/{under} {found} (aim {aim:g})")
        bytes_each = view["pier"].extra("memory_each") if "pier" in view else None
        if bytes_each and measured.workload.aim_memory_bytes and bytes_each > measured.workload.aim_memory_bytes:
            missed.append(f"{measured.workload.name} {bytes_each:,.0f} bytes for each (aim {measured.workload.aim_memory_bytes})")
    return missed, undecided


def table(title, columns, rows):
    """Rows of a name and its cells, under the titles of the columns."""
    rows = [row for row in rows if any(cell != "-" for cell in row[1:])]
    if not rows:
        return
    print(f"\n{title}")
    print(" " * 24 + "".join(f"{column.title:>18}" for column in columns))
    for name, *cells in rows:
        print(f"  {name:<22}" + "".join(f"{cell:>18}" for cell in cells))


def latency(samples):
    p50, p99 = samples.extra("p50_ns", "clients"), samples.extra("p99_ns", "clients")
    return "-" if p50 is None else f"{small(p50 / 1e3)} / {small(p99 / 1e3)}"


def lateness(samples):
    p50, p99 = samples.extra("late_p50_ns"), samples.extra("late_p99_ns")
    return "-" if p50 is None else f"{small(p50 / 1e3)} / {small(p99 / 1e3)}"


def received(samples):
    count = samples.extra("receives")
    return "-" if count is None else f"{count:.3f}"


def memory(samples):
    return size(samples.extra("memory_each"))


def scaling(results):
    """What each column gains with more threads; the one that runs with one thread is the measure."""
    found = {measured.workload.options.get("threads"): measured for measured in results.measured if measured.workload.program == "tcp_scale"}
    if 1 not in found:
        return []
    ones = found[1].samples
    return [[f"{threads} threads", *[f"{measured.samples[c].median / ones[c].median:.2f}" if c in ones else "-" for c in results.columns]]
            for threads, measured in found.items() if threads > 1]


def tables(results):
    def each(title, value):
        table(title, results.columns, [[m.workload.name, *[value(m.samples[c]) if c in m.samples else "-" for c in results.columns]]
                                       for m in results.measured])

    each("Processor time per operation, user + system of the program, us", lambda x: small(x.cpu_us))
    each("Allocations per operation, between begin and end", lambda x: f"{x.allocations:.5f}")
    each("Calls per operation: requests to Wine's server" if results.target.windows else "System calls per operation, as strace counts them",
         lambda x: small(x.calls))
    each("Instructions per operation of the program itself, as valgrind counts them", lambda x: size(x.instructions))
    each("Processor time of Wine's server per operation, us", lambda x: small(x.server_us))
    each("Receives that brought something, per operation", received)
    each("Latency p50 / p99, us", latency)
    each("Lateness of a 1 ms timer p50 / p99, us", lateness)
    each("Memory of the process for each idle connection, bytes", memory)
    table("Rate of scale with more threads, with one = 1", results.columns, scaling(results))
    table("Sizes, bytes", results.columns,
          [[label, *[size(results.sizes.get(column.title, {}).get(key)) for column in results.columns]] for key, label in SIZE_LABELS])


def seam(results):
    """Pier's own counts: what its programs print under names that begin with seam_ (per operation) or total_ (of a whole round)."""
    rows = [(measured.workload.name + results.target.label(backend), measured.view(backend)["pier"])
            for measured in results.measured for backend in results.backends if "pier" in measured.view(backend)]
    names = list(dict.fromkeys(name for _, samples in rows for result in samples.results for name in result
                               if name.startswith(("seam_", "total_"))))
    if not names:
        return
    width = label_width(results.target)
    print("\nPier at the seam, per operation")
    print(" " * (width + 2) + "".join(f"{name.replace('seam_', '').replace('total_', 'all ').replace('_', ' '):>20}" for name in names))
    for name, samples in rows:
        values = [samples.extra(key) for key in names]
        if any(value is not None for value in values):
            cells = ("-" if value is None else f"{value:,.0f}" if key.startswith("total_") else f"{value:.3f}" for key, value in zip(names, values))
            print(f"  {name.ljust(width)}" + "".join(f"{cell:>20}" for cell in cells))


def also(results):
    """Other ways of doing the same work, beside pier's."""
    for measured in results.measured:
        for column, samples in measured.samples.items():
            if column.way not in measured.workload.also:
                continue
            text = f"  {measured.workload.name:<22}{column.title:<30}{figure(samples.median, measured.workload.unit):>14}"
            for backend in results.backends:
                view = measured.view(backend)
                if "pier" in view and view.get(column.way.name) is samples and column.way.side != "pier":
                    text += f"   pier{results.target.label(backend)}/this {ratio(view['pier'], samples)}"
            print(text)


def closing(results):
    if any(column.way in measured.workload.also for measured in results.measured for column in measured.samples):
        print("\nThe same work in other ways")
        also(results)
    tables(results)
    seam(results)
    print()
    for text in summary(results):
        print(text)


def summary(results):
    """What a run comes to: for each backend the means and what is below its aim."""
    lines = []
    for backend in results.backends:
        label = results.target.label(backend)
        mean = means(results, backend)
        if mean:
            lines.append(f"geometric mean{label}".ljust(24) + "   ".join(f"{name} {value:.2f}" for name, value in mean.items()))
            lines.append(f"processor time{label}".ljust(24) +
                         "   ".join(f"{name} {value:.2f}" for name, value in processor_means(results, backend).items()))
            missed, undecided = aims_missed(results, backend)
            lines.append(f"below its aim{label}".ljust(24) + ("; ".join(missed) or "none"))
            if undecided:
                lines.append(f"perhaps below{label}".ljust(24) + "; ".join(undecided))
    lines.append("libuv".ljust(24) + results.version)
    return lines


def ratios(results, measured):
    found = {}
    for backend in results.backends:
        view = measured.view(backend)
        for name, samples in view.items():
            if "pier" in view and name != "pier":
                value = ratio(view["pier"], samples)
                found.setdefault(backend, {})[f"pier/{name}"] = {"median": value.median, "lower_quartile": value.lower, "upper_quartile": value.upper,
                                                                 "surely_lower": value.surely_lower, "surely_upper": value.surely_upper}
    return found


def write_json(path, results, failures, settings):
    """Ratios and means lie under the backend's name, columns under their titles."""
    document = {
        "libuv": results.version,
        **settings,
        "backends": results.backends,
        "geometric_mean": {backend: means(results, backend) for backend in results.backends},
        "geometric_mean_of_processor_time": {backend: processor_means(results, backend) for backend in results.backends},
        "below_its_aim": {backend: aims_missed(results, backend)[0] for backend in results.backends},
        "perhaps_below": {backend: aims_missed(results, backend)[1] for backend in results.backends},
        "failures": failures,
        "sizes": results.sizes,
        "summary": summary(results),
        "workloads": {
            measured.workload.name: {
                "what": measured.workload.what,
                "unit": measured.workload.unit.strip(),
                "columns": {column.title: samples.as_json() for column, samples in measured.samples.items()},
                "ratios": ratios(results, measured),
            } for measured in results.measured
        },
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
