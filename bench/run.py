#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Writ costs, as a table: real daemons in a throw-away directory under loads of bench/load.

CPU is that of the daemon's process, per operation, with the audit log on. Figures of a busy machine
vary; compare them with `raw` (one P-256 verification and one signature) of the same run.
"""

import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test" / "support"))

import harness  # noqa: E402  (the path is set just above)

NODE = "spiffe://example.org/node"
OTHER_NODE = "spiffe://example.org/other"
SECONDS_MAX = 600
POLL_SECONDS = 0.001
POLL_SLOWLY_SECONDS = 0.02  # where the daemon's CPU is measured: each poll costs it some
SETTLE_SECONDS = 6  # until a daemon has given back what a peak left free
ENTRIES_MANY = 100_000
HELD_X509 = 1_000  # an agent's default
HELD_X509_MANY = 10_000
ENTRIES_AT_START = 10_000


class Table:
    """Rows of operation, figure, unit and target; printed as they come."""

    def __init__(self):
        self.rows = []

    def add(self, operation, figure, unit, target, note=""):
        row = {"operation": operation, "figure": round(figure, 3), "unit": unit, "target": target}
        if note:
            row["note"] = note
        self.rows.append(row)
        reached = "" if target is None else ("yes" if figure <= target else
                                              f"{figure / target:.1f}x")
        print(f"{operation:<58} {figure:>9.3f} {unit:<4} "
              f"{'' if target is None else target:>7} {reached:<5} {note}", flush=True)


class Bench:
    def __init__(self, scale, directory):
        self.scale = scale
        self.load = directory / "writ_load"
        self.table = Table()

    def count(self, operations):
        return max(10, int(operations * self.scale))

    def run(self, deployment, operation, *flags, count=1000, parallel=8, parent=NODE):
        """One load; what writ_load tells."""
        command = [self.load, operation, "--count", count, "--parallel", parallel,
                   "--server-address", f"127.0.0.1:{deployment.port}",
                   "--server-socket", deployment.server_socket,
                   "--bundle-file", deployment.directory / "bundle.pem",
                   "--parent-id", parent, *flags]
        if deployment.server.running():
            command += ["--server-pid", deployment.server.process.pid]
        if "agent" in deployment.agents:
            command += ["--workload-socket", deployment.workload_socket(),
                        "--agent-pid", deployment.agents["agent"].process.pid]
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                              timeout=SECONDS_MAX, check=True)
        return json.loads(done.stdout)

    def cpu(self, deployment, row, target, operation, *flags, who=("server",), each=1, **counts):
        """Adds a row: milliseconds of CPU of the daemons `who`, together, per operation."""
        told = self.run(deployment, operation, *flags, **counts)["cpu_us"]
        self.table.add(row, sum(told[name] for name in who) / 1000 / each, "ms", target)


def resident_mb(daemon):
    fields = pathlib.Path(f"/proc/{daemon.process.pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def cpu_seconds(daemon):
    clock = (~daemon.process.pid << 3) | 2  # the kernel's name for a process's CPU clock
    return time.clock_gettime(clock)


def is_ready(port):
    try:
        with socket.create_connection(("127.0.0.1", port)) as probe:
            probe.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in probe.recv(64)
    except OSError:
        return False


def start_until_ready(daemon, poll_seconds=POLL_SECONDS, **env):
    """Milliseconds from exec until /ready says so: an agent's first synchronization is done."""
    port = harness.free_port()
    http = f"127.0.0.1:{port}"
    if daemon.program == "writ-server":
        daemon.config["listen"]["http"] = http
    else:
        daemon.config["http"] = http
    begin = time.monotonic()
    daemon.start(env=env)
    while not is_ready(port):
        harness.pause(poll_seconds)
    return (time.monotonic() - begin) * 1000


def await_held(agent, count):
    """Until the agent holds so many X.509-SVIDs, and has settled."""
    url = f"http://{agent.config['http']}/metrics"
    line = f"writ_agent_x509_svids {count}".encode()
    harness.wait_until(lambda: line in urllib.request.urlopen(url).read(), "the SVIDs",
                       SECONDS_MAX)
    harness.pause(SETTLE_SECONDS)


