#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tree's own rules, checked: which way includes run, which headers stay at the edge, calls that
have one place, licence lines, sizes, a test beside each file that decides something, the
changelog's shape. Prints each violation as `file:line: sentence`, then a line for each rule.

    tidy.py [ROOT]
"""

import pathlib
import re
import sys

LINE_LENGTH_MAX = 100
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60

# A folder includes its own files and those of lower floors (docs/architecture.md). A third part of
# a name that is not listed here stands for each folder there (attestors/unix, ...).
FLOORS = {
    "core/base": 0,
    "core/crypto": 1,
    "core/spiffe": 2, "core/keys": 2,
    "core/net": 3,
    "attestors/node": 4, "attestors/workload": 4,
    "attestors/*": 5,
    "server/store": 6, "server/audit": 6, "server/policy": 6,
    "agent/client": 6, "agent/cache": 6, "agent/state": 6,
    "server/bundle": 7, "server/entry": 7,
    "agent/attest": 7, "agent/workload": 7,
    "server/ca": 8,
    "agent/svid": 8, "agent/task": 8,
    "server/attest": 9, "server/task": 9, "server/federation": 9,
    "server/issue": 10,
    "server/api": 11, "server/http": 11,
    "agent/api": 11, "agent/sync": 11,
    "server": 12, "agent": 12, "cli": 12,
}
PROGRAMS = ("server", "agent", "cli")  # these never meet
# The tables of methods are the only files that look up to what they list.
TABLES = re.compile(r"attestors/(node/(provers|verifiers)|workload/attestors)(_test)?\.(h|cc)")

API_FOLDERS = ("server/api", "agent/api", "agent/client", "cli")
# Header (a pattern) -> the folders, or files, that may include it.
EDGE_HEADERS = [
    (r"openssl/", ("core/crypto", "core/keys", "core/net")),
    (r"grpc(pp)?/", ("core/net",) + API_FOLDERS),
    # Health and reflection, the same in every daemon, are core/net's own.
    (r"grpc/(health|reflection)/v1.*\.pb\.h", ("core/net",) + API_FOLDERS),
    (r"google/protobuf/descriptor\.pb\.h", ("core/net/reflection.cc",)),
    (r".*\.pb\.h", API_FOLDERS),
    (r"(sqlite3|libpq-fe)\.h", ("server/store",)),
    (r"tss2/", ("core/keys", "attestors/tpm")),
    (r"nlohmann/", ("core/base/json.cc",)),
    (r"yaml-cpp/", ("core/base/config_yaml.cc",)),
    (r"(spdlog|fmt)/", ("core/base",)),
    (r"(httplib\.h|prometheus/)", ("core/net",)),
    (r"systemd/", ("core/base", "server", "agent")),
    (r"CLI/", ("cli",)),
]

# What has one place: pattern, the files that are that place, what to use elsewhere.
BANNED = [
    (r"\b(system|steady|high_resolution)_clock::now\b", 
     {"core/base/clock.cc", "test/fake/fake_clock.cc"}, "take a Clock"),
    (r"\bsleep_(for|until)\b|\b(u|nano)?sleep\s*\(", set(), "wait on a Wake with the Clock"),
    (r"\brandom_device\b|\bs?rand\s*\(", set(), "take a Random"),
    (r"\b(secure_)?getenv\b|\benviron\b", {"core/base/environment.cc"}, "take an Environment"),
    (r"\bstd::(shared_|recursive_|timed_)?mutex\b|\bstd::condition_variable\b",
     {"core/base/mutex.h"}, "use core/base/mutex.h"),
    (r"\bstd::j?thread\b|\bpthread_create\b|\bstd::async\b", {"core/base/thread.h"},
     "use core/base/thread.h"),
    (r"\bdetach\s*\(", set(), "join the thread"),
    (r"\bthrow\b", set(), "return a Status"),
    (r"(?<!operator )\bnew\b(?!\s*\()", set(), "use std::make_unique"),
    (r"(?<!= )(?<!operator )\bdelete\b", set(), "let a unique_ptr own it"),
    (r"\b(malloc|calloc|realloc|free)\s*\(", set(), "let a container own it"),
]
# A line that hands the object to an owner at once, which make_unique cannot where the constructor
# is private; and objects that the library tells when to go.
BANNED_EXCEPT = re.compile(r"(unique_ptr|shared_ptr)<[^;]*>\s*\w*\(\s*new\b|\bdelete this\b")

# Files that decide something and need no test beside them, by path, folder or plain name, with the
# reason.
UNTESTED = {
    "agent/sync": "its tests come next",
    "server/api": "its tests come next",
    "main.cc": "a command line; test/integration runs it as a user does",
}

CHANGE_KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


class Tree:
    """The files below a root and the violations found in them, by rule."""

    def __init__(self, root):
        self.root = root
        self.texts = {}
        self.violations = {}
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_symlink() or not path.is_file() or ignored(name):
                continue
            try:
                self.texts[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # binary test data

    def named(self, *suffixes):
        return [(n, t) for n, t in self.texts.items() if n.endswith(suffixes)]

    def cpp(self):
        return self.named(".cc", ".h")

    def house(self):
        """C++ files of the product: neither tests nor what tests share."""
        return [(n, t) for n, t in self.cpp() if not is_test(n)]

    def report(self, rule, name, line, sentence):
        self.violations.setdefault(rule, []).append(f"{name}:{line}: {sentence}")


_TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"|'
    r'"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


def without_comments(text):
    """The text with comments and literals emptied; line numbers stay."""
    def blank(found):
        token = found.group()
        lines = "\n" * token.count("\n")
        return lines if token.startswith(("//", "/*")) else '""' + lines
    return _TOKENS.sub(blank, text)


def functions(text):
    """(line, length, name) of each function defined at namespace or class level."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m.group().count("\n"),
                  without_comments(text), flags=re.MULTILINE)
    stack = []  # (kind, line, name) of each open brace
    start = 0   # of the words before the next brace
    line = 1
    for at, c in enumerate(code):
        if c == "\n":
            line += 1
        elif c == "{":
            words = " ".join(code[start:at].split())
            stack.append((_kind(words, [k for k, _, _ in stack]), line, _name(words)))
            start = at + 1
        elif c == "}":
            start = at + 1
            if stack:
                kind, first, name = stack.pop()
                if kind == "function":
                    yield first, line - first + 1, name
        elif c == ";":
            start = at + 1


