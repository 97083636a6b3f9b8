#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every rule in docs/conformance.md names a test, and every test it names exists in the tree."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "conformance.md"
TREES = ("core", "attestors", "server", "agent", "cli", "sdk", "test")

DEFINED = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)")
NAMED = re.compile(r"`([A-Z]\w*\.[A-Z]\w*)`")
RULE = re.compile(r"^\|\s*(\d[^|]*)\|(.*)\|([^|]*)\|\s*$")


def defined_tests():
    tests = set()
    for tree in TREES:
        for suffix in ("*_test.cc", "*_conformance.h"):
            for path in (ROOT / tree).rglob(suffix):
                text = path.read_text(encoding="utf-8")
                tests.update(".".join(found) for found in DEFINED.findall(text))
    return tests


def main():
    tests = defined_tests()
    failures = 0
    standard = ""
    for number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("## "):
            standard = line[3:].strip()
        rule = RULE.match(line)
        if not rule:
            continue
        section, cited = rule.group(1).strip(), NAMED.findall(rule.group(3))
        name = f"{standard} {section} (line {number})"
        missing = [test for test in cited if test not in tests]
        if cited and not missing:
            print(f"ok {name}")
            continue
        failures += 1
        print(f"FAIL {name}")
        print("  names no test" if not cited else f"  no such test: {', '.join(missing)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
