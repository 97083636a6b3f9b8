#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every rule in docs/conformance.md names a test, and every test it names exists in the tree."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "conformance.md"
TREES = ("core", "attestors", "server", "agent", "cli", "sdk", "test")

# Ours are Suite.Name; those of client libraries go.TestName and python.test_name.
DEFINED = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)")
DEFINED_GO = re.compile(r"^func (Test\w+)\(", re.MULTILINE)
DEFINED_PYTHON = re.compile(r"^def (test_\w+)\(", re.MULTILINE)
NAMED = re.compile(r"`([A-Za-z]\w*\.[A-Za-z]\w*)`")
RULE = re.compile(r"^\|\s*(\d[^|]*)\|(.*)\|([^|]*)\|\s*$")


def defined_tests():
    tests = set()
    for tree in TREES:
        for suffix in ("*_test.cc", "*_conformance.h"):
            for path in (ROOT / tree).rglob(suffix):
                text = path.read_text(encoding="utf-8")
                tests.update(".".join(found) for found in DEFINED.findall(text))
    for path in (ROOT / "test" / "interop").rglob("*"):
        if path.name.endswith("_test.go"):
            tests.update("go." + name for name in DEFINED_GO.findall(path.read_text("utf-8")))
        elif path.suffix == ".py":
            tests.update("python." + name
                         for name in DEFINED_PYTHON.findall(path.read_text("utf-8")))
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
