"""Prints what was measured, and writes it as JSON."""

import json
import math

from samples import ratio
from workloads import SIDES, SIZE_LABELS


def figure(value, unit):
    return f"{value:,.0f}{unit}"


def small(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def size(value):
    return "-" if value is None else f"{value:,.0f}"


def line(workload, samples):
    """tcp_echo_100      pier 41,203/s   libuv 30,118/s   floor 43,950/s   pier/libuv 1.37 [1.33 1.41]   pier/floor 0.94"""
    parts = [f"{side} {figure(samples[side].median, workload.unit)}" for side in SIDES if side in samples]
    text = f"{workload.name:<18}" + "".join(f"{part:<23}" for part in parts)
    if "pier" in samples and "libuv" in samples:
        text += "pier/libuv {:.2f} [{:.2f} {:.2f}]".format(*ratio(samples["pier"], samples["libuv"])).ljust(31)
    if "pier" in samples and "floor" in samples:
        text += "pier/floor {:.2f}".format(ratio(samples["pier"], samples["floor"])[0])
    if "pier" not in samples and "floor" in samples and "libuv" in samples:
        text += "floor/libuv {:.2f} [{:.2f} {:.2f}]".format(*ratio(samples["floor"], samples["libuv"]))
    return text.rstrip()


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def means(measured):
    """The geometric means over all workloads that have both sides."""
    found = {}
    for under in ("libuv", "floor"):
        values = [ratio(samples["pier"], samples[under])[0]
                  for _, samples in measured if "pier" in samples and under in samples]
        if values:
            found[f"pier/{under}"] = geometric_mean(values)
    return found


def aims_missed(measured):
    missed = []
    for workload, samples in measured:
        if "pier" not in samples:
            continue
        aims = {"libuv": workload.aim_libuv, "floor": workload.aim_floor, **workload.aim_also}
        for under, aim in aims.items():
            if under in samples:
                value = ratio(samples["pier"], samples[under])[0]
                if value < aim:
                    missed.append(f"{workload.name} pier/{under} {value:.2f} (aim {aim:g})")
    return missed


def table(title, rows):
    """Rows of a name and its cells, under the names of the sides."""
    rows = [row for row in rows if any(cell != "-" for cell in row[1:])]
    if not rows:
        return
    print(f"\n{title}")
    print(" " * 20 + "".join(f"{side:>18}" for side in SIDES))
    for name, *cells in rows:
        print(f"  {name:<18}" + "".join(f"{cell:>18}" for cell in cells))


def cells(samples, value):
    return [value(samples[side]) if side in samples else "-" for side in SIDES]


def latency(samples):
    p50, p99 = samples.extra("p50_ns", "clients"), samples.extra("p99_ns", "clients")
    return "-" if p50 is None else f"{small(p50 / 1e3)} / {small(p99 / 1e3)}"


def lateness(samples):
    p50, p99 = samples.extra("late_p50_ns"), samples.extra("late_p99_ns")
    return "-" if p50 is None else f"{small(p50 / 1e3)} / {small(p99 / 1e3)}"


def received(samples):
    count = samples.extra("receives")
    return "-" if count is None else f"{count:.3f}"


def tables(measured, sizes):
    table("Processor time per operation, user + system of the program, us",
          [[w.name, *cells(s, lambda x: small(x.cpu_us))] for w, s in measured])
    table("Allocations per operation, between begin and end",
          [[w.name, *cells(s, lambda x: f"{x.allocations:.5f}")] for w, s in measured])
    table("Calls per operation: requests to Wine's server",
          [[w.name, *cells(s, lambda x: small(x.requests))] for w, s in measured])
    table("Processor time of Wine's server per operation, us",
          [[w.name, *cells(s, lambda x: small(x.server_us))] for w, s in measured])
    table("Receives that brought something, per operation", [[w.name, *cells(s, received)] for w, s in measured])
    table("Latency p50 / p99, us", [[w.name, *cells(s, latency)] for w, s in measured])
    table("Lateness of a 1 ms timer p50 / p99, us", [[w.name, *cells(s, lateness)] for w, s in measured])
    size_rows = [[label, *[size(sizes.get(side, {}).get(key)) for side in SIDES]] for key, label in SIZE_LABELS]
    table("Sizes, bytes", size_rows)


def seam(measured):
    """Pier's own counts of what it asked of the system."""
    rows = [(w.name, s["pier"]) for w, s in measured if "pier" in s and s["pier"].extra("seam_calls") is not None]
    if not rows:
        return
    names = ("seam_calls", "seam_waits", "seam_packets", "seam_wakes", "seam_immediate")
    print("\nPier at the seam, per operation")
    print(" " * 20 + "".join(f"{name[5:]:>12}" for name in names) + f"{'events made':>14}")
    for name, samples in rows:
        print(f"  {name:<18}" + "".join(f"{samples.extra(n):>12.3f}" for n in names) + f"{samples.extra('seam_events_created'):>14.0f}")


def also(measured):
    """Other ways of doing the same work, beside pier's."""
    for workload, samples in measured:
        for column in workload.also:
            if column.name not in samples:
                continue
            text = f"  {workload.name:<18}{column.name:<24}{figure(samples[column.name].median, workload.unit):>14}"
            if "pier" in samples and column.side != "pier":
                text += "   pier/this {:.2f} [{:.2f} {:.2f}]".format(*ratio(samples["pier"], samples[column.name]))
            print(text)


def closing(measured, sizes, version):
    if any(column.name in samples for workload, samples in measured for column in workload.also):
        print("\nThe same work in other ways")
        also(measured)
    tables(measured, sizes)
    seam(measured)
    mean = means(measured)
    print()
    if mean:
        print("geometric mean    " + "   ".join(f"{name} {value:.2f}" for name, value in mean.items()))
    if any("pier" in samples for _, samples in measured):
        missed = aims_missed(measured)
        print("below its aim     " + ("; ".join(missed) if missed else "none"))
    print(f"libuv             {version}")


def write_json(path, measured, failures, sizes, version, settings):
    document = {
        "libuv": version,
        **settings,
        "geometric_mean": means(measured),
        "failures": failures,
        "sizes": sizes,
        "workloads": {},
    }
    for workload, samples in measured:
        entry = {"what": workload.what, "unit": workload.unit.strip(),
                 "columns": {name: column.as_json() for name, column in samples.items()}, "ratios": {}}
        if "pier" in samples:
            for name, column in samples.items():
                if name != "pier":
                    value, least, greatest = ratio(samples["pier"], column)
                    entry["ratios"][f"pier/{name}"] = {"median": value, "min": least, "max": greatest}
        document["workloads"][workload.name] = entry
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