def _kind(words, around):
    if any(kind not in ("namespace", "type") for kind in around):
        return "inside"
    if re.search(r"\bnamespace\b|^extern \"\"$", words):
        return "namespace"
    if "(" in words and not re.search(r"=( \w+)?$", words):
        return "function"
    if re.search(r"\b(class|struct|union|enum)\b", words):
        return "type"
    return "inside"


def _name(words):
    found = re.search(r"([~\w:]+|operator\S+) ?\(", words)
    return found.group(1) if found else words[:40]


def is_test(name):
    """Tests, and what they share: in test/, in one folder, or with each body of an interface."""
    return (name.endswith(("_test.cc", "_fixture.h", "_conformance.h"))
            or name.startswith(("test/", "bench/")) or name.rpartition("/")[2].startswith("test_"))


def ignored(name):
    parts = name.split("/")
    return (any(p.startswith(".") or p == "__pycache__" or p == "node_modules" for p in parts)
            or parts[0].startswith("build") or name.startswith(("proto/", "test/golden/")))


def folder_of(name):
    return name.rpartition("/")[0]


def floor_of(folder):
    """The floor, or None for folders outside of the house."""
    if folder in FLOORS:
        return FLOORS[folder]
    if folder.startswith("attestors/"):
        return FLOORS["attestors/*"]
    return None


def includes(text):
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line)
        if found:
            yield number, found.group(1)


def check_floors(tree):
    known = {folder_of(name) for name in tree.texts}
    for name, text in tree.cpp():
        folder = folder_of(name)
        floor = floor_of(folder)
        if floor is None:
            if folder.split("/")[0] in ("core", "attestors", "server", "agent", "cli"):
                tree.report("floors", name, 1, f"{folder} has no floor; give it one in tidy.py")
            continue
        for line, header in includes(text):
            target = folder_of(header)
            other = floor_of(target)
            if header.startswith("test/") and not is_test(name):
                tree.report("floors", name, line, f"only tests may include {header}")
            if other is None or target == folder or target not in known:
                continue
            program, other_program = folder.split("/")[0], target.split("/")[0]
            if (program in PROGRAMS and other_program in PROGRAMS and program != other_program):
                tree.report("floors", name, line,
                            f"{program} must not know {other_program}: {header}")
            elif other >= floor and not TABLES.fullmatch(name):
                way = "up" if other > floor else "sideways"
                tree.report("floors", name, line,
                            f"{folder} (floor {floor}) looks {way} to {header} (floor {other})")


def check_edge_headers(tree):
    for name, text in tree.house():
        if floor_of(folder_of(name)) is None:
            continue
        for line, header in includes(text):
            rules = [places for pattern, places in EDGE_HEADERS if re.match(pattern, header)]
            if rules and not any(folder_of(name) in p or name in p for p in rules):
                allowed = ", ".join(sorted({place for places in rules for place in places}))
                tree.report("edge-headers", name, line, f"{header} belongs to {allowed}")


def check_banned_calls(tree):
    for name, text in tree.cpp():
        for number, line in enumerate(without_comments(text).splitlines(), 1):
            if line.lstrip().startswith("#") or BANNED_EXCEPT.search(line):
                continue
            for pattern, places, instead in BANNED:
                found = re.search(pattern, line)
                if not found or name in places:
                    continue
                tree.report("banned-calls", name, number,
                            f"`{found.group().strip()}` has no place here; {instead}")


