#!/usr/bin/env python3
"""The life cycle of handles and operations, and the queue of posts, searched through by spin: the files in tests/model/ say what they
are about.

A model is only worth something while it is that of the code: whatever exchanges a slot's word there, or anything of the posts, has to be in
it by its name."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(os.environ.get("PIER_SOURCE", Path(__file__).resolve().parent.parent))
MODELS = ROOT / "tests" / "model"
MEMORY_MIB = 1024
DEPTH_MAX = 20000

FUNCTION = re.compile(r"^[A-Za-z_][^;={]*?\b(\w+__\w+)\([^;{]*\)\s*\{(.*?)(?:(?<=\S) \}$|^\})", re.M | re.S)


class Model:
    """A file, the files of the poller that it is of, what makes a function of theirs a part of it, and what it is searched as."""

    def __init__(self, name, sources, exchange, variants, mutants):
        self.path = MODELS / f"{name}.pml"
        self.name, self.sources, self.exchange, self.variants, self.mutants = name, sources, re.compile(exchange), variants, mutants

    def functions(self):
        """Name and body of each."""
        for pattern in self.sources:
            for path in sorted((ROOT / "poller").glob(pattern)):
                yield from FUNCTION.findall(path.read_text(encoding="utf-8"))

    def names_are_those_of_the_code(self):
        model = self.path.read_text(encoding="utf-8")
        inlines = set(re.findall(r"^inline (\w+)\(", model, re.M))
        left_out = set(re.findall(r"^\s*not here: (\w+)", model, re.M))
        bodies = list(self.functions())
        transitions = {name for name, body in bodies if self.exchange.search(body)}
        for name in sorted(transitions - inlines - left_out):
            yield f"{name}() takes part and is not in {self.path.name}"
        for name in sorted(left_out - transitions):
            yield f"{name}() is left out of {self.path.name} and takes no part"
        for name in sorted(inlines - {name for name, _ in bodies}):
            yield f"{name}() is in {self.path.name} and not in the code"


ALL = [
    # The word of a strand is another one.
    Model("lifecycle", ["*.[ch]"], r"atomic_(?:store|fetch|compare_exchange)\w*\(&[^;&]*?(?:slot(?:\.|->)|\)->)word\b",
          {"packets": [], "moved": ["MOVED"], "workers": ["WORKERS"], "away": ["WORKERS", "AWAY"],
           "gated": ["GATED"]},
          {"MUTANT_NO_EARLY": [], "MUTANT_NO_RECHECK": [], "MUTANT_CANCELLER_NO_PARTY": [], "MUTANT_MOVE_IN_TWO": [],
           "MUTANT_GATE_NO_RECHECK": ["GATED"], "MUTANT_AWAY_NO_RECHECK": ["WORKERS", "AWAY"]}),
    Model("posts", ["posts.[ch]"], r"atomic_(?:store|fetch|exchange|compare_exchange)\w*\(",
          {"posts": []},
          {"MUTANT_CLAIM_IN_TWO": [], "MUTANT_LEAVE_IN_TWO": [], "MUTANT_LEAVE_A_LATE_ONE": [], "MUTANT_OPEN_ASIDE": [],
           "MUTANT_NOT_AWAITED": []}),
]


def search(folder, model, defines):
    """What pan prints: the model as C, compiled and run."""
    flags = [f"-D{name}" for name in defines]
    subprocess.run(["spin", "-a", *flags, str(model.path)], cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
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


def holds(folder, model, defines):
    text = search(folder, model, defines)
    complete, error = result(text)
    if error or not complete:
        yield error or "the search did not come to its end"
        yield from text.splitlines()


def is_found(folder, model, mutant, variant):
    text = search(folder, model, [mutant, *variant])
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


def searched(folder, model):
    """True if one of its variants does not hold, or a mutant is not found."""
    failed = False
    for name, defines in model.variants.items():
        failed |= say(f"{name}_hold", holds(folder, model, defines))
    for mutant, variant in model.mutants.items():
        failed |= say(f"{mutant.lower()}_is_found", is_found(folder, model, mutant, variant))
    return failed


def main():
    failed = False
    for model in ALL:
        failed |= say(f"{model.name}_has_the_names_of_the_code", model.names_are_those_of_the_code())
    missing = next((tool for tool in ("spin", "gcc") if not shutil.which(tool)), None)
    if missing:
        print(f"ok - model # SKIP {missing} is missing")
        sys.exit(1 if failed else 0)
    with tempfile.TemporaryDirectory() as folder:
        try:
            for model in ALL:
                failed |= searched(folder, model)
        except subprocess.CalledProcessError as error:
            failed = say("model", [str(error), *error.stdout.splitlines()])
    sys.exit(1 if failed else 0)


main()
