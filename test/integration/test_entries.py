#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Entries with real binaries: what open streams see, nested parents, files of many, and writes that
survive kill -9."""

import concurrent.futures
import json
import os
import pathlib
import random
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import (BIN, SANITIZED, CommandFailed, Deployment, Skip, Watch, expect,
                     expect_failure, own_uid, pause, run_tests, spiffe_id, tests_of, wait_until)


def test_open_streams_see_entries_come_change_and_go():
    with Deployment().start_server() as deployment:
        deployment.start_agent()
        one = deployment.entry("/one", [own_uid()], "/node")
        with Watch(deployment) as watch:
            wait_until(lambda: watch.ids() == [spiffe_id("/one")], "the first identity")
            two = deployment.entry("/two", [own_uid()], "/node")
            wait_until(lambda: sorted(watch.ids()[1:]) == [spiffe_id("/one"), spiffe_id("/two")],
                       "both identities")
            deployment.writ("entry", "update", "--id", two, "--spiffe-id", spiffe_id("/three"))
            # In between, the old identity is gone and the SVID of the new one not there yet.
            wait_until(lambda: sorted(watch.ids()[-2:]) == [spiffe_id("/one"), spiffe_id("/three")],
                       "the changed identity")
            told = len(watch.ids())
            deployment.writ("entry", "delete", "--id", two)
            wait_until(lambda: watch.ids()[told:] == [spiffe_id("/one")],
                       "the identity that is left")
            expect("no identity" not in watch.since_first(), "the stream ended in between")
            deployment.writ("entry", "delete", "--id", one)
            wait_until(lambda: "no identity issued" in watch.since_first(),
                       "the end of the stream")


def test_swap_of_the_only_entry_never_ends_the_stream():
    if SANITIZED:
        raise Skip("`writ` takes longer to start under a sanitizer than a stream waits for a swap")
    with Deployment().start_server() as deployment:
        deployment.start_agent()
        old = deployment.entry("/old", [own_uid()], "/node")
        with Watch(deployment) as watch:
            wait_until(lambda: watch.ids() == [spiffe_id("/old")], "the first identity")
            deployment.writ("entry", "delete", "--id", old)
            deployment.entry("/new", [own_uid()], "/node")
            wait_until(lambda: watch.ids()[-1] == spiffe_id("/new"), "the new identity")
            expect("no identity" not in watch.since_first(), f"the stream ended: {watch.text()}")


def test_nested_parents_and_aliases():
    with Deployment().start_server() as deployment:
        deployment.start_agent(alias="/rack/node7")
        deployment.entry("/middle", ["unix:uid:4000000000"], "/rack/node7")
        deployment.entry("/leaf", [own_uid()], "/middle")
        deployment.entry("/elsewhere", [own_uid()], "/rack/node8")
        ids = wait_until(lambda: [s["spiffe_id"] for s in deployment.workload_json(
            "svid", "fetch", "x509")["svids"]], "an SVID")
        expect(ids == [spiffe_id("/leaf")], f"{ids}")


def test_file_of_many_entries_in_yaml_and_in_spires_json():
    with Deployment().start_server() as deployment:
        yaml = deployment.directory / "entries.yaml"
        yaml.write_text("entries:\n" + "".join(
            f"  - spiffe_id: spiffe://example.org/many/{n}\n"
            "    parent_id: spiffe://example.org/node\n"
            f"    selectors: [\"unix:uid:{n}\"]\n"
            "    x509_svid_ttl: 30m\n" for n in range(1, 1201)))
        created = deployment.writ_json("entry", "create", "--file", str(yaml))["entries"]
        expect(len(created) == 1200 and created[0]["x509_svid_ttl"] == 1800, "1200 entries")
        expect(deployment.writ("entry", "count").strip() == "1200", "the count")
        listed = deployment.writ_json("entry", "list")["entries"]
        expect(len({entry["id"] for entry in listed}) == 1200, "every page of the list")
        spire = deployment.directory / "entries.json"
        spire.write_text(json.dumps({"entries": [{
            "selectors": [{"type": "unix", "value": "uid:1111"}],
            "spiffe_id": "spiffe://example.org/blog", "x509_svid_ttl": 200,
            "parent_id": "spiffe://example.org/node", "admin": True}]}))
        entry = deployment.writ_json("entry", "create", "--file", str(spire))["entries"][0]
        expect(entry["admin"] and entry["selectors"] == ["unix:uid:1111"], f"{entry}")
        # A second time every one of them is there already, and the answer says which.
        expect_failure(lambda: deployment.writ("entry", "create", "--file", str(spire)),
                       "ALREADY_EXISTS", entry["id"])
        bad = deployment.directory / "bad.yaml"
        bad.write_text("entries:\n  - spiffe_id: spiffe://example.org/x\n    parnt_id: x\n")
        expect_failure(lambda: deployment.writ("entry", "create", "--file", str(bad)),
                       "bad.yaml:3:5", "parnt_id")


def test_what_is_listed_updates_to_the_same():
    def listed():
        entries = deployment.writ_json("entry", "list")["entries"]
        return [{k: v for k, v in entry.items() if k != "revision_number"} for entry in entries]

    with Deployment().start_server() as deployment:
        deployment.entry("/plain", [own_uid()], "/node")
        fresh = deployment.entry("/fresh", [own_uid()], "/node", "--disable-x509-svid-prefetch",
                                 "--dns-name", "a.test", "--hint", "say \"h\"", "--admin")
        deployment.writ("entry", "update", "--id", fresh, "--jwt-svid-include-jti")
        before = listed()
        expect({"disable_x509_svid_prefetch": True, "jwt_svid_include_jti": True} in
               [entry.get("additional_attributes") for entry in before], f"{before}")
        file = deployment.directory / "listed.json"
        file.write_text(json.dumps({"entries": before}))
        deployment.writ("entry", "update", "--file", str(file))
        expect(listed() == before, f"{listed()} was {before}")


def test_entries_are_found_by_hint_and_as_those_of_servers():
    with Deployment().start_server() as deployment:
        plain = deployment.entry("/plain", ["unix:uid:1"], "/node")
        hinted = deployment.entry("/hinted", ["unix:uid:1"], "/node", "--hint", "web")
        below = deployment.entry("/below", ["unix:uid:1"], "/node", "--downstream")
        for flags, wanted in ((["--hint", "web"], [hinted]), (["--downstream"], [below]),
                              (["--downstream=false"], [plain, hinted]),
                              (["--downstream", "--hint", "web"], [])):
            found = [entry["id"] for entry in
                     deployment.writ_json("entry", "list", *flags)["entries"]]
            expect(sorted(found) == sorted(wanted), f"{flags}: {found}")
            expect(deployment.writ_json("entry", "count", *flags)["count"] == len(wanted),
                   f"count {flags}")
        expect_failure(lambda: deployment.writ("entry", "list", "--hint", ""), "--hint")


def test_acknowledged_writes_survive_kill_9():
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    acknowledged = set()
    with Deployment().start_server() as deployment:
        def write(number):
            try:
                acknowledged.add(deployment.entry(f"/kill/{number}", [own_uid()], "/node"))
            except (CommandFailed, json.JSONDecodeError):
                pass  # not acknowledged

        bundle = deployment.writ("bundle", "show")
        number = 0
        for _ in range(8):
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                for _ in range(40):
                    number += 1
                    pool.submit(write, number)
                pause(chance.uniform(0.05, 0.5))
                deployment.server.kill()
            deployment.server.start()
            wait_until(lambda: deployment.writ("health", "server"), "the server is back")
            stored = {e["id"] for e in deployment.writ_json("entry", "list")["entries"]}
            expect(acknowledged <= stored, f"seed {seed}: lost {acknowledged - stored}")
        expect(deployment.writ("bundle", "show") == bundle, "the CA changed")
        expect(acknowledged, "no write was acknowledged at all")


def test_entries_that_are_refused_say_why():
    with Deployment().start_server() as deployment:
        def create(path, parent="/node", selector="unix:uid:1", *flags):
            return deployment.writ("entry", "create", "--spiffe-id", spiffe_id(path),
                                   "--parent-id", spiffe_id(parent), "--selector", selector, *flags)

        expect_failure(lambda: create("/spire/reserved"), "INVALID_ARGUMENT")
        expect_failure(lambda: create("spiffe://other.org/x"), "INVALID_ARGUMENT")
        expect_failure(lambda: create("/x", "spiffe://other.org/node"), "INVALID_ARGUMENT")
        expect_failure(lambda: create("/x", "/node", "nocolon"), "selector")
        expect_failure(lambda: create("/x", "/node", "unix:uid:1", "--dns-name", "a..b"),
                       "INVALID_ARGUMENT")
        expect_failure(lambda: deployment.writ("entry", "show", "--id", "absent"), "NOT_FOUND")
        expect_failure(lambda: deployment.writ("entry", "delete", "--id", "absent"), "absent")


def test_wrong_use_ends_with_status_2_and_help_with_0():
    env = dict(os.environ)
    for arguments, code in ((["entry", "create", "--help"], 0), (["--version"], 0), ([], 2),
                            (["entry"], 2), (["nonsense"], 2), (["entry", "show"], 2),
                            (["svid", "fetch", "jwt"], 2),
                            (["entry", "list", "--output", "xml"], 2),
                            (["entry", "list", "--socket", "/nonexistent"], 1)):
        done = subprocess.run([str(BIN / "writ"), *arguments], env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        expect(done.returncode == code,
               f"{arguments}: {done.returncode}, not {code}: {done.stdout}")


def test_minting_writes_files_with_the_right_modes():
    with Deployment().start_server() as deployment:
        deployment.start_agent()
        deployment.entry("/app", [own_uid()], "/node")
        home = deployment.directory / "identity"
        deployment.writ("svid", "mint", "x509", "--spiffe-id", spiffe_id("/minted"), "--dns-name",
                        "minted.test", "--write", str(home))
        deployment.writ("svid", "mint", "jwt", "--spiffe-id", spiffe_id("/minted"), "--audience",
                        "db", "--write", str(home))
        modes = {p.name: p.stat().st_mode & 0o777 for p in home.iterdir()}
        expect(modes == {"svid.0.key": 0o600, "svid.0.pem": 0o644, "bundle.0.pem": 0o644,
                         "jwt_svid.0.token": 0o600}, f"{modes}")
        done = subprocess.run(["openssl", "verify", "-CAfile", str(home / "bundle.0.pem"),
                               str(home / "svid.0.pem")], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        expect(done.returncode == 0, done.stdout)
        wait_until(lambda: deployment.workload("svid", "fetch", "x509"), "the agent has its SVIDs")
        deployment.workload("svid", "validate", "x509", "--file", str(home / "svid.0.pem"))
        deployment.workload("svid", "validate", "jwt", "--audience", "db", "--file",
                            str(home / "jwt_svid.0.token"))
        expect_failure(lambda: deployment.workload(
            "svid", "validate", "jwt", "--audience", "other", "--file",
            str(home / "jwt_svid.0.token")), "INVALID_ARGUMENT")
        expect_failure(lambda: deployment.writ("svid", "mint", "x509", "--spiffe-id",
                                               spiffe_id("/spire/server")), "INVALID_ARGUMENT")


def test_audit_file_holds_every_issuance_and_no_secret():
    with Deployment().start_server() as deployment:
        deployment.start_agent()
        deployment.entry("/app", [own_uid()], "/node")
        minted = deployment.writ("svid", "mint", "jwt", "--spiffe-id", spiffe_id("/job"),
                                 "--audience", "db").strip()
        serial = wait_until(lambda: deployment.workload_json(
            "svid", "fetch", "x509")["svids"][0]["serial_number"], "the SVID")
        deployment.server.stop(signal.SIGTERM)
        audit = next(pathlib.Path(deployment.server.config["data_dir"]).rglob("audit*"))
        if audit.is_dir():
            audit = next(p for p in audit.iterdir() if p.is_file())
        text = audit.read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        expect(any(serial in json.dumps(line) for line in lines), "the SVID's serial is not there")
        expect(any("/job" in json.dumps(line) for line in lines), "the minted token is not there")
        expect(minted not in text and minted.split(".")[2] not in text, "a token is in the audit")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
