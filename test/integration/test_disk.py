#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Disks that are full, limited or read-only under the real programs: what is held is served on,
writes are refused with the reason, and all comes right by itself when there is room again."""

import contextlib
import json
import pathlib
import resource
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import (Deployment, Skip, expect, expect_failure, own_uid, run_tests, spiffe_id,
                     tests_of, wait_until)

DISK_BYTES = 4 << 20
REFUSED_WRITES = 20
# Of one cause: when it comes and goes, and what each of the server's own loops says of it once.
LOG_LINES_MAX = 6
AUDIT_LINE = b'{"filler":"' + b"x" * 1000 + b'"}\n'
AUDIT_BYTES = 16 << 20  # more than the store and its journal take


@contextlib.contextmanager
def small_disk(path):
    """A file system of its own at `path`, where this process may mount one."""
    path.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs",
                           str(path)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=False)


def fill(path):
    """Takes up all the room that is left."""
    filler = path / "filler"
    with open(filler, "wb", buffering=0) as out:
        with contextlib.suppress(OSError):
            while out.write(b"\0" * 65536):
                pass
        with contextlib.suppress(OSError):
            while out.write(b"\0" * 512):
                pass
    return filler


def limit_files(daemon, largest_bytes):
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE,
                     (largest_bytes, resource.RLIM_INFINITY))


def stored_paths(deployment):
    return {entry["spiffe_id"] for entry in deployment.writ_json("entry", "list")["entries"]}


def write_until_refused(deployment, acknowledged, *words):
    for number in range(1000):
        path = f"/until/{len(acknowledged)}"
        try:
            deployment.entry(path, [f"n:{number}"] + [f"pad:{i}-{'x' * 200}" for i in range(20)],
                             "/nobody")
        except Exception as refusal:  # pylint: disable=broad-except
            for word in words:
                expect(word in str(refusal), f"'{word}' is not in: {refusal}")
            return
        acknowledged.add(spiffe_id(path))
    raise AssertionError("a thousand writes and no refusal")


def expect_told(server, log_before, *words):
    """The cause is told, and not again with each write that fails of it."""
    lines = lambda: [line for line in server.log()[log_before:].splitlines()
                     if " warn " in line or " error " in line]
    wait_until(lambda: any(all(word in line for word in words) for line in lines()),
               f"a line that names {words}", 20)
    told = lines()
    expect(len(told) <= LOG_LINES_MAX, "the cause is told again and again:\n" + "\n".join(told))


def outlive(deployment, trouble, relief, *words):
    """The life of a deployment whose server's disk takes nothing more, and then does again."""
    deployment.start_server()
    bundle = deployment.writ("bundle", "show")
    deployment.start_agent()
    acknowledged = {spiffe_id("/before")}
    deployment.entry("/before", [own_uid()], "/node")
    fetch = lambda: deployment.workload("svid", "fetch", "x509")
    wait_until(lambda: spiffe_id("/before") in fetch(), "the first SVID")
    log_before = len(deployment.server.log())

    trouble()
    write_until_refused(deployment, acknowledged, *words)
    for number in range(REFUSED_WRITES):
        expect_failure(lambda n=number: deployment.entry(
            f"/refused/{n}", [f"n:{n}"] + [f"pad:{i}-{'x' * 200}" for i in range(20)], "/nobody"))
    expect(spiffe_id("/before") in fetch(), "what the agent holds is not served")
    expect(acknowledged <= stored_paths(deployment), "reads do not go on")
    expect(deployment.writ("bundle", "show") == bundle, "the bundle is not served")
    expect(deployment.server.running() and deployment.agents["agent"].running(), "one ended")

    relief()
    deployment.entry("/after", [own_uid()], "/node")
    acknowledged.add(spiffe_id("/after"))
    wait_until(lambda: spiffe_id("/after") in fetch(), "the SVID of the new entry")
    expect_told(deployment.server, log_before, *words)

    deployment.server.kill()
    deployment.start_server()
    stored = stored_paths(deployment)
    expect(acknowledged <= stored, f"lost: {acknowledged - stored}")
    expect(not any("/refused/" in path for path in stored), "what was refused is there")
    expect(deployment.writ("bundle", "show") == bundle, "the authorities are others")


