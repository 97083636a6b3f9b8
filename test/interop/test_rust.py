#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Rust crate `spiffe` against a real agent: rust/src/main.rs, built into the cache."""

import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import workloads  # pylint: disable=wrong-import-position
from harness import Skip  # pylint: disable=wrong-import-position

HERE = pathlib.Path(__file__).resolve().parent / "rust"
CARGO_MINOR_MIN = 88
TARGET = "rust-spiffe-0.19.0"  # as in Cargo.toml


def cargo_minor():
    """The 88 of cargo 1.88; nothing here at all is 0."""
    if not shutil.which("cargo"):
        return 0
    text = subprocess.run(["cargo", "--version"], stdout=subprocess.PIPE, text=True,
                          check=False).stdout
    parts = text.removeprefix("cargo ").split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def build():
    """The client. Debian's own cargo is too old; the one that it builds its browsers with is not,
    but excludes any other: it is installed only where there is none."""
    if cargo_minor() == 0:
        workloads.need_programs({"cargo": "cargo-web", "rustc": "rustc-web"})
    if cargo_minor() < CARGO_MINOR_MIN:
        raise Skip(f"cargo 1.{cargo_minor()} is here, 1.{CARGO_MINOR_MIN} is needed")
    target = workloads.CACHE / TARGET
    env = dict(os.environ, CARGO_TARGET_DIR=str(target))
    fetched = subprocess.run(["cargo", "fetch", "-q", "--locked"], cwd=HERE, env=env,
                             stderr=subprocess.PIPE, text=True, check=False)
    if fetched.returncode != 0:
        raise Skip(f"crates.io gave no crates: {fetched.stderr[-300:]}")
    subprocess.run(["cargo", "build", "-q", "--locked", "--offline"], cwd=HERE, env=env, check=True)
    return target / "debug" / "interop"


def main():
    try:
        program = build()
    except Skip as reason:
        print(f"skip rust-spiffe: {reason}")
        return 0

    def command_in(directory):
        shutil.copy(program, directory)
        return [str(directory / "interop")]

    with workloads.deploy() as deployment:
        return workloads.run_client(deployment, "rust-spiffe", command_in)


if __name__ == "__main__":
    sys.exit(main())
