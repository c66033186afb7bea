"""Draws the results as SVG charts with gnuplot."""

import pathlib
import shutil
import subprocess

from programs import Failure
from workloads import SIDES

COLOURS = {"pier": "#1b6ca8", "libuv": "#c8553d", "floor": "#8a8d91"}

HEAD = """set terminal svg size {width},{height} enhanced background rgb 'white' font 'sans-serif,13'
set output '{output}'
set title "{title}" font ',15'
set ylabel "{ylabel}"
set style data histograms
set style histogram {style} gap 1
set style fill solid 0.95 border lc rgb '#333333'
set boxwidth 0.9
set grid ytics lc rgb '#dddddd' lt 1
set border 3
set xtics nomirror rotate by -30 noenhanced
set ytics nomirror
set yrange [{least}:*]
set key outside top center horizontal
set bmargin 6
set rmargin 6
"""


def draw(folder, name, title, ylabel, sides, rows, spread=False, line_at=None, log=False):
    """rows: a label, then for each side a value, or (value, least, greatest) with spread."""
    folder.mkdir(parents=True, exist_ok=True)
    data = "$data << EOD\n" + "\n".join(
        " ".join(['"' + label + '"'] + [" ".join(f"{v:.6g}" for v in (cell if spread else (cell,))) for cell in values])
        for label, values in rows) + "\nEOD\n"
    script = HEAD.format(width=260 + 90 * len(rows), height=460, output=folder / f"{name}.svg", title=title, ylabel=ylabel,
                         style="errorbars lw 1.2" if spread else "clustered", least=10 if log else 0)
    if log:
        script += "set logscale y\n"
    if line_at is not None:
        script += f"set arrow from graph 0,first {line_at} to graph 1,first {line_at} nohead lc rgb '#444444' dt 2\n"
    wide = 3 if spread else 1
    plots = []
    for i, side in enumerate(sides):
        first = 2 + i * wide
        using = ":".join(str(first + n) for n in range(wide))
        plots.append(f"$data using {using}{':xtic(1)' if i == 0 else ''} title '{side}' lc rgb '{COLOURS[side]}'")
    script += data + "plot " + ", ".join(plots) + "\n"
    done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True, timeout=60)
    if done.returncode != 0:
        raise Failure(f"gnuplot: {done.stderr.strip()}")


def bars(folder, name, title, ylabel, sides, measured, value, **drawn):
    """Each workload's values, as far as all the sides have one."""
    rows = []
    for workload, samples in measured:
        values = [value(samples[side]) for side in sides if side in samples]
        if len(values) == len(sides) and None not in values:
            rows.append((workload.name, values))
    if rows:
        draw(folder, name, title, ylabel, sides, rows, **drawn)


def processor(folder, sides, measured):
    """Processor time of the program and of Wine's server together, each divided by libuv's."""
    rows = []
    for workload, samples in measured:
        if all(side in samples for side in sides):
            times = [samples[side].cpu_us + (samples[side].server_us or 0) for side in sides]
            unit = times[sides.index("libuv")]
            if unit > 0:
                rows.append((workload.name, [time / unit for time in times]))
    if rows:
        draw(folder, "processor", "Processor time per operation with Wine's server, libuv = 1 (lower is better)", "times libuv",
             sides, rows, line_at=1)


def relative(folder, sides, measured):
    """Rates, each divided by libuv's median, with their spread."""
    rows = []
    for workload, samples in measured:
        if all(side in samples for side in sides):
            unit = samples["libuv"].median
            rows.append((workload.name, [(s.median / unit, min(s.rates) / unit, max(s.rates) / unit) for s in (samples[side] for side in sides)]))
    if rows:
        draw(folder, "rates", "Rate, libuv = 1 (higher is better; bars: median, whiskers: least and greatest round)",
             "times libuv", sides, rows, spread=True, line_at=1)


def charts(path, measured):
    if not shutil.which("gnuplot"):
        raise Failure("no gnuplot here: bench/run --plot installs it")
    folder = pathlib.Path(path)
    sides = [side for side in SIDES if any(side in samples for _, samples in measured)]
    if "libuv" in sides:
        relative(folder, sides, measured)
        processor(folder, sides, measured)
    bars(folder, "requests", "Requests to Wine's server per operation (lower is better)", "requests", sides, measured,
         lambda s: s.requests)
    with_latency = [(w, s) for w, s in measured if w.kind != "alone" and w.program != "tcp_pump"]
    bars(folder, "latency_p50", "Round trip, median (lower is better)", "microseconds", sides, with_latency,
         lambda s: s.extra("p50_ns", "clients") / 1e3, log=True)
    bars(folder, "latency_p99", "Round trip, 99th percentile (lower is better)", "microseconds", sides, with_latency,
         lambda s: s.extra("p99_ns", "clients") / 1e3, log=True)