def check_licences(tree):
    for name, text in tree.named(".cc", ".h", ".py", ".sh", ".go", ".cmake", "CMakeLists.txt",
                                 "dev"):
        lines = text.splitlines()
        first = next((l for l in lines if not l.startswith("#!")), "")
        if "SPDX-License-Identifier: Apache-2.0" not in first:
            tree.report("licences", name, 1, "begins without `SPDX-License-Identifier: Apache-2.0`")


def check_headers(tree):
    for name, text in tree.house():
        if not name.endswith(".h"):
            continue
        lines = text.splitlines() + ["", "", ""]
        if lines[1] != "//" or not lines[2].startswith("// "):
            tree.report("headers", name, 2, "a header begins by saying what it is")
        if "#pragma once" not in lines:
            tree.report("headers", name, 1, "`#pragma once` is missing")


def check_sizes(tree):
    for name, text in tree.named(".cc", ".h", ".py", ".cmake", "CMakeLists.txt", ".yaml", "dev"):
        lines = text.splitlines()
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_LENGTH_MAX:
                tree.report("sizes", name, number,
                            f"{len(line)} columns, more than {LINE_LENGTH_MAX}")
        if len(lines) > FILE_LINES_MAX:
            tree.report("sizes", name, len(lines),
                        f"{len(lines)} lines, more than {FILE_LINES_MAX}; split it by idea")
    for name, text in tree.house():
        for line, length, title in functions(text):
            if length > FUNCTION_LINES_MAX:
                tree.report("sizes", name, line,
                            f"{title} has {length} lines, more than {FUNCTION_LINES_MAX}")


def reached_by_tests(tree, folder):
    """The files of a folder that its tests include, directly or through each other."""
    own = {n: {h for _, h in includes(t)} for n, t in tree.cpp() if folder_of(n) == folder}
    reached = set()
    waiting = [name for name in own if name.endswith("_test.cc")]
    while waiting:
        name = waiting.pop()
        if name in reached or name not in own:
            continue
        reached.add(name)
        waiting += own[name]
        if name.endswith(".h"):  # the bodies behind a header include it
            waiting += [body for body, headers in own.items() if name in headers]
    return reached


def check_tests_beside(tree):
    decides = re.compile(r"\b(if|for|while|switch)\s*\(")
    for folder in sorted({folder_of(name) for name, _ in tree.house()}):
        if floor_of(folder) is None:
            continue
        reached = reached_by_tests(tree, folder)
        for name, text in tree.house():
            if folder_of(name) != folder or not name.endswith(".cc") or name in reached:
                continue
            if {name, folder, name.rpartition("/")[2]} & UNTESTED.keys():
                continue
            if decides.search(without_comments(text)):
                tree.report("tests", name, 1, "decides something, and no test beside it sees it")


def check_words(tree):
    for name, text in tree.named(".cc", ".h", ".py", ".sh", ".cmake", "CMakeLists.txt", ".yaml"):
        if name.startswith("test/tidy/"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found = re.search(r"\b(TODO|FIXME|XXX|HACK)\b(?!-)", line)
            if found and "XXXXXX" not in line:
                tree.report("words", name, number, f"`{found.group()}`: do it, or leave it out")


def check_changelog(tree):
    text = tree.texts.get("CHANGELOG.md")
    if text is None:
        return
    lines = text.splitlines()
    if not lines or lines[0] != "# Changelog":
        tree.report("changelog", "CHANGELOG.md", 1, "begins with `# Changelog`")
    releases = [l for l in lines if l.startswith("## ")]
    if not releases or releases[0] != "## [Unreleased]":
        tree.report("changelog", "CHANGELOG.md", 1, "its first section is `## [Unreleased]`")
    seen = set()
    for number, line in enumerate(lines, 1):
        if line.startswith("## "):
            if line in seen:
                tree.report("changelog", "CHANGELOG.md", number, f"`{line}` is there twice")
            seen.add(line)
            if not re.fullmatch(r"## \[(Unreleased\]|\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2})", line):
                tree.report("changelog", "CHANGELOG.md", number,
                            "a release is `## [1.2.3] - 2026-01-31`")
        elif line.startswith("### ") and line[4:] not in CHANGE_KINDS:
            tree.report("changelog", "CHANGELOG.md", number,
                        f"a kind of change is one of {', '.join(CHANGE_KINDS)}")


RULES = {
    "floors": check_floors,
    "edge-headers": check_edge_headers,
    "banned-calls": check_banned_calls,
    "licences": check_licences,
    "headers": check_headers,
    "sizes": check_sizes,
    "tests": check_tests_beside,
    "words": check_words,
    "changelog": check_changelog,
}


def violations_of(root):
    """Rule -> violations, for the tree below `root`."""
    tree = Tree(root)
    for check in RULES.values():
        check(tree)
    return {rule: tree.violations.get(rule, []) for rule in RULES}


def main(arguments):
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).parents[2]
    found = violations_of(root.resolve())
    for violations in found.values():
        print("\n".join(violations), end="\n" if violations else "")
    for rule, violations in found.items():
        print(f"FAIL {rule}" if violations else f"ok {rule}")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
