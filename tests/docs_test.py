#!/usr/bin/env python3
"""What the pages say of the code, where it can be compared: links, the first program, the table of statuses.

docs_test.py --write-errors puts the table of the header into docs/errors.md."""
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(os.environ.get("PIER_SOURCE", Path(__file__).resolve().parent.parent))
BEHAVIOURS = 42
ERRORS_BEGIN, ERRORS_END = "<!-- errors:begin -->\n", "<!-- errors:end -->\n"
HEADERS = sorted(path for room in ("poller", "runtime", "io") for path in (ROOT / room).glob("pier*.h"))


def pages():
    return sorted(path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")] if path.is_file())


def read(path):
    return path.read_text(encoding="utf-8")


def prose(page):
    """The lines of a page, those inside code blocks left empty."""
    inside = False
    for line in read(page).splitlines():
        fence = line.lstrip().startswith("```")
        yield "" if inside or fence else line
        inside = inside != fence


def anchors(page):
    """The names under which the headings of a page can be reached, as the usual hosts make them."""
    for line in prose(page):
        heading = re.match(r"#+\s+(.*?)\s*$", line)
        if heading:
            text = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading[1]).lower()
            yield re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def links_lead_somewhere():
    for page in pages():
        for number, line in enumerate(prose(page), 1):
            for target in re.findall(r"\]\(([^()\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                if re.match(r"[a-z]+:", target):
                    continue
                name, _, anchor = unquote(target).partition("#")
                to = (page.parent / name).resolve() if name else page
                if not to.exists():
                    yield f"{page.relative_to(ROOT)}:{number} leads to {target}, which is not there"
                elif anchor and (to.suffix != ".md" or anchor not in anchors(to)):
                    yield f"{page.relative_to(ROOT)}:{number} leads to {target}, and there is no such heading"


def first_program_is_the_example():
    shown = re.search(r"```c\n(.*?)```", read(ROOT / "README.md"), re.S)
    # The example begins with a comment of its own.
    built = re.sub(r"\A/\*.*?\*/\s*", "", read(ROOT / "docs/examples/hello.c"), flags=re.S)
    if not shown:
        yield "README.md shows no program"
    elif shown[1].strip() != built.strip():
        yield "README.md and docs/examples/hello.c differ"


def errors_of_the_header():
    found = re.findall(r'X\((PIER_\w+),\s*(-\d+),\s*"([^"]*)"\)', read(ROOT / "poller/pier_error.h"))
    rows = [f"| `{name}` | {number} | {sentence} |" for name, number, sentence in found]
    return "\n".join(["| status | number | sentence |", "|---|---|---|", "| `PIER_OK` | 0 | success |", *rows]) + "\n"


def errors_of_the_page():
    text = read(ROOT / "docs/errors.md")
    return text.partition(ERRORS_BEGIN)[2].partition(ERRORS_END)[0]


def errors_are_the_headers():
    header, page = errors_of_the_header().splitlines(), errors_of_the_page().splitlines()
    for row in header:
        if row not in page:
            yield f"docs/errors.md lacks {row}"
    for row in page:
        if row not in header:
            yield f"docs/errors.md has {row}"
    if sorted(header) == sorted(page) and header != page:
        yield "docs/errors.md has the statuses in another order"


def names_exist():
    """Every pier_... and PIER_... in the pages' text is one of the public headers'."""
    known = set(re.findall(r"\b(?:pier|PIER)_\w+", "\n".join(read(header) for header in HEADERS)))
    known |= {header.stem for header in HEADERS} | {"PIER_BUILD", "PIER_CPU", "PIER_HOOKS"}
    for page in pages():
        for number, line in enumerate(prose(page), 1):
            for name in re.findall(r"\b(?:pier|PIER)_\w+", line):
                if name not in known and not name.endswith("_") and f"{name}*" not in line:
                    yield f"{page.relative_to(ROOT)}:{number} speaks of {name}, which no public header has"


def files_exist():
    """Every `folder/file.suffix` in the pages' text is in the tree."""
    for page in pages():
        for number, line in enumerate(prose(page), 1):
            for name in re.findall(r"`((?:poller|runtime|io|tests|bench|docs)/[\w./]+)`", line):
                if not (ROOT / name).exists():
                    yield f"{page.relative_to(ROOT)}:{number} speaks of {name}, which is not there"


def rows_of_the_tests():
    """Which programs have tests that are named for a row."""
    rows = {number: set() for number in range(1, BEHAVIOURS + 1)}
    for path in sorted((ROOT / "tests").glob("*_test.*")):
        # In scripts a case is a sentence, which begins with the row or has it behind what it is run with.
        named = re.findall(r"\b((?:b\d+_)+)\w+\(void \*\*state\)", read(path)) if path.suffix == ".c" else re.findall(r"\bB\d+: ", read(path))
        for number in {int(number) for name in named for number in re.findall(r"\d+", name)}:
            rows.setdefault(number, set()).add(path.stem[:-len("_test")])
    return rows


def behaviours_are_shown_by_the_tests_that_are_named():
    table = re.search(r"<!-- behaviours:begin -->\n(.*?)<!-- behaviours:end -->", read(ROOT / "docs/behaviours.md"), re.S)
    page = {int(number): set(shown.split(", ")) for number, shown in re.findall(r"^\| B(\d+) \|[^|]*\| ([^|]*?) \|", table[1] if table else "", re.M)}
    for number, tests in rows_of_the_tests().items():
        if not tests:
            yield f"no test is named for B{number}"
        for name in sorted(tests - page.get(number, set())):
            yield f"docs/behaviours.md does not say that {name} shows B{number}"
        for name in sorted(page.get(number, set()) - tests):
            yield f"docs/behaviours.md says that {name} shows B{number}, and no test of it is named so"


def write_errors():
    page = ROOT / "docs/errors.md"
    before, begin, rest = read(page).partition(ERRORS_BEGIN)
    _, end, after = rest.partition(ERRORS_END)
    if not begin or not end:
        sys.exit("docs/errors.md has lost the marks of its table")
    page.write_text(before + begin + errors_of_the_header() + end + after, encoding="utf-8")


def main():
    if sys.argv[1:] == ["--write-errors"]:
        write_errors()
        return
    failed = False
    for rule in (links_lead_somewhere, first_program_is_the_example, errors_are_the_headers, names_exist, files_exist,
                 behaviours_are_shown_by_the_tests_that_are_named):
        places = list(rule())
        failed = failed or bool(places)
        print(f"{'not ok' if places else 'ok'} - {rule.__name__}")
        for place in places:
            print(f"    {place}")
    sys.exit(1 if failed else 0)


main()
