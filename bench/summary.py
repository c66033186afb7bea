"""The closing words of a run of several targets: what each came to, from the JSON files that they left, and these in one file if asked for."""

import argparse
import json
import pathlib
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write them all to FILE, each under the name of its target")
    parser.add_argument("results", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in options.results if path.exists()]
    print("== summary")
    for document in documents:
        for line in document["summary"]:
            print(f"{document['target']:<9}{line}")
        for failure in document["failures"]:
            print(f"{document['target']:<9}failed: {failure}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({document["target"]: document for document in documents}, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    sys.exit(main())
