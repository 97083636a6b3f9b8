#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad configuration of every kind, validate, and the programs' help."""

import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import BIN, Deployment, expect, run_tests, tests_of, wait_until

SERVER = {"trust_domain": "example.org", "data_dir": "/nonexistent/data"}
AGENT = {"trust_domain": "example.org", "data_dir": "/nonexistent/data",
         "server": {"address": "localhost:8081", "bundle_file": "/nonexistent/bundle.pem"}}


def run(program, command, text, *flags, env=None):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(text if isinstance(text, str) else json.dumps(text))
        config.flush()
        done = subprocess.run([str(BIN / program), command, "--config", config.name, *flags],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env,
                              stderr=subprocess.STDOUT, text=True, timeout=30, check=False)
        return done.returncode, done.stdout.replace(config.name, "CONFIG")


def refused(program, text, *words):
    code, output = run(program, "validate", text)
    expect(code != 0, f"accepted: {text}")
    for word in words:
        expect(word in output, f"'{word}' is not in: {output}")


def test_unknown_key_names_its_place_and_the_nearest_known():
    refused("writ-server", "trust_domain: example.org\nlisten:\n  adress: 0.0.0.0:1\n",
            "CONFIG:3:3", "adress", "address")


def test_wrong_types_and_units_are_refused():
    refused("writ-server", {**SERVER, "ca": {"ttl": "24"}}, "ca.ttl")
    refused("writ-server", {**SERVER, "ca": {"ttl": "a day"}}, "ca.ttl")
    refused("writ-server", {**SERVER, "ca": "24h"}, "ca")
    refused("writ-server", {**SERVER, "ca": {"key_type": "rsa-1024"}}, "rsa-1024", "rsa-2048")
    refused("writ-server", {**SERVER, "log": {"level": "loud"}}, "loud", "info")
    refused("writ-agent", {**AGENT, "sync_interval": "-5s"}, "sync_interval")


def test_missing_and_malformed_required_settings_are_refused():
    refused("writ-server", "{}", "trust_domain")
    refused("writ-server", {**SERVER, "trust_domain": "Example.org"}, "trust_domain")
    refused("writ-server", {**SERVER, "trust_domain": "spiffe://example.org/path"}, "trust_domain")
    refused("writ-agent", {"trust_domain": "example.org"}, "server.address")


def test_broken_yaml_is_refused_with_its_place():
    refused("writ-server", "trust_domain: [\n", "CONFIG:")
    refused("writ-server", "a: 1\na: 2\n", "CONFIG:2:1")
    refused("writ-server", "a: &x 1\nb: *x\n", "CONFIG:")
    refused("writ-server", "- 1\n", "CONFIG:1:1")


def test_agents_bootstrap_must_be_exactly_one():
    none = {**AGENT, "server": {"address": "localhost:8081"}}
    refused("writ-agent", none, "bundle_file", "bundle_url", "insecure_bootstrap")
    both = {**AGENT, "server": {**AGENT["server"], "insecure_bootstrap": True}}
    refused("writ-agent", both, "insecure_bootstrap")


def test_admin_socket_below_the_workload_sockets_directory_is_refused():
    refused("writ-agent", {**AGENT, "workload_socket": "/run/a/workload.sock",
                           "admin_socket": "/run/a/admin.sock"}, "admin_socket")
    refused("writ-agent", {**AGENT, "workload_socket": "/run/a/workload.sock",
                           "admin_socket": "/run/a/b/admin.sock"}, "admin_socket")


def test_missing_file_and_wrong_use_say_so():
    for program in ("writ-server", "writ-agent"):
        done = subprocess.run([str(BIN / program), "run", "--config", "/nonexistent/x.yaml"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=30, check=False)
        expect(done.returncode != 0 and "/nonexistent/x.yaml" in done.stdout, done.stdout)
        for arguments, code in (([], 2), (["nonsense"], 2), (["--help"], 0), (["--version"], 0),
                                (["run", "--help"], 0)):
            done = subprocess.run([str(BIN / program), *arguments], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=30, check=False)
            expect(done.returncode == code, f"{program} {arguments}: {done.returncode}")


def test_examples_are_valid():
    with Deployment() as deployment:
        deployment.start_server()
        bundle = deployment.directory / "bundle.pem"
        bundle.write_text(deployment.writ("bundle", "show"))
        place = str(deployment.directory / "example")
        places = {"writ-server": ["--data-dir", place, "--listen-admin-socket", place + "/s/s"],
                  "writ-agent": ["--data-dir", place, "--workload-socket", place + "/w/s",
                                 "--admin-socket", place + "/a/s",
                                 "--server-bundle-file", str(bundle)]}
        for program, name in (("writ-server", "server.yaml"), ("writ-agent", "agent.yaml")):
            path = pathlib.Path(__file__).resolve().parent.parent.parent / "conf" / name
            code, output = run(program, "validate", path.read_text(), *places[program])
            expect(code == 0, f"conf/{name}: {output}")
        expect(not pathlib.Path(place).exists(), "validate made something")


def test_what_a_start_would_refuse_is_not_valid():
    with tempfile.TemporaryDirectory() as place:
        server = {"trust_domain": "example.org", "data_dir": place + "/data",
                  "listen": {"admin_socket": place + "/run/admin.sock"}}
        code, output = run("writ-server", "validate", server)
        expect(code == 0, output)
        refused("writ-server", {**server, "admin_ids": ["spiffe://example.org"]}, "admin_ids")
        refused("writ-server", {**server, "audit": {"path": place + "/no/audit"}}, "audit.path")
        listen = {**server["listen"], "socket_group": "no-such-group"}
        refused("writ-server", {**server, "listen": listen}, "listen.socket_group")
        code, output = run("writ-server", "validate",
                           {**server, "proxy_protocol_trusted_cidrs": ["0.0.0.0/0"]})
        expect(code == 0 and "every IPv4 address" in output, output)
        agent = {"trust_domain": "example.org", "data_dir": place + "/agent",
                 "workload_socket": place + "/public/w", "admin_socket": place + "/private/a",
                 "server": {"address": "localhost:1", "bundle_file": place + "/bundle.pem"}}
        refused("writ-agent", agent, "server.bundle_file", place + "/bundle.pem")


def test_environment_wins_over_file_and_flag_over_environment():
    with Deployment() as deployment:
        used = deployment.server_socket
        deployment.server.config["listen"]["admin_socket"] = used + ".file"
        deployment.server.start("--listen-admin-socket", used,
                                env={"WRIT_LISTEN_ADMIN_SOCKET": used + ".environment"})
        wait_until(lambda: deployment.writ("health", "server"), "the flag's socket serves")


def test_long_svid_lifetime_warns_and_names_the_ca_lifetime_that_is_needed():
    with Deployment() as deployment:
        config = {**deployment.server.config, "ca": {"ttl": "2h"}, "svid": {"x509_ttl": "1h"}}
        code, output = run("writ-server", "validate", config)
        expect(code == 0, output)
        expect("6h" in output, f"no CA lifetime is named: {output}")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
