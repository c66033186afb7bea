"""Draws the results as SVG charts with gnuplot."""

import pathlib
import shutil
import subprocess

from programs import Failure

COLOURS = {"pier": ("#1b6ca8", "#6aaede"), "libuv": ("#c8553d",), "floor": ("#6b6e72", "#b4b7bb")}  # one for each backend

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


def colours(columns):
    used = {side: 0 for side in COLOURS}
    for column in columns:
        yield COLOURS[column.way.side][used[column.way.side] % len(COLOURS[column.way.side])]
        used[column.way.side] += 1


def draw(folder, name, title, ylabel, columns, rows, spread=False, line_at=None, log=False):
    """rows: a label, then for each column a value, or (value, least, greatest) with spread."""
    folder.mkdir(parents=True, exist_ok=True)
    data = "$data << EOD\n" + "\n".join(
        " ".join(['"' + label + '"'] + [" ".join(f"{v:.6g}" for v in (cell if spread else (cell,))) for cell in values])
        for label, values in rows) + "\nEOD\n"
    script = HEAD.format(width=max(700, 260 + (20 + 14 * len(columns)) * len(rows)), height=460, output=folder / f"{name}.svg", title=title, ylabel=ylabel,
                         style="errorbars lw 1.2" if spread else "clustered", least=10 if log else 0)
    if log:
        script += "set logscale y\n"
    if line_at is not None:
        script += f"set arrow from graph 0,first {line_at} to graph 1,first {line_at} nohead lc rgb '#444444' dt 2\n"
    wide = 3 if spread else 1
    plots = []
    for i, (column, colour) in enumerate(zip(columns, colours(columns))):
        first = 2 + i * wide
        using = ":".join(str(first + n) for n in range(wide))
        plots.append(f"$data using {using}{':xtic(1)' if i == 0 else ''} title '{column.title}' lc rgb '{colour}'")
    script += data + "plot " + ", ".join(plots) + "\n"
    done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True, timeout=60)
    if done.returncode != 0:
        raise Failure(f"gnuplot: {done.stderr.strip()}")


def bars(folder, name, title, ylabel, results, value, wanted=lambda workload: True, **drawn):
    """The values of those workloads that have one in every column."""
    rows = []
    for measured in results.measured:
        values = [value(measured.samples[column]) if column in measured.samples else None for column in results.columns]
        if None not in values and wanted(measured.workload):
            rows.append((measured.workload.name, values))
    if rows:
        draw(folder, name, title, ylabel, results.columns, rows, **drawn)


def relative(folder, name, title, results, libuv, values, **drawn):
    """What `values` gives for each column, divided by the first that it gives for libuv's."""
    rows = []
    for measured in results.measured:
        if all(column in measured.samples for column in results.columns):
            unit = values(measured.samples[libuv])[0]
            cells = [tuple(value / unit for value in values(measured.samples[column])) for column in results.columns] if unit > 0 else None
            if cells:
                rows.append((measured.workload.name, cells if drawn.get("spread") else [cell[0] for cell in cells]))
    if rows:
        draw(folder, name, title, "times libuv", results.columns, rows, line_at=1, **drawn)


def charts(path, results):
    if not shutil.which("gnuplot"):
        raise Failure("no gnuplot here: bench/run --plot installs it")
    folder = pathlib.Path(path)
    libuv = next((column for column in results.columns if column.way.side == "libuv"), None)
    if libuv:
        relative(folder, "rates", "Rate, libuv = 1 (higher is better; bars: median, whiskers: least and greatest round)", results, libuv,
                 lambda s: (s.median, min(s.rates), max(s.rates)), spread=True)
        relative(folder, "processor", "Processor time per operation, the server of Wine included, libuv = 1 (lower is better)", results, libuv,
                 lambda s: (s.processor_us,))
    asked = "Requests to Wine's server" if results.target.windows else "System calls"
    bars(folder, "calls", f"{asked} per operation (lower is better)", "calls", results, lambda s: s.calls)
    bars(folder, "instructions", "Instructions per operation of the program itself (lower is better)", "instructions", results,
         lambda s: s.instructions, log=True)
    for share, text in (("p50", "median"), ("p99", "99th percentile")):
        bars(folder, f"latency_{share}", f"Round trip, {text} (lower is better)", "microseconds", results,
             lambda s: None if s.extra(f"{share}_ns", "clients") is None else s.extra(f"{share}_ns", "clients") / 1e3,
             wanted=lambda w: w.kind != "alone", log=True)
