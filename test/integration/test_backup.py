#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Backup beside a running server, restore, damaged stores, keys that are gone."""

import contextlib
import pathlib
import shutil
import sqlite3
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import (BIN, CommandFailed, Deployment, expect, expect_failure, own_uid, run_tests,
                     spiffe_id, tests_of, wait_until)


def server_command(deployment, *arguments):
    command = [str(BIN / "writ-server"), arguments[0], "--config",
               str(deployment.server.config_path), *map(str, arguments[1:])]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise CommandFailed(command, done.returncode, done.stdout)
    return done.stdout


def paths_of(deployment):
    return sorted(entry["spiffe_id"] for entry in
                  deployment.writ_json("entry", "list")["entries"])


def test_backup_takes_nothing_away_that_the_server_lives_from():
    with Deployment() as deployment:
        deployment.start_server()
        data = deployment.directory / "server"
        other = deployment.directory / "notes.txt"
        other.write_text("not a database")
        names = ["writ.db-wal", "writ.db-shm", "audit.jsonl", "lock", "keys/new.db", "new.db"]
        for target in [*(data / name for name in names), other]:
            expect_failure(lambda t=target: server_command(deployment, "backup", "--to", t),
                           "back up to")
        link = deployment.directory / "link"
        link.symlink_to(data)
        expect_failure(lambda: server_command(deployment, "backup", "--to", link / "writ.db-wal"),
                       "data_dir")
        expect(other.read_text() == "not a database", "an unrelated file is gone")
        deployment.entry("/kept", [own_uid()], "/node")
        deployment.server.kill()
        deployment.start_server()
        expect(spiffe_id("/kept") in str(deployment.writ_json("entry", "list")), "a lost write")


def test_restored_entries_reach_the_agents_and_later_ones_leave_them():
    with Deployment() as deployment:
        deployment.start_server()
        backup = deployment.directory / "backup.db"
        deployment.start_agent()
        kept = deployment.entry("/kept", [own_uid()], "/node")
        deployment.writ("entry", "update", "--id", kept, "--hint", "before")
        told = server_command(deployment, "backup", "--to", backup)
        expect("keys" in told, told)
        expect(stat.S_IMODE(backup.stat().st_mode) == 0o600, "the backup is not private")

        deployment.writ("entry", "update", "--id", kept, "--hint", "after")
        deployment.entry("/later", [own_uid()], "/node")
        fetched = lambda: deployment.workload("svid", "fetch", "x509")
        wait_until(lambda: spiffe_id("/later") in fetched() and "after" in fetched(), "both SVIDs")
        deployment.server.kill()
        ca = deployment.directory.joinpath("bundle.pem").read_text()
        told = server_command(deployment, "restore", "--from", backup)
        expect("replaced-" in told, told)
        deployment.start_server()
        expect(deployment.writ("bundle", "show") == ca, "the restored server has another bundle")
        expect(paths_of(deployment).count(spiffe_id("/later")) == 0, "/later is there")
        wait_until(lambda: spiffe_id("/later") not in fetched() and "before" in fetched(),
                   "the agent has what was restored")
        # An edit at once after the restore gives no number that the agent has seen.
        deployment.writ("entry", "update", "--id", kept, "--hint", "anew")
        wait_until(lambda: "anew" in fetched(), "the agent has the edit")


def test_restore_is_refused_while_a_server_runs_and_when_a_key_is_missing():
    with Deployment() as deployment:
        deployment.start_server()
        backup = deployment.directory / "backup.db"
        server_command(deployment, "backup", "--to", backup)
        expect_failure(lambda: server_command(deployment, "restore", "--from", backup), "locked")
        deployment.server.stop()
        before = deployment.directory.joinpath("bundle.pem").read_text()
        shutil.rmtree(deployment.directory / "server" / "keys")
        expect_failure(lambda: server_command(deployment, "restore", "--from", backup),
                       "ca-x509-", "--without-keys")
        told = server_command(deployment, "restore", "--from", backup, "--without-keys")
        expect("a new authority will take its place" in told, told)
        deployment.start_server()
        after = deployment.writ("bundle", "show")
        expect(before in after and after != before, "the old root is kept beside a new one")


def test_damaged_store_is_refused_with_the_way_out():
    with Deployment() as deployment:
        deployment.start_server()
        backup = deployment.directory / "backup.db"
        deployment.entry("/kept", ["unix:uid:1"], "/node")
        server_command(deployment, "backup", "--to", backup)
        store = deployment.directory / "server" / "writ.db"
        for damage in (lambda whole: b"x" * len(whole),
                       lambda whole: whole[:8192] + b"\xff" * (len(whole) - 8192)):
            deployment.server.stop()  # the file alone then holds everything
            deployment.start_server()
            deployment.server.kill()
            store.write_bytes(damage(store.read_bytes()))
            store.with_name("writ.db-wal").unlink()
            deployment.server.start()
            expect(deployment.server.wait() == 1, "the server started on a damaged store")
            expect("writ-server restore" in deployment.server.log(), deployment.server.log())
            expect_failure(lambda: server_command(deployment, "validate", "--deep"),
                           "writ-server restore")
            server_command(deployment, "restore", "--from", backup)
            deployment.start_server()
            expect(paths_of(deployment) == [spiffe_id("/kept")], "the entry is not there")
            for aside in store.parent.glob("writ.db.replaced-*"):
                aside.unlink()


def test_restore_refuses_what_a_start_would_refuse():
    damages = {
        "read its entries": "UPDATE ids SET text = 'no spiffe id' WHERE text LIKE '%/kept'",
        "read the authority": "UPDATE ca_journal SET certificate = x'30' WHERE certificate <> x''",
        "read its bundle": "UPDATE x509_authorities SET certificate = x'3000'",
    }
    with Deployment() as deployment:
        deployment.start_server()
        backup = deployment.directory / "backup.db"
        deployment.entry("/kept", ["unix:uid:1"], "/node")
        server_command(deployment, "backup", "--to", backup)
        deployment.server.stop()
        store = deployment.directory / "server" / "writ.db"
        before = store.read_bytes()
        for where, damage in damages.items():
            altered = deployment.directory / "altered.db"
            shutil.copyfile(backup, altered)
            with contextlib.closing(sqlite3.connect(altered)) as db, db:
                expect(db.execute(damage).rowcount > 0, f"no row for {damage}")
            expect_failure(lambda f=altered: server_command(deployment, "restore", "--from", f),
                           where)
            expect(store.read_bytes() == before, "the store was touched")
        deployment.start_server()
        expect(paths_of(deployment) == [spiffe_id("/kept")], "the entry is not there")


def test_wrong_use_and_bad_files_are_told():
    with Deployment() as deployment:
        deployment.start_server()
        deployment.server.stop()
        failure = expect_failure(lambda: server_command(deployment, "backup"), "--to")
        expect(failure.code == 2, f"status {failure.code}")
        failure = expect_failure(lambda: server_command(deployment, "restore"), "--from")
        expect(failure.code == 2, f"status {failure.code}")
        expect_failure(lambda: server_command(deployment, "restore", "--from", "/nonexistent"),
                       "/nonexistent")
        junk = deployment.directory / "junk"
        junk.write_bytes(b"junk" * 4096)
        failure = expect_failure(lambda: server_command(deployment, "restore", "--from", junk),
                                 "another backup")
        expect(failure.code == 1, f"status {failure.code}")


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
