#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""java-spiffe against a real agent: java/Interop.java, run by the JDK as it stands; Maven brings
the library once, into the cache."""

import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import workloads  # pylint: disable=wrong-import-position
from harness import Skip  # pylint: disable=wrong-import-position

HERE = pathlib.Path(__file__).resolve().parent / "java"
LIBRARY = "java-spiffe-0.8.17"  # as in pom.xml


def libraries():
    """The directory of java-spiffe and what it needs."""
    workloads.need_programs({"javac": "openjdk-17-jdk-headless"})
    home = workloads.CACHE / LIBRARY
    if home.exists():
        return home
    workloads.need_programs({"mvn": "maven"})
    partial = home.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    done = subprocess.run(["mvn", "-q", "-B", "-f", HERE / "pom.xml",
                           "dependency:copy-dependencies", f"-DoutputDirectory={partial}"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Skip(f"Maven gave no java-spiffe: {done.stdout[-300:]}")
    partial.rename(home)
    return home


def main():
    try:
        home = libraries()
    except Skip as reason:
        print(f"skip java-spiffe: {reason}")
        return 0

    def command_in(directory):
        shutil.copytree(home, directory / "lib")
        shutil.copy(HERE / "Interop.java", directory)
        return ["java", "-cp", f"{directory}/lib/*", f"{directory}/Interop.java"]

    with workloads.deploy() as deployment:
        return workloads.run_client(deployment, "java-spiffe", command_in)


if __name__ == "__main__":
    sys.exit(main())
