#!/usr/bin/env python3
"""copy_file.exe: sizes around its blocks, its sentences, and what it must not destroy. Argument: the program."""
import os
import sys

from examples_support import case, check, content, finish, folder, run, same, target_path

PROGRAM = os.path.abspath(sys.argv[1])
BLOCK_BYTES = 256 << 10
SIZES = (0, 1, 4095, 4096, 4097, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 8 * BLOCK_BYTES, 8 * BLOCK_BYTES + 1, 64 << 20)
HERE = folder()


def path(name):
    return os.path.join(HERE, name)


def write(name, body):
    with open(path(name), "wb") as file:
        file.write(body)


def read(name):
    with open(path(name), "rb") as file:
        return file.read()


def copy(*arguments):
    return run(PROGRAM, *[word if word.startswith("--") else target_path(path(word)) for word in arguments], patience_s=60)


def refused(sentence, *arguments):
    code, _, errors = copy(*arguments)
    check(code == 1 and sentence in errors, f"1 and '{sentence}', not {code} and '{errors.strip()}'")


def main():
    for size in SIZES:
        with case(f"{size} bytes"):
            write("source", content(size))
            code, text, errors = copy("source", f"copy{size}")
            check((code, text, errors) == (0, "", ""), f"{code} {text} {errors}")
            same(read(f"copy{size}"), content(size), "the copy")

    write("source", content(1000000))
    with case("a source that is not there"):
        refused("none': nothing of that name or id exists", "none", "copy")
        check(not os.path.exists(path("copy")), "no destination is made")
    with case("a destination in a folder that is not there"):
        refused("cannot create", "source", "none/copy")
    with case("a folder as the source"):
        os.mkdir(path("folder"))
        refused("cannot open", "folder", "copy")
    with case("a destination that exists is left alone"):
        write("old", b"precious")
        refused("something of that name exists already", "source", "old")
        check(read("old") == b"precious", "it is as it was")
    with case("--overwrite replaces a shorter and a longer file"):
        for length in (10, 3000000):
            write("old", content(length, seed=2))
            check(copy("--overwrite", "source", "old")[0] == 0, "it is allowed")
            same(read("old"), content(1000000), "the copy")
    with case("--overwrite of a file with itself does no harm"):
        check(copy("--overwrite", "source", "source")[0] == 0, "it is allowed")
        same(read("source"), content(1000000), "the file")
    with case("--progress shows how far it is"):
        code, _, errors = copy("--progress", "source", "shown")
        check(code == 0 and errors.strip().endswith("100 % of 0 MiB"), f"{code} {errors!r}")
    finish()


main()