def await_svid(deployment):
    harness.wait_until(lambda: deployment.workload("svid", "fetch", "x509"), "an SVID")


def quiet():
    return harness.Deployment(
        server={"log": {"level": "warn"}, "rate_limit": {"signing": 0}},
        agent={"log": {"level": "warn"}})


def sizes(bench, directory):
    for program, target in (("writ-server", 20), ("writ-agent", 12)):
        stripped = directory / f"{program}.stripped"
        subprocess.run(["strip", "-o", stripped, directory / program], check=True)
        bench.table.add(f"release binary, stripped: {program}", stripped.stat().st_size / 1e6,
                        "MB", target)
        stripped.unlink()


def few_entries(bench):
    """A server and an agent with about a hundred entries."""
    table = bench.table
    with quiet() as d:
        d.start_server()
        table.add("resident at rest: server", resident_mb(d.server), "MB", 20)
        agent = d.start_agent()
        d.entry("/me", [f"unix:uid:{os.getuid()}"], NODE)
        table.add("resident at rest: agent", resident_mb(agent), "MB", 15)

        raw = bench.run(d, "raw", count=bench.count(5000))["cpu_us"]["raw"] / 1000
        table.add("raw: P-256 verify and sign", raw, "ms", None)
        svids = bench.run(d, "batch-x509", count=bench.count(400))
        each = svids["cpu_us"]["server"] / 50 / 1000
        table.add("batch of 50 X.509-SVIDs, per SVID", each, "ms", 0.20,
                  f"{each / raw:.2f}x raw; target 1.6x")
        calls = {"count": bench.count(4000)}
        bench.cpu(d, "one X.509-SVID per call", 0.30, "single-x509", **calls)
        bench.cpu(d, "one X.509-SVID minted", 0.25, "mint-x509", **calls)
        bench.cpu(d, "JWT-SVID by an agent", 0.09, "jwt", **calls)
        bench.cpu(d, "JWT-SVID minted", 0.08, "mint-jwt", **calls)
        bench.cpu(d, "join token and attestation, open connection", 1.0, "attest", **calls)
        bench.cpu(d, "TLS handshake, with one call", 2.5, "handshake", parallel=1,
                  count=bench.count(1000))

        await_svid(d)
        agent_only = {"who": ("agent",), **calls}
        bench.cpu(d, "Workload API, first X.509 answer, open connection", 0.10, "workload-x509",
                  **agent_only)
        bench.cpu(d, "Workload API, first X.509 answer, new connection", 0.30, "workload-x509",
                  "--own-connection", **agent_only)
        bench.cpu(d, "JWT-SVID cached", 0.08, "workload-jwt", **agent_only)
        told = bench.run(d, "workload-jwt-new", **calls)["cpu_us"]
        table.add("JWT-SVID, new audience: agent", told["agent"] / 1000, "ms", 0.15)
        table.add("JWT-SVID, new audience: server", told["server"] / 1000, "ms", 0.10)
        # Of a node that is not there: else each is also told to the agent, which asks for its SVID.
        bench.cpu(d, "entry created, at 100 entries", 0.3, "entry", count=bench.count(200),
                  parallel=1, parent=OTHER_NODE)

        latency = bench.run(d, "latency", count=bench.count(50))
        table.add("entry created to SVID at the workload, at 100 entries (wall)",
                  latency["median_ms"], "ms", 50)


def streams(bench):
    """Memory of open streams; an agent that has served before would have some to spare."""
    for name, target, flags in (("shared", 16, ()), ("own", 30, ("--own-connection",))):
        with quiet() as d:
            d.start_server()
            d.start_agent()
            d.entry("/me", [f"unix:uid:{os.getuid()}"], NODE)
            await_svid(d)
            told = bench.run(d, "streams", *flags, count=bench.count(1000))
        bench.table.add(f"open X.509 stream, {name} connection", told["bytes_each"] / 1024, "KiB",
                        target)


