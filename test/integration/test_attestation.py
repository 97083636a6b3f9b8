#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Workloads whose attestation costs much: what others feel of it, and what they are told."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import (BIN, CommandFailed, Deployment, Skip, expect, run_tests, spiffe_id, tests_of,
                     wait_until)

NOBODY = 65534
AS_NOBODY = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
ENDLESS_BYTES = 1 << 40  # hours to read; a hole, so it takes no disk


def need_root():
    if os.getuid() != 0:
        raise Skip("needs root: it starts workloads as another user")


@contextlib.contextmanager
def endless_programs(d, count):
    """Programs of nobody's that ask for SVIDs, each of a file that cannot be read to its end."""
    running = []
    for n in range(count):
        path = d.directory / f"endless{n}"
        shutil.copyfile(os.path.realpath(BIN / "writ"), path)
        path.chmod(0o755)
        os.truncate(path, ENDLESS_BYTES)
        running.append(subprocess.Popen(
            [path, "svid", "fetch", "x509", "--socket", d.workload_socket()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            **AS_NOBODY))
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def reads_endless(agent):
    """Whether the agent has one of the programs open."""
    fds = pathlib.Path(f"/proc/{agent.process.pid}/fd")
    with contextlib.suppress(FileNotFoundError):  # closed while we look
        return any("/endless" in os.readlink(fd) for fd in fds.iterdir())
    return False


def test_executables_of_any_size_delay_neither_other_users_nor_the_end():
    need_root()
    with Deployment() as d:
        d.start_server()
        agent = d.start_agent(workload_attestors={"unix": {"discover_workload_path": True}})
        d.entry("/root", ["unix:uid:0"], "/node")
        wait_until(lambda: spiffe_id("/root") in d.workload("svid", "fetch", "x509"), "an SVID")
        with endless_programs(d, 6):
            wait_until(lambda: reads_endless(agent), "the agent reads")
            d.workload("svid", "fetch", "x509")
            # A program that the agent has not seen yet.
            program = d.directory / "new"
            shutil.copyfile(os.path.realpath(BIN / "writ"), program)
            program.chmod(0o755)
            subprocess.run([program, "svid", "fetch", "x509", "--socket",
                            d.workload_socket()], check=True, stdout=subprocess.DEVNULL)
        wait_until(lambda: not reads_endless(agent), "the agent reads for nobody no more")
        with endless_programs(d, 6):
            wait_until(lambda: reads_endless(agent), "the agent reads")
            expect(agent.stop(seconds=5) == 0, "the agent did not end well")


def test_a_process_in_too_many_groups_is_refused_and_told_so():
    need_root()
    with Deployment() as d:
        d.start_server()
        d.start_agent()
        d.entry("/root", ["unix:supplementary_gid:3000001023"], "/node")
        groups = [3_000_000_000 + n for n in range(1025)]
        wait_until(lambda: spiffe_id("/root") in d.workload("svid", "fetch", "x509",
                                                            extra_groups=groups[:1024]), "an SVID")
        try:
            d.workload("svid", "fetch", "x509", extra_groups=groups)
        except CommandFailed as failure:
            expect("in 1025 supplementary groups, at most 1024" in failure.output, failure.output)
            return
        raise AssertionError("expected a refusal")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
