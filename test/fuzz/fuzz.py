#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fuzzes one target, or each in turn: builds with clang's libFuzzer, Address and UB sanitizers,
starts from the checked-in corpus and keeps what it finds in build-fuzz. A crash is printed with the
file to add to the corpus."""

import argparse
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build-fuzz"
CORPUS = ROOT / "test" / "fuzz" / "corpus"
# The programs, and where each lists its targets.
PROGRAMS = {"writ_fuzz": "targets.cc", "writ_fuzz_wire": "targets_wire.cc",
            "writ_fuzz_agent": "targets_agent.cc"}


def programs_of_targets():
    return {target: program for program, source in PROGRAMS.items() for target in re.findall(
        r'{"(\w+)", Fuzz', (ROOT / "test" / "fuzz" / source).read_text())}


def main():
    program_of = programs_of_targets()
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", choices=sorted(program_of), metavar="target",
                        help="one of: " + ", ".join(sorted(program_of)))
    parser.add_argument("seconds", nargs="?", type=int, default=60, help="for each target")
    options = parser.parse_args()
    subprocess.run(["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-DWRIT_FUZZ=ON",
                    "-DWRIT_SANITIZE=fuzzer-no-link,address,undefined", "-DWRIT_TESTS=OFF",
                    "-DCMAKE_C_COMPILER=clang-14",
                    "-DCMAKE_CXX_COMPILER=clang++-14"], check=True, stdout=subprocess.DEVNULL)
    targets = [options.target] if options.target else sorted(program_of)
    subprocess.run(["ninja", "-C", BUILD, *sorted({program_of[target] for target in targets})],
                   check=True)
    for target in targets:
        found = BUILD / "found" / target
        found.mkdir(parents=True, exist_ok=True)
        print(f"fuzzing {target} for {options.seconds} s", flush=True)
        done = subprocess.run(
            [BUILD / "bin" / program_of[target], f"-max_total_time={options.seconds}",
             "-max_len=16384", "-print_final_stats=1",
             f"-artifact_prefix={BUILD}/crash-{target}-", found, CORPUS / target],
            env=dict(os.environ, WRIT_FUZZ_TARGET=target), check=False)
        if done.returncode != 0:
            print(f"{target} failed; add the crash file above to test/fuzz/corpus/{target}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
