# SPDX-License-Identifier: Apache-2.0
"""Real binaries for tests: a deployment of one server and any number of agents in a directory of
its own, the `writ` command against it, and the runner of Python suites.

Waiting is always for a condition, with a bound that only a broken system reaches.
"""

import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("WRIT_BIN", ROOT / "build" / "bin"))
TRUST_DOMAIN = "example.org"
WAIT_SECONDS_MAX = 60.0
SANITIZED = "WRIT_SANITIZED" in os.environ  # sanitizers take memory and time
SANITIZER_REPORT = re.compile(r"\w+: (Address|Leak|Thread)Sanitizer: |: runtime error: ")


class Skip(Exception):
    """A test that cannot run here; the message says why."""


class CommandFailed(Exception):
    def __init__(self, arguments, code, output):
        super().__init__(f"{' '.join(map(str, arguments))}: status {code}\n{output}")
        self.code = code
        self.output = output


def pause(seconds):
    select.select([], [], [], seconds)


def wait_until(condition, what, seconds=WAIT_SECONDS_MAX):
    """The condition's first true value. Its exceptions count as "not yet"."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            value = condition()
            if value:
                return value
            last = None
        except (CommandFailed, OSError, AssertionError) as failure:
            last = failure
        pause(0.05)
    why = f": {last}" if last else ""
    raise AssertionError(f"gave up waiting after {seconds} s: {what}{why}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def merged(base, changes):
    result = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


class Daemon:
    """One process of ours, its configuration and its log."""

    def __init__(self, program, name, directory, config):
        self.program = program
        self.name = name
        self.config_path = directory / f"{name}.yaml"
        self.log_path = directory / f"{name}.log"
        self.config = config
        self.process = None

    def start(self, *arguments, env=None, **popen):
        self.config_path.write_text(json.dumps(self.config))  # JSON is YAML
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            [str(BIN / self.program), "run", "--config", str(self.config_path), *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ, **(env or {})),
            **popen)
        log.close()
        return self

    def stop(self, sig=signal.SIGTERM, seconds=10):
        if self.process is None:
            return None
        self.process.send_signal(sig)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end within {seconds} s of {sig!r}")
        self.process = None
        return code

    def kill(self):
        return self.stop(signal.SIGKILL)

    def wait(self, seconds=WAIT_SECONDS_MAX):
        code = self.process.wait(seconds)
        self.process = None
        return code

    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def sanitizer_report(self):
        """What a sanitizer found in this process, of binaries that were built with one."""
        text = self.log()
        found = SANITIZER_REPORT.search(text)
        return f"{self.name}: {text[found.start():found.start() + 10_000]}" if found else ""


class Deployment:
    def __init__(self, server=None, agent=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="writ-it-"))
        self.directory.chmod(0o755)
        self.port = free_port()
        self.server_socket = str(self.directory / "server-run" / "admin.sock")
        self.agent_config = agent or {}
        self.agents = {}
        self.server = Daemon("writ-server", "server", self.directory, merged({
            "trust_domain": TRUST_DOMAIN,
            "data_dir": str(self.directory / "server"),
            "listen": {"address": f"127.0.0.1:{self.port}", "admin_socket": self.server_socket,
                       "http": ""},
            "rate_limit": {"attestation": 0},
            "log": {"level": "debug"},
        }, server or {}))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        daemons = [*self.agents.values(), self.server]
        for daemon in daemons:
            if daemon.process is not None:
                daemon.process.kill()
                daemon.process.wait()
        if error is not None and not isinstance(error, Skip):
            for daemon in daemons:
                print(f"--- end of {daemon.name}.log\n{daemon.log()[-4000:]}")
        reports = [report for report in map(Daemon.sanitizer_report, daemons) if report]
        shutil.rmtree(self.directory, ignore_errors=True)
        if error is None:
            expect(not reports, "\n".join(reports))

    # The server.
    def start_server(self, **popen):
        self.server.start(**popen)
        wait_until(lambda: self.writ("health", "server"), "the server serves")
        bundle = self.directory / "bundle.pem"
        bundle.write_text(self.writ("bundle", "show"))
        bundle.chmod(0o644)
        return self

    def writ(self, *arguments, socket_path=None, env=None, **popen):
        """Runs `writ` against the server's admin socket (or another); its standard output."""
        command = [str(BIN / "writ"), *arguments, "--socket", socket_path or self.server_socket]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=WAIT_SECONDS_MAX,
                              env=dict(os.environ, **(env or {})), check=False, **popen)
        if done.returncode != 0:
            raise CommandFailed(command, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def writ_json(self, *arguments, **options):
        return json.loads(self.writ(*arguments, "--output", "json", **options))

    def token(self, alias=None, *flags):
        arguments = ["token", "create", *flags]
        if alias:
            arguments += ["--spiffe-id", alias]
        return self.writ_json(*arguments)["token"]

    def entry(self, path, selectors, parent, *flags):
        """Creates an entry; its ID. `path` and `parent` are paths or whole SPIFFE IDs."""
        arguments = ["entry", "create", "--spiffe-id", spiffe_id(path),
                     "--parent-id", spiffe_id(parent)]
        for selector in selectors:
            arguments += ["--selector", selector]
        return self.writ_json(*arguments, *flags)["entries"][0]["id"]

    # Agents.
    def make_agent(self, name="agent", **changes):
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        directory.chmod(0o755)
        config = merged(merged({
            "trust_domain": TRUST_DOMAIN,
            "data_dir": str(directory / "data"),
            "server": {"address": f"127.0.0.1:{self.port}",
                       "bundle_file": str(self.directory / "bundle.pem")},
            "workload_socket": str(directory / "public" / "workload.sock"),
            "admin_socket": str(directory / "run" / "admin.sock"),
            "http": "",
            "sync_interval": "1s",
            "log": {"level": "debug"},
        }, self.agent_config), changes)
        self.agents[name] = Daemon("writ-agent", name, self.directory, config)
        return self.agents[name]

    def start_agent(self, name="agent", alias="/node", token=None, **changes):
        """A new agent, attested by a fresh token, ready when its health says so."""
        agent = self.make_agent(name, **changes)
        agent.start(env={"WRIT_JOIN_TOKEN": token or self.token(spiffe_id(alias))})
        self.await_agent(name)
        return agent

    def await_agent(self, name="agent"):
        wait_until(lambda: self.writ("health", "agent", socket_path=self.agents[name].config[
            "admin_socket"]), f"{name} serves")

    def workload_socket(self, name="agent"):
        return self.agents[name].config["workload_socket"]

    def workload(self, *arguments, name="agent", **options):
        return self.writ(*arguments, socket_path=self.workload_socket(name), **options)

    def workload_json(self, *arguments, name="agent", **options):
        return self.writ_json(*arguments, socket_path=self.workload_socket(name), **options)


class Watch:
    """An open stream of `writ svid watch x509`, its updates as they come."""

    def __init__(self, deployment):
        self.path = deployment.directory / "watch.log"
        self.file = open(self.path, "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [str(BIN / "writ"), "svid", "watch", "x509", "--socket", deployment.workload_socket()],
            stdin=subprocess.DEVNULL, stdout=self.file, stderr=subprocess.STDOUT)

    def text(self):
        return self.path.read_text()

    def since_first(self):
        """What came after the first identity: before it, an agent may not have synchronized yet."""
        return self.text().partition("SPIFFE ID:")[2]

    def ids(self):
        return [line.split()[-1] for line in self.text().splitlines() if "SPIFFE ID:" in line]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            print(f"--- end of the watch\n{self.text()[-2000:]}")
        self.process.kill()
        self.process.wait()
        self.file.close()


def spiffe_id(path):
    return path if path.startswith("spiffe://") else f"spiffe://{TRUST_DOMAIN}{path}"


def own_uid():
    return f"unix:uid:{os.getuid()}"


def expect(condition, sentence):
    if not condition:
        raise AssertionError(sentence)


def expect_failure(run, *words):
    """The output of a command that must fail, which must say each of the words."""
    try:
        output = run()
    except CommandFailed as failure:
        for word in words:
            expect(word in failure.output, f"'{word}' is not in: {failure.output}")
        return failure
    raise AssertionError(f"succeeded, but should have failed: {output}")


def run_tests(tests):
    """Runs functions as tests, a line for each, and ends the process."""
    failed = 0
    for test in tests:
        start = time.monotonic()
        try:
            test()
        except Skip as reason:
            print(f"skip {test.__name__}: {reason}", flush=True)
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc(file=sys.stdout)
            print(f"FAIL {test.__name__}", flush=True)
            failed += 1
        else:
            print(f"ok {test.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
    sys.exit(1 if failed else 0)


def tests_of(module):
    return [value for name, value in vars(module).items() if name.startswith("test_")]
