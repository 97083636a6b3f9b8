#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The agent's life with real binaries: attestation, restarts, a server that is away, a ban, bundles
that do not fit, and what it refuses."""

import concurrent.futures
import pathlib
import shutil
import signal
import stat
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import (Deployment, Watch, expect, expect_failure,
                     own_uid, pause, run_tests, spiffe_id, tests_of, wait_until)


def serial(deployment, name="agent"):
    svids = deployment.workload_json("svid", "fetch", "x509", name=name)["svids"]
    return svids[0]["serial_number"]


def agents(deployment):
    return deployment.writ_json("agent", "list")["agents"]


def test_agent_survives_its_own_restart_without_a_token():
    with Deployment().start_server() as deployment:
        agent = deployment.start_agent()
        deployment.entry("/app", [own_uid()], "/node")
        wait_until(lambda: serial(deployment), "the first SVID")
        before = agents(deployment)
        for sig in (signal.SIGTERM, signal.SIGKILL):
            agent.stop(sig)
            agent.start()
            deployment.await_agent()
            wait_until(lambda: serial(deployment), "an SVID after the restart")
        expect(len(agents(deployment)) == 1 and agents(deployment)[0]["spiffe_id"] ==
               before[0]["spiffe_id"], "the restart made another agent")


def test_workloads_are_served_while_the_server_is_away():
    with Deployment().start_server() as deployment:
        deployment.start_agent()
        # 10 s before now to 20 s after it: half life comes at 5 s, the end at 20 s.
        deployment.entry("/app", [own_uid()], "/node", "--x509-ttl", "20s")
        first = wait_until(lambda: serial(deployment), "the first SVID")
        deployment.server.kill()
        wait_until(lambda: "server" in deployment.agents["agent"].log() and
                   "WARN" in deployment.agents["agent"].log().upper(), "the agent logs the loss")
        expect(serial(deployment) == first, "another SVID, from nowhere")
        deployment.server.start()
        wait_until(lambda: serial(deployment) != first, "rotation once the server is back")


def test_a_jwt_svid_that_is_not_held_waits_for_the_server():
    with Deployment().start_server() as deployment:
        agent = deployment.start_agent()
        deployment.entry("/app", [own_uid()], "/node")
        wait_until(lambda: serial(deployment), "the first SVID")
        deployment.server.kill()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            # More than the agent has threads for calls.
            fetches = [pool.submit(deployment.workload_json, "svid", "fetch", "jwt",
                                   "--audience", f"audience {n}") for n in range(20)]
            wait_until(lambda: "server" in agent.log(), "the agent logs the loss")
            pause(2)
            expect(not any(fetch.done() for fetch in fetches), "a fetch did not wait")
            deployment.server.start()
            for fetch in fetches:
                expect(fetch.result()["svids"], "no token once the server is back")


def test_server_restart_keeps_authorities_and_agents():
    with Deployment().start_server() as deployment:
        deployment.start_agent()
        deployment.entry("/app", [own_uid()], "/node", "--x509-ttl", "20s")
        first = wait_until(lambda: serial(deployment), "the first SVID")
        bundle = deployment.writ("bundle", "show", "--format", "spiffe")
        for sig in (signal.SIGTERM, signal.SIGKILL):
            deployment.server.stop(sig)
            deployment.server.start()
            wait_until(lambda: deployment.writ("health", "server"), "the server serves again")
            expect(deployment.writ("bundle", "show", "--format", "spiffe") == bundle,
                   "a restart changed the authorities")
        wait_until(lambda: serial(deployment) != first,
                   "the agent renews with the restarted server")


def test_token_used_twice_at_once_makes_one_agent():
    with Deployment().start_server() as deployment:
        token = deployment.token()
        names = ["one", "two", "three", "four"]
        for name in names:
            deployment.make_agent(name)

        def start(name):
            return deployment.agents[name].start(env={"WRIT_JOIN_TOKEN": token})

        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(start, names))
        wait_until(lambda: sum(deployment.agents[n].running() for n in names) == 1,
                   "all but one end")
        expect(len(agents(deployment)) == 1, f"{agents(deployment)}")
        for name in names:
            agent = deployment.agents[name]
            if not agent.running():
                expect(agent.wait() != 0, "a refused agent ends with status 0")
                expect("token" in agent.log(), f"no word of the token: {agent.log()}")


def test_unknown_token_ends_the_agent_with_advice():
    with Deployment().start_server() as deployment:
        agent = deployment.make_agent()
        agent.start(env={"WRIT_JOIN_TOKEN": "no-such-token"})
        expect(agent.wait() != 0, "status 0")
        expect("writ token create" in agent.log(), agent.log())


def test_banned_agent_stops():
    with Deployment().start_server() as deployment:
        agent = deployment.start_agent()
        deployment.writ("agent", "ban", "--spiffe-id", agents(deployment)[0]["spiffe_id"])
        expect(agent.wait() != 0, "a banned agent ends with status 0")
        expect("banned" in agent.log(), agent.log())
        expect(agents(deployment)[0]["banned"], "the ban is not listed")
        agent.start()
        expect(agent.wait() != 0, "a banned agent came back")


def test_agents_are_found_by_what_they_are():
    with Deployment().start_server() as deployment:
        agent = deployment.start_agent()
        def count(*flags):
            found = len(deployment.writ_json("agent", "list", *flags)["agents"])
            expect(deployment.writ_json("agent", "count", *flags)["count"] == found, f"{flags}")
            return found
        for flags, others in (
                (["--attestation-type", "join_token"], ["--attestation-type", "x509pop"]),
                (["--banned=false"], ["--banned"]),
                (["--can-reattest=false"], ["--can-reattest"]),
                (["--expires-before", "2200-01-31T12:00:00Z"], ["--expires-before", "1700000000"])):
            expect(count(*flags) == 1, f"not found by {flags}")
            expect(count(*others) == 0, f"found by {others}")
        deployment.writ("agent", "ban", "--spiffe-id", agents(deployment)[0]["spiffe_id"])
        agent.wait()
        expect(count("--banned") == 1 and count("--banned=false") == 0, "the ban is not seen")
        for flags in (["--expires-before", "soon"], ["--attestation-type", ""]):
            expect_failure(lambda wrong=flags: deployment.writ("agent", "list", *wrong), flags[0])


def test_evicted_join_token_agent_stops_with_advice():
    with Deployment().start_server() as deployment:
        agent = deployment.start_agent()
        deployment.writ("agent", "evict", "--spiffe-id", agents(deployment)[0]["spiffe_id"])
        expect(agent.wait() != 0, "status 0")
        expect("writ token create" in agent.log(), agent.log())
        expect(agents(deployment) == [], "the agent is still listed")
        expect(deployment.writ_json("entry", "list")["entries"] == [], "its alias entry is left")


def test_wrong_trust_bundle_is_never_accepted():
    with Deployment().start_server() as deployment, Deployment().start_server() as other:
        shutil.copy(other.directory / "bundle.pem", deployment.directory / "wrong.pem")
        token = deployment.token()
        agent = deployment.make_agent(server={
            "bundle_file": str(deployment.directory / "wrong.pem")})
        agent.start(env={"WRIT_JOIN_TOKEN": token})
        wait_until(lambda: "verif" in agent.log(), "the agent logs that nothing verifies")
        expect(agent.running(), "the agent gave up")
        expect_failure(lambda: deployment.workload("svid", "fetch", "x509"), "UNAVAILABLE")
        expect(agents(deployment) == [], "attested through the wrong bundle")
        # The right bundle comes to the same file: the agent reads it again by itself.
        shutil.copy(deployment.directory / "bundle.pem", deployment.directory / "wrong.pem")
        wait_until(lambda: len(agents(deployment)) == 1, "attested with the right bundle")


def test_insecure_bootstrap_is_loud_and_works():
    with Deployment().start_server() as deployment:
        agent = deployment.make_agent()
        del agent.config["server"]["bundle_file"]
        agent.config["server"]["insecure_bootstrap"] = True
        agent.start(env={"WRIT_JOIN_TOKEN": deployment.token()})
        deployment.await_agent()
        expect("insecure" in agent.log().lower(), "not a word of it in the log")


def test_spiffe_json_bundle_file_bootstraps():
    with Deployment().start_server() as deployment:
        path = deployment.directory / "bundle.json"
        path.write_text(deployment.writ("bundle", "show", "--format", "spiffe"))
        deployment.start_agent(server={"bundle_file": str(path)})


def test_socket_listens_before_the_server_is_there():
    with Deployment().start_server() as deployment:
        token = deployment.token()
        deployment.server.stop()
        agent = deployment.make_agent()
        agent.start(env={"WRIT_JOIN_TOKEN": token})
        wait_until(lambda: pathlib.Path(deployment.workload_socket()).exists(), "the socket")
        expect_failure(lambda: deployment.workload("svid", "fetch", "x509"), "UNAVAILABLE")
        deployment.server.start()
        deployment.await_agent()


def test_sockets_have_their_modes_whatever_the_umask():
    with Deployment() as deployment:
        deployment.start_server(umask=0o077)
        token = deployment.token()
        agent = deployment.make_agent()
        agent.start(env={"WRIT_JOIN_TOKEN": token}, umask=0)
        deployment.await_agent()
        for path, mode in ((deployment.server_socket, 0o660),
                           (deployment.workload_socket(), 0o666),
                           (agent.config["admin_socket"], 0o660)):
            found = stat.S_IMODE(pathlib.Path(path).stat().st_mode)
            expect(found == mode, f"{path} has {found:o}, not {mode:o}")
        for path, mode in ((pathlib.Path(deployment.server_socket).parent, 0o750),
                           (pathlib.Path(deployment.workload_socket()).parent, 0o755),
                           (pathlib.Path(agent.config["admin_socket"]).parent, 0o750)):
            found = stat.S_IMODE(path.stat().st_mode)
            expect(found == mode, f"{path} has {found:o}, not {mode:o}")
        for data in (agent.config["data_dir"], deployment.server.config["data_dir"]):
            expect(stat.S_IMODE(pathlib.Path(data).stat().st_mode) == 0o700, f"{data} is open")
            for path in pathlib.Path(data, "keys").iterdir():
                expect(stat.S_IMODE(path.stat().st_mode) == 0o600, f"{path} is open to others")


def test_second_instance_is_refused_and_the_first_goes_on():
    with Deployment().start_server() as deployment:
        agent = deployment.start_agent()
        for daemon in (deployment.server, agent):
            first = daemon.process
            daemon.start()
            expect(daemon.wait() != 0, f"a second {daemon.name} ran")
            daemon.process = first
            expect(str(first.pid) in daemon.log(), f"does not name the holder: {daemon.log()}")
        deployment.writ("health", "server")
        deployment.await_agent()


def test_daemons_stop_within_two_seconds_with_open_streams():
    with Deployment().start_server() as deployment:
        agent = deployment.start_agent()
        deployment.entry("/app", [own_uid()], "/node")
        wait_until(lambda: serial(deployment), "the first SVID")
        with Watch(deployment) as watch:
            wait_until(lambda: len(watch.ids()) == 1, "the stream is open")
            expect(agent.stop(seconds=2) == 0, "the agent's status is not 0")
            expect(deployment.server.stop(seconds=2) == 0, "the server's status is not 0")
            deployment.server.start()
            agent.start()
            wait_until(lambda: len(watch.ids()) == 2, "the watcher goes on by itself")


def test_parent_ids_may_name_the_agent_itself():
    with Deployment().start_server() as deployment:
        deployment.start_agent(alias="/node")
        deployment.entry("/direct", [own_uid()], agents(deployment)[0]["spiffe_id"])
        svids = wait_until(lambda: deployment.workload_json("svid", "fetch", "x509")["svids"],
                           "the SVID")
        expect(svids[0]["spiffe_id"] == spiffe_id("/direct"), f"{svids}")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