def test_full_disk_of_the_server_passes():
    with Deployment() as deployment:
        with small_disk(deployment.directory / "server") as disk:
            outlive(deployment, lambda: fill(disk), lambda: (disk / "filler").unlink(),
                    "free space")
            deployment.server.stop()


def test_file_size_limit_of_the_server_passes():
    with Deployment() as deployment:
        data = deployment.directory / "server"

        def limit():
            largest = max(path.stat().st_size for path in data.glob("writ.db*"))
            limit_files(deployment.server, largest + 65536)

        outlive(deployment, limit, lambda: limit_files(deployment.server, resource.RLIM_INFINITY),
                "writ.db")


def test_audit_log_that_cannot_grow_passes():
    """Nothing is issued that is not recorded, and what is held is served on."""
    with Deployment() as deployment:
        deployment.start_server()
        deployment.start_agent()
        deployment.entry("/before", [own_uid()], "/node")
        fetch = lambda: deployment.workload("svid", "fetch", "x509")
        wait_until(lambda: spiffe_id("/before") in fetch(), "the first SVID")
        audit = deployment.directory / "server" / "audit.jsonl"
        with open(audit, "ab") as log:
            log.write(AUDIT_LINE * (AUDIT_BYTES // len(AUDIT_LINE)))
        log_before = len(deployment.server.log())

        limit_files(deployment.server, audit.stat().st_size)
        for number in range(REFUSED_WRITES):
            expect_failure(lambda n=number: deployment.entry(
                f"/refused/{n}", [f"n:{n}"], "/nobody"), "audit log")
        mint = lambda: deployment.writ("svid", "mint", "jwt", "--spiffe-id", spiffe_id("/minted"),
                                       "--audience", "a")
        expect_failure(mint, "audit log")
        expect(spiffe_id("/before") in fetch(), "what the agent holds is not served")
        expect(deployment.server.running() and deployment.agents["agent"].running(), "one ended")

        limit_files(deployment.server, resource.RLIM_INFINITY)
        deployment.entry("/after", [own_uid()], "/node")
        wait_until(lambda: spiffe_id("/after") in fetch(), "the SVID of the new entry")
        expect(mint(), "nothing is issued")
        expect_told(deployment.server, log_before, "audit log")
        recorded = [line for line in audit.read_bytes().splitlines() if b"filler" not in line]
        for line in recorded:
            json.loads(line)
        expect(any(b"/after" in line for line in recorded), "the new entry is not recorded")


def test_full_disk_of_the_agent_passes():
    with Deployment() as deployment:
        deployment.start_server()
        home = deployment.directory / "agent"
        home.mkdir()
        with small_disk(home / "data") as disk:
            deployment.start_agent()
            fill(disk)
            deployment.entry("/during", [own_uid()], "/node")
            wait_until(lambda: spiffe_id("/during") in deployment.workload("svid", "fetch", "x509"),
                       "a new SVID while the agent's disk is full")
            expect(deployment.agents["agent"].running(), "the agent ended")
            deployment.agents["agent"].stop()


def test_start_on_a_read_only_disk_is_refused_and_harmless():
    with Deployment() as deployment:
        with small_disk(deployment.directory / "server") as disk:
            deployment.start_server()
            deployment.entry("/kept", ["n:1"], "/nobody")
            bundle = deployment.writ("bundle", "show")
            deployment.server.stop()
            remount = lambda how: subprocess.run(
                ["mount", "-o", f"remount,{how}", str(disk)], check=True)
            remount("ro")
            deployment.server.start()
            expect(deployment.server.wait() == 1, "the server started on a read-only disk")
            log = deployment.server.log()
            expect("ead-only" in log, log[-500:])
            remount("rw")
            deployment.start_server()
            expect(spiffe_id("/kept") in stored_paths(deployment), "the entry is lost")
            expect(deployment.writ("bundle", "show") == bundle, "the authorities are others")
            deployment.server.stop()


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
