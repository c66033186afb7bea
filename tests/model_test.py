#!/usr/bin/env python3
"""The life cycle of handles and operations, searched through by spin: tests/model/lifecycle.pml says what it is about.

The model is only worth something while it is that of the code: whatever exchanges a slot's word there has to be in it by its name."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(os.environ.get("PIER_SOURCE", Path(__file__).resolve().parent.parent))
MODEL = ROOT / "tests" / "model" / "lifecycle.pml"
VARIANTS = {"packets": [], "workers": ["WORKERS"], "gated": ["GATED"]}
MUTANTS = {"MUTANT_NO_EARLY": [], "MUTANT_NO_RECHECK": [], "MUTANT_CANCELLER_NO_PARTY": [], "MUTANT_DETACH_IN_TWO": [],
           "MUTANT_GATE_NO_RECHECK": ["GATED"]}
MEMORY_MIB = 1024
DEPTH_MAX = 20000

FUNCTION = re.compile(r"^[A-Za-z_][^;={]*?\b(\w+__\w+)\([^;{]*\)\s*\{(.*?)(?:(?<=\S) \}$|^\})", re.M | re.S)
# The word of a strand is another one.
EXCHANGE = re.compile(r"atomic_(?:store|fetch|compare_exchange)\w*\(&[^;&]*?(?:slot(?:\.|->)|\)->)word\b")


def functions():
    """Name and body of each function of the poller."""
    for path in sorted((ROOT / "poller").glob("*.c")):
        yield from FUNCTION.findall(path.read_text(encoding="utf-8"))


def names_are_those_of_the_code():
    model = MODEL.read_text(encoding="utf-8")
    inlines = set(re.findall(r"^inline (\w+)\(", model, re.M))
    left_out = set(re.findall(r"^\s*not here: (\w+)", model, re.M))
    bodies = list(functions())
    transitions = {name for name, body in bodies if EXCHANGE.search(body)}
    for name in sorted(transitions - inlines - left_out):
        yield f"{name}() changes a slot's word and is not in the model"
    for name in sorted(left_out - transitions):
        yield f"{name}() is left out of the model and changes no slot's word"
    for name in sorted(inlines - {name for name, _ in bodies}):
        yield f"{name}() is in the model and not in the code"


def search(folder, defines):
    """What pan prints: the model as C, compiled and run."""
    flags = [f"-D{name}" for name in defines]
    subprocess.run(["spin", "-a", *flags, str(MODEL)], cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    subprocess.run(["gcc", "-O1", "-w", "-DSAFETY", f"-DMEMLIM={MEMORY_MIB}", "-o", "pan", "pan.c"], cwd=folder, check=True,
                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    run = subprocess.run(["./pan", f"-m{DEPTH_MAX}"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return run.stdout


def result(text):
    """Whether all was searched, and the first error."""
    errors = re.search(r"errors: (\d+)", text)
    error = re.search(r"^pan:\d+: (.*)$", text, re.M)
    complete = bool(errors) and not re.search(r"Search not completed|max search depth too small|out of memory|reached -DMEMLIM", text)
    return complete, error[1] if error else None


def holds(folder, defines):
    text = search(folder, defines)
    complete, error = result(text)
    if error or not complete:
        yield error or "the search did not come to its end"
        yield from text.splitlines()


def is_found(folder, mutant, variant):
    text = search(folder, [mutant, *variant])
    _, error = result(text)
    # A search that merely broke off has found nothing.
    if not error or not re.match(r"assertion violated|invalid end state", error):
        yield error or "no error was found"
        yield from text.splitlines()


def say(what, places):
    places = list(places)
    print(f"{'not ok' if places else 'ok'} - {what}", flush=True)
    for place in places:
        print(f"    {place}")
    return bool(places)


def main():
    failed = say("names_are_those_of_the_code", names_are_those_of_the_code())
    missing = next((tool for tool in ("spin", "gcc") if not shutil.which(tool)), None)
    if missing:
        print(f"ok - model # SKIP {missing} is missing")
        sys.exit(1 if failed else 0)
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name, defines in VARIANTS.items():
                failed |= say(f"{name}_hold", holds(folder, defines))
            for mutant, variant in MUTANTS.items():
                failed |= say(f"{mutant.lower()}_is_found", is_found(folder, mutant, variant))
        except subprocess.CalledProcessError as error:
            failed = say("model", [str(error), *error.stdout.splitlines()])
    sys.exit(1 if failed else 0)


main()
