#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The node attestor x509pop on the real binaries: both modes, agents that go and come back."""

import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from harness import (BIN, CommandFailed, Deployment, expect, expect_failure, own_uid,  # noqa: E402
                     run_tests, spiffe_id, tests_of, wait_until)

NODE_SAN = "subjectAltName=URI:x509pop://example.org/env/prod"


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise CommandFailed(["openssl", *arguments], done.returncode, done.stderr)
    return done.stdout


def make_root(directory, name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.pem",
            "-subj", f"/CN={name}", "-days", "2", "-addext", "keyUsage=critical,keyCertSign")


def issue(directory, name, issuer, *extensions, rsa=False):
    key = (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if rsa else
           ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    openssl("genpkey", *key, "-out", directory / f"{name}.key")
    openssl("req", "-new", "-key", directory / f"{name}.key", "-subj", f"/CN={name}",
            "-out", directory / f"{name}.csr")
    (directory / f"{name}.ext").write_text("\n".join(extensions) + "\n")
    openssl("x509", "-req", "-in", directory / f"{name}.csr", "-CA", directory / f"{issuer}.pem",
            "-CAkey", directory / f"{issuer}.key", "-CAcreateserial", "-days", "1",
            "-extfile", directory / f"{name}.ext", "-out", directory / f"{name}.pem")


def issue_node(directory, name, issuer="ca", **options):
    issue(directory, name, issuer, "keyUsage=critical,digitalSignature",
          f"{NODE_SAN},IP:127.0.0.1", **options)


def fingerprint(path):
    text = openssl("x509", "-in", path, "-noout", "-fingerprint", "-sha1")
    return text.partition("=")[2].strip().replace(":", "").lower()


def deployment_with(server=None, **settings):
    """A deployment with a CA of its own and a server that trusts it for nodes."""
    deployment = Deployment(server=server)
    make_root(deployment.directory, "ca")
    x509pop = {"ca_bundle_path": str(deployment.directory / "ca.pem")}
    if settings.get("mode") == "spiffe":
        x509pop = {}
    x509pop.update(settings)
    deployment.server.config["node_attestors"] = {"join_token": {}, "x509pop": x509pop}
    return deployment


def make_agent(deployment, certificate="node", key=None, name="agent", **settings):
    directory = deployment.directory
    return deployment.make_agent(name, node_attestor={"x509pop": {
        "certificate_path": str(directory / f"{certificate}.pem"),
        "private_key_path": str(directory / f"{key or certificate}.key"), **settings}})


def agents(deployment):
    return {agent["spiffe_id"]: agent for agent in deployment.writ_json("agent", "list")["agents"]}


def expect_refused(deployment, daemon, *words):
    code = daemon.start().wait()
    expect(code not in (0, None), "the agent should have ended with a failure")
    for word in words:
        expect(word in daemon.log(), f"'{word}' is not in the agent's log")
    expect(not agents(deployment), "a refused node became an agent")


def run_validate(program, daemon):
    command = [str(BIN / program), "validate", "--config", str(daemon.config_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode != 0:
        raise CommandFailed(command, done.returncode, done.stdout)
    return done.stdout


def test_a_node_of_the_external_pki_attests_and_serves():
    for rsa in (False, True):
        with deployment_with(verify_client_ip=True).start_server() as deployment:
            directory = deployment.directory
            issue(directory, "middle", "ca", "basicConstraints=critical,CA:TRUE",
                  "keyUsage=critical,keyCertSign")
            issue_node(directory, "node", "middle", rsa=rsa)
            make_agent(deployment, intermediates_path=str(directory / "middle.pem")).start()
            deployment.await_agent()
            [(name, agent)] = agents(deployment).items()
            expect(name == spiffe_id("/spire/agent/x509pop/" + fingerprint(directory / "node.pem")),
                   f"the agent is {name}")
            serial = openssl("x509", "-in", directory / "node.pem", "-noout", "-serial")
            wanted = {"x509pop:subject:cn:node", "x509pop:san:env:prod",
                      "x509pop:serialnumber:" + serial.partition("=")[2].strip().lower()}
            wanted |= {"x509pop:ca:fingerprint:" + fingerprint(directory / f"{ca}.pem")
                       for ca in ("middle", "ca")}
            expect(set(agent["selectors"]) == wanted, f"the selectors are {agent['selectors']}")
            # An alias by a node selector, and a workload below it.
            deployment.entry("/prod", ["x509pop:san:env:prod"], "/spire/server")
            deployment.entry("/app", [own_uid()], "/prod")
            wait_until(lambda: deployment.workload_json("svid", "fetch", "x509"), "an SVID")


def test_the_template_makes_the_agents_path():
    template = "/cn/{{ .Subject.CommonName }}/{{ .URISanSelectors.env }}"
    with deployment_with(agent_path_template=template).start_server() as deployment:
        issue_node(deployment.directory, "node")
        make_agent(deployment).start()
        deployment.await_agent()
        expect(list(agents(deployment)) == [spiffe_id("/spire/agent/cn/node/prod")],
               f"the agents are {list(agents(deployment))}")


def test_an_svid_is_exchanged_in_mode_spiffe():
    with deployment_with(mode="spiffe").start_server() as deployment:
        directory = deployment.directory
        for name, path in (("node", "/spire-exchange/host/1"), ("other", "/host/1")):
            minted = deployment.writ_json("svid", "mint", "x509", "--spiffe-id", spiffe_id(path))
            (directory / f"{name}.pem").write_text(minted["x509_svid"])
            (directory / f"{name}.key").write_text(minted["key"])
        expect_refused(deployment, make_agent(deployment, "other", name="other"), "SVID prefix")
        make_agent(deployment).start()
        deployment.await_agent()
        expect(list(agents(deployment)) == [spiffe_id("/spire/agent/x509pop/host/1")],
               f"the agents are {list(agents(deployment))}")


def test_a_certificate_of_another_ca_is_refused():
    with deployment_with().start_server() as deployment:
        make_root(deployment.directory, "other")
        issue_node(deployment.directory, "node", "other")
        expect_refused(deployment, make_agent(deployment), "certificate verification failed",
                       "node_attestors")


def test_a_key_of_another_certificate_is_refused_at_the_start():
    with deployment_with().start_server() as deployment:
        issue_node(deployment.directory, "node")
        issue_node(deployment.directory, "other")
        agent = make_agent(deployment, key="other")
        expect_refused(deployment, agent, "is not that of the first certificate")
        expect_failure(lambda: run_validate("writ-agent", agent), "node_attestor: x509pop: ")


def test_an_address_that_is_no_san_is_refused():
    with deployment_with(verify_client_ip=True).start_server() as deployment:
        issue(deployment.directory, "node", "ca", "keyUsage=critical,digitalSignature",
              "subjectAltName=IP:192.0.2.7")
        expect_refused(deployment, make_agent(deployment), "127.0.0.1 does not match")


def test_mistakes_in_the_servers_settings_are_told_at_the_start():
    for settings, words in (
            ({"agent_path_template": "a/{{ .Issuer }}"}, ["column 3", ".Issuer"]),
            ({"ca_bundle_path": "/nonexistent/ca.pem"}, ["node_attestors: x509pop: ",
                                                         "/nonexistent/ca.pem"]),
            ({"mode": "other"}, ["external_pki or spiffe"]),
            ({"mode": "spiffe", "ca_bundle_path": "/ca.pem"}, ["mode spiffe"]),
            ({"max_intermediates": 0}, ["max_intermediates"])):
        with deployment_with(**settings) as deployment:
            code = deployment.server.start().wait()
            expect(code not in (0, None), f"the server started with {settings}")
            for word in words:
                expect(word in deployment.server.log(), f"'{word}' is not in the server's log")
            expect_failure(lambda d=deployment: run_validate("writ-server", d.server), *words)


def test_a_method_that_is_not_configured_is_refused():
    with Deployment().start_server() as deployment:
        make_root(deployment.directory, "ca")
        issue_node(deployment.directory, "node")
        expect_refused(deployment, make_agent(deployment), "could not find node attestor type")


def test_a_banned_agent_ends_and_stays_out():
    with deployment_with().start_server() as deployment:
        issue_node(deployment.directory, "node")
        agent = make_agent(deployment).start()
        deployment.await_agent()
        [name] = agents(deployment)
        deployment.writ("agent", "ban", "--spiffe-id", name)
        expect(agent.wait() not in (0, None), "a banned agent should end with a failure")
        expect("banned" in agent.log(), "the log does not say why")
        expect(agent.start().wait() not in (0, None), "a banned agent attested again")
        expect(agents(deployment)[name]["banned"], "the ban is gone")
        # Deleting it lifts the ban.
        deployment.writ("agent", "evict", "--spiffe-id", name)
        agent.start()
        deployment.await_agent()


def test_an_evicted_agent_comes_back_by_itself():
    with deployment_with().start_server() as deployment:
        issue_node(deployment.directory, "node")
        agent = make_agent(deployment).start()
        deployment.await_agent()
        [name] = agents(deployment)
        deployment.entry("/app", [own_uid()], name)
        wait_until(lambda: deployment.workload_json("svid", "fetch", "x509"), "an SVID")
        deployment.writ("agent", "evict", "--spiffe-id", name)
        wait_until(lambda: name in agents(deployment), "the agent is back")
        expect(agent.running(), "the agent ended")
        wait_until(lambda: deployment.workload_json("svid", "fetch", "x509"), "an SVID again")


def test_the_agent_renews_by_attesting_anew():
    with deployment_with(server={"svid": {"agent_ttl": "10s"}}).start_server() as deployment:
        issue_node(deployment.directory, "node")
        agent = make_agent(deployment).start()
        deployment.await_agent()
        [(name, first)] = agents(deployment).items()
        seen = {first["serial_number"]}

        def renewed():
            seen.add(agents(deployment)[name]["serial_number"])
            return len(seen) >= 4
        wait_until(renewed, "three renewals")
        expect(agent.running(), "the agent ended")
        # Off for longer than its SVID lives: it comes back without anybody's help.
        agent.stop()
        end = agents(deployment)[name]["expires_at"]
        wait_until(lambda: time.time() > end + 1, "the agent's SVID has expired")
        agent.start()
        deployment.await_agent()


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