def many_entries(bench):
    """100,000 entries, all of one agent."""
    table = bench.table
    with quiet() as d:
        d.start_server()
        agent = d.start_agent()
        d.entry("/me", [f"unix:uid:{os.getuid()}"], NODE)
        await_svid(d)
        agent.stop()
        del d.agents["agent"]
        bench.run(d, "entries", count=ENTRIES_MANY, parallel=2)
        bench.cpu(d, "entry created, at 100,000 entries", 0.3, "entry", count=bench.count(500),
                  parallel=1)
        harness.pause(SETTLE_SECONDS)
        table.add("resident with 100,000 entries: server", resident_mb(d.server), "MB", 100)

        d.agents["agent"] = agent
        before = cpu_seconds(d.server)
        start_until_ready(agent, POLL_SLOWLY_SECONDS)
        table.add("full sync of 100,000 entries: server", cpu_seconds(d.server) - before, "s", 0.25)
        table.add("full sync of 100,000 entries: agent", cpu_seconds(agent), "s", 0.5)
        await_held(agent, HELD_X509)
        table.add("resident with 100,000 entries: agent", resident_mb(agent), "MB", 60)
        await_svid(d)
        latency = bench.run(d, "latency", count=bench.count(20))
        table.add("entry created to SVID at the workload, at 100,000 (wall)",
                  latency["median_ms"], "ms", 100)
        held_svids(table, agent)


def held_svids(table, agent):
    """What X.509-SVIDs of an agent take that holds many: the difference between two limits."""
    held = []
    for limit in (HELD_X509, HELD_X509_MANY):
        agent.stop()
        agent.config["cache"] = {"x509": limit}
        start_until_ready(agent, POLL_SLOWLY_SECONDS)
        await_held(agent, limit)
        held.append(resident_mb(agent))
    each = (held[1] - held[0]) * 1e3 / (HELD_X509_MANY - HELD_X509)
    table.add("held X.509-SVID: agent", each, "kB", 1.2)


def starts(bench):
    """From exec to ready, with 10,000 entries, one of them the agent's."""
    table = bench.table
    best = {"server": [], "stored": [], "attested": []}
    with quiet() as d:
        d.start_server()
        bench.run(d, "entries", parent=OTHER_NODE, count=ENTRIES_AT_START, parallel=2)
        d.entry("/me", [f"unix:uid:{os.getuid()}"], NODE)
        for round_ in range(bench.count(10)):
            agent = d.make_agent(f"agent{round_}")
            best["attested"].append(start_until_ready(
                agent, WRIT_JOIN_TOKEN=d.token(NODE)))
            agent.stop()
            best["stored"].append(start_until_ready(agent))
            agent.stop()
            d.server.stop()
            best["server"].append(start_until_ready(d.server))
    for name, row, target in (
            ("server", "exec to ready with 10,000 entries: server (wall)", 30),
            ("stored", "exec to first sync, stored SVID: agent (wall)", 60),
            ("attested", "exec to first sync, with attestation: agent (wall)", 100)):
        figures = sorted(best[name])
        table.add(row, figures[len(figures) // 2], "ms", target, f"best {figures[0]:.1f}")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--build", default=ROOT / "build-release", type=pathlib.Path)
    parser.add_argument("--scale", default=1.0, type=float, help="more or fewer operations")
    parser.add_argument("--only", choices=["sizes", "few", "streams", "many", "starts"])
    parser.add_argument("--json", type=pathlib.Path, help="the rows, for other programs")
    options = parser.parse_args()
    directory = (options.build / "bin").resolve()
    harness.BIN = directory
    bench = Bench(options.scale, directory)
    parts = {"sizes": lambda: sizes(bench, directory), "few": lambda: few_entries(bench),
             "streams": lambda: streams(bench),
             "many": lambda: many_entries(bench), "starts": lambda: starts(bench)}
    for name, part in parts.items():
        if options.only in (None, name):
            part()
    if options.json:
        options.json.write_text(json.dumps(bench.table.rows, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
