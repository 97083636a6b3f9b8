#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server killed (SIGKILL) at random moments under a write load, again and again: whatever it
acknowledged is there afterwards, its authorities are the same, and its agent goes on.

WRIT_KILLS sets how often (50), WRIT_SEED repeats a run's moments; the seed is printed.
"""

import json
import os
import pathlib
import random
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
# pylint: disable=wrong-import-position
from harness import (CommandFailed, Deployment, expect, own_uid, pause, run_tests, spiffe_id,
                     tests_of, wait_until)

KILLS = int(os.environ.get("WRIT_KILLS", "50"))
SEED = int(os.environ.get("WRIT_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
WRITERS = 3
LOAD_SECONDS_MAX = 0.25  # from ready to the kill
# Each so many kills the agent must show that it goes on.
AGENT_EVERY = 10


class Writer:
    """Creates, updates and deletes entries of its own for ever; what it was told and what it does
    not know."""

    def __init__(self, deployment, number):
        self.deployment = deployment
        self.random = random.Random(SEED * 100 + number)
        self.number = number
        self.made = 0
        self.acknowledged = 0  # writes of every kind
        self.known = {}       # entry ID -> hint: acknowledged and not touched since
        self.gone = set()     # deletion acknowledged
        self.unknown = set()  # the last call on these was not answered

    def step(self):
        choice = self.random.random()
        if choice < 0.7 or not self.known:
            self.create()
        elif choice < 0.9:
            self.update(self.random.choice(sorted(self.known)))
        else:
            self.delete(self.random.choice(sorted(self.known)))

    def create(self):
        self.made += 1
        entry = f"w{self.number}.{self.made}"
        self.attempt(entry, lambda: self.deployment.entry(
            f"/load/{entry}", [f"load:{entry}"], "/nobody", "--entry-id", entry, "--hint", entry))
        self.known[entry] = entry

    def update(self, entry):
        hint = f"{entry}-{self.random.randrange(10**6)}"
        self.attempt(entry, lambda: self.deployment.writ("entry", "update", "--id", entry,
                                                         "--hint", hint))
        self.known[entry] = hint

    def delete(self, entry):
        self.attempt(entry, lambda: self.deployment.writ("entry", "delete", "--id", entry))
        del self.known[entry]
        self.gone.add(entry)

    def attempt(self, entry, call):
        try:
            call()
        except CommandFailed:
            self.known.pop(entry, None)
            self.unknown.add(entry)
            raise
        self.acknowledged += 1


def run_load(writers, kill):
    """Every writer at work until the kill has come and its call in flight was refused."""
    killed = threading.Event()
    failures = []

    def work(writer):
        while not killed.is_set():
            try:
                writer.step()
            except CommandFailed as failure:
                if not killed.wait(5):
                    failures.append(failure)
                return

    threads = [threading.Thread(target=work, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    # The server dies first: a call that fails before the event is set failed by itself.
    kill()
    killed.set()
    for thread in threads:
        thread.join()
    expect(not failures, f"a write failed while the server ran: {failures}")


def authorities(deployment):
    """The keys of the bundle, of both kinds, without what tells how new it is."""
    keys = json.loads(deployment.writ("bundle", "show", "--format", "spiffe"))["keys"]
    expect({key["use"] for key in keys} == {"x509-svid", "jwt-svid"}, f"one kind lacks: {keys}")
    return sorted(keys, key=json.dumps)


def check_entries(deployment, writers):
    stored = {entry["id"]: entry.get("hint", "") for entry in
              deployment.writ_json("entry", "list")["entries"]}
    for writer in writers:
        for entry, hint in writer.known.items():
            expect(entry in stored, f"{entry} was acknowledged and is lost")
            expect(stored[entry] == hint, f"{entry} has hint {stored[entry]}, not {hint}")
        for entry in writer.gone:
            expect(entry not in stored, f"{entry} was deleted and is there")
        for entry in writer.unknown:
            if entry in stored:
                deployment.writ("entry", "delete", "--id", entry)
        writer.unknown.clear()


def test_nothing_acknowledged_is_lost_and_the_authorities_stay():
    print(f"kills: {KILLS}, seed: {SEED}", flush=True)
    moments = random.Random(SEED)
    info = {"log": {"level": "info"}}
    with Deployment(server=info, agent=info) as deployment:
        deployment.start_server()
        keys = authorities(deployment)
        deployment.start_agent()
        marker = deployment.entry("/marker", [own_uid()], "/node")
        writers = [Writer(deployment, number) for number in range(WRITERS)]

        def acknowledged():
            return sum(writer.acknowledged for writer in writers)

        def kill_at_random(number):
            pause(moments.random() * LOAD_SECONDS_MAX)
            # A slow machine writes for longer: without writes there is nothing to lose.
            wait_until(lambda: acknowledged() >= number, "writes succeed")
            deployment.server.kill()

        for kill in range(1, KILLS + 1):
            run_load(writers, lambda number=kill: kill_at_random(number))
            deployment.server.start()
            wait_until(lambda: deployment.writ("health", "server"), "the server serves again")
            check_entries(deployment, writers)
            expect(authorities(deployment) == keys, "the authorities are others")
            expect(deployment.agents["agent"].running(), "the agent ended")
            if kill % AGENT_EVERY == 0:
                hint = f"after-{kill}"
                deployment.writ("entry", "update", "--id", marker, "--hint", hint)
                wait_until(lambda: hint in deployment.workload("svid", "fetch", "x509"),
                           "the agent goes on")
                wait_until(lambda: spiffe_id("/marker") in deployment.workload(
                    "svid", "fetch", "jwt", "--audience", hint), "a new JWT-SVID is issued")
        print(f"acknowledged writes: {acknowledged()}", flush=True)


if __name__ == "__main__":
    run_tests(tests_of(sys.modules[__name__]))
