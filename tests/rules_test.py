#!/usr/bin/env python3
"""The house rules that can be counted: which way includes look, lengths, operating-system #ifs, and the lists of files."""
import os
import re
import sys
from pathlib import Path

FILE_LINES_MAX, FUNCTION_LINES_MAX = 500, 70
ROOMS = {"poller": 0, "runtime": 1, "io": 2}
TOP = {"meson.build", "meson_options.txt", "runtime", "poller", "io", "tests", "bench", "docs", "LICENSE", "README.md",
       "CHANGELOG.md", "subprojects", "build"}
ROOT = Path(os.environ.get("PIER_SOURCE", Path(__file__).resolve().parent.parent))


def c_files(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.[ch]"))


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def where(path, number):
    return f"{path.relative_to(ROOT)}:{number}"


def includes_point_downwards():
    home = {path.name: path.parent.name for path in c_files(*ROOMS)}
    for path in c_files(*ROOMS):
        for number, line in enumerate(lines_of(path), 1):
            # One of the system's own folders, such as <netinet/tcp.h>, is none of the rooms.
            include = re.match(r'\s*#\s*include\s+(?:"(?:.*/)?|<)([\w.]+)[>"]', line)
            # The umbrella header includes everything, and no room includes it.
            if include and path.name != "pier.h" and ROOMS.get(home.get(include[1]), -1) > ROOMS[path.parent.name]:
                yield f"{where(path, number)} looks up at {home[include[1]]}/{include[1]}"


def umbrella_is_for_users():
    for path in c_files(*ROOMS):
        for number, line in enumerate(lines_of(path), 1):
            if re.match(r'\s*#\s*include\s+[<"]pier\.h[>"]', line):
                yield f"{where(path, number)} includes the umbrella header"


def operating_systems_stay_in_the_poller():
    for path in c_files("runtime", "io"):
        for number, line in enumerate(lines_of(path), 1):
            if re.match(r"\s*#\s*(el)?if.*(_WIN32|_MSC_VER|__linux__|__unix__)", line):
                yield f"{where(path, number)} has an operating-system #if"


def files_are_short():
    for path in c_files(*ROOMS, "tests", "bench", "docs"):
        count = len(lines_of(path))
        if count > FILE_LINES_MAX:
            yield f"{path.relative_to(ROOT)} has {count} lines"


def functions_are_short():
    for path in c_files(*ROOMS, "tests", "bench", "docs"):
        start = None
        for number, line in enumerate(lines_of(path), 1):
            if start is None and (line == "{" or re.match(r"^[A-Za-z_].*\)\s*\{\s*$", line)):
                start = number
            elif start is not None and line.startswith("}"):
                if number - start + 1 > FUNCTION_LINES_MAX:
                    yield f"{where(path, start)} begins a function of {number - start + 1} lines"
                start = None


def every_file_is_built():
    for room in ROOMS:
        listed = set(re.findall(r"'([\w.]+)'", (ROOT / room / "meson.build").read_text(encoding="utf-8")))
        for path in sorted((ROOT / room).iterdir()):
            public = path.suffix == ".h" and path.name.startswith("pier")
            if (path.suffix == ".c" or public) and path.name not in listed:
                yield f"{path.relative_to(ROOT)} is not in {room}/meson.build"
    listed = re.findall(r"^\s+'(\w+)':", (ROOT / "tests/meson.build").read_text(encoding="utf-8"), re.M)
    for path in sorted((ROOT / "tests").glob("*_test.c")):
        if path.stem[:-len("_test")] not in listed:
            yield f"tests/{path.name} is not in tests/meson.build"


def top_level_is_the_agreed_one():
    for path in sorted(ROOT.iterdir()):
        if not path.name.startswith(".") and path.name not in TOP:
            yield f"{path.name} is not part of the layout"


def main():
    failed = False
    for rule in (includes_point_downwards, umbrella_is_for_users, operating_systems_stay_in_the_poller, files_are_short,
                 functions_are_short, every_file_is_built, top_level_is_the_agreed_one):
        places = list(rule())
        failed = failed or bool(places)
        print(f"{'not ok' if places else 'ok'} - {rule.__name__}")
        for place in places:
            print(f"    {place}")
    sys.exit(1 if failed else 0)


main()
