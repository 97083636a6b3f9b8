#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test of the tree and closes with the count.

Suites: one gtest program for each folder (build/bin/writ_*_test), the tree's own rules
(test/tidy/*.py), the real binaries (test/integration/test_*.py) and other people's clients
(test/interop/test_*.py); and, by the name of a sanitizer, what its build directory holds: the
programs in its plain_tests.txt, with --long all of them and the integration tests of its binaries.
Each reports its tests one by one; a skipped test says why.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
TSAN_SUPPRESSIONS = ROOT / "test" / "tsan" / "suppressions.txt"
SUITE_SECONDS_MAX = 1500
LONG_SUITE_SECONDS_MAX = 4 * 3600
LONG_KILLS = 1000


class Outcome:
    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.failures = []
        self.skips = []
        self.output = ""
        self.seconds = 0.0


def run_process(command, env):
    seconds_max = LONG_SUITE_SECONDS_MAX if "WRIT_LONG" in env else SUITE_SECONDS_MAX
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=seconds_max, errors="replace", check=False)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        return 124, f"{late.stdout or ''}\ntimed out after {seconds_max} s"


def run_gtest(name, program, env):
    outcome = Outcome(name)
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        code, outcome.output = run_process(
            [str(program), f"--gtest_output=xml:{report.name}", "--gtest_brief=1"], env)
        try:
            tests = list(xml.etree.ElementTree.parse(report).iter("testcase"))
        except xml.etree.ElementTree.ParseError:
            tests = []
    for test in tests:
        full = f"{test.get('classname')}.{test.get('name')}"
        skipped = test.find("skipped")
        if skipped is not None:
            reason = skipped.get("message", "").strip().splitlines()
            outcome.skips.append((full, reason[-1] if reason else "no reason given"))
        elif test.find("failure") is not None:
            outcome.failures.append(full)
        elif test.get("status") == "run":
            outcome.passed += 1
    if code != 0 and not outcome.failures:
        outcome.failures.append(f"{name} ended with status {code}")
    if not tests and not outcome.failures:
        outcome.failures.append(f"{name} ran no test")
    return outcome


def run_python(name, script, env):
    """Python suites print one line for each test: `ok NAME`, `FAIL NAME`, `skip NAME: reason`."""
    outcome = Outcome(name)
    code, outcome.output = run_process([sys.executable, str(script)], env)
    for line in outcome.output.splitlines():
        if line.startswith("ok "):
            outcome.passed += 1
        elif line.startswith("FAIL "):
            outcome.failures.append(line[5:])
        elif line.startswith("skip "):
            test, _, reason = line[5:].partition(": ")
            outcome.skips.append((test, reason))
    if code != 0 and not outcome.failures:
        outcome.failures.append(f"{name} ended with status {code}")
    if outcome.passed + len(outcome.failures) + len(outcome.skips) == 0:
        outcome.failures.append(f"{name} ran no test")
    return outcome


class Suite:
    def __init__(self, name, runner, target, env):
        self.name = name
        self.runner = runner
        self.target = target
        self.env = env

    def run(self):
        start = time.monotonic()
        outcome = self.runner(self.name, self.target, self.env)
        outcome.seconds = time.monotonic() - start
        return outcome


def environment(build, long):
    tsan = f"ignore_noninstrumented_modules=1 die_after_fork=0 suppressions={TSAN_SUPPRESSIONS}"
    env = dict(os.environ, WRIT_BIN=str(build / "bin"), PYTHONDONTWRITEBYTECODE="1",
               TSAN_OPTIONS=tsan)
    cache = build / "CMakeCache.txt"
    if cache.exists() and re.search(r"^WRIT_SANITIZE:\w+=.", cache.read_text(), re.MULTILINE):
        env["WRIT_SANITIZED"] = "1"
    if long:
        env.update(WRIT_LONG="1", WRIT_KILLS=str(LONG_KILLS))
    return env


def gtest_suites(build, env, prefix="", only=None):
    suites = []
    for program in sorted((build / "bin").glob("*_test")):
        if only is not None and program.name not in only:
            continue
        folder = program.name.removeprefix("writ_").removesuffix("_test").replace("_", "/", 1)
        suites.append(Suite(prefix + folder, run_gtest, program, env))
    return suites


def python_suites(folders, env, prefix=""):
    return [Suite(f"{prefix}{folder}/{script.stem.removeprefix('test_')}", run_python, script, env)
            for folder, pattern in folders
            for script in sorted((ROOT / "test" / folder).glob(pattern))]


def find_suites(build, sanitized, long):
    env = environment(build, long)
    integration = ("integration", "test_*.py")
    suites = gtest_suites(build, env)
    suites += python_suites([("tidy", "*.py"), integration, ("interop", "test_*.py")], env)
    for name in sanitized:
        directory = build.parent / f"build-{name}"
        # A thousand kills more find nothing that a sanitizer sees better than in the first fifty.
        env = environment(directory, long=False)
        if long:
            suites += gtest_suites(directory, env, f"{name}/")
            suites += python_suites([integration], env, f"{name}/")
        else:
            only = (directory / "plain_tests.txt").read_text().split()
            suites += gtest_suites(directory, env, f"{name}/", only)
    return suites


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--jobs", default=os.cpu_count() or 2, type=int)
    parser.add_argument("--long", action="store_true", help="what takes hours, too")
    parser.add_argument("--sanitized", action="append", default=[], metavar="NAME",
                        help="also the tests in build-NAME, as NAME/...")
    parser.add_argument("names", nargs="*", help="run only suites whose name contains one of these")
    options = parser.parse_args()
    build = (ROOT / options.build).resolve()

    suites = [s for s in find_suites(build, options.sanitized, options.long)
              if not options.names or any(n in s.name for n in options.names)]
    outcomes = []

    with concurrent.futures.ThreadPoolExecutor(max_workers=options.jobs) as pool:
        for future in concurrent.futures.as_completed([pool.submit(s.run) for s in suites]):
            outcome = future.result()
            outcomes.append(outcome)
            mark = "FAIL" if outcome.failures else "ok"
            print(f"{mark:4} {outcome.name:32} {outcome.passed:5} passed "
                  f"{outcome.seconds:7.1f} s", flush=True)
            if outcome.failures:
                print("\n".join("     | " + line for line in outcome.output.splitlines()[-120:]),
                      flush=True)

    for outcome in outcomes:
        for test, reason in outcome.skips:
            print(f"SKIPPED {outcome.name}: {test}: {reason}")
    for outcome in outcomes:
        for failure in outcome.failures:
            print(f"FAILED {outcome.name}: {failure}")
    passed = sum(o.passed for o in outcomes)
    failed = sum(len(o.failures) for o in outcomes)
    skipped = sum(len(o.skips) for o in outcomes)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
