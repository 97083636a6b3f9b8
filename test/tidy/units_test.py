#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The systemd units of conf/: they start what is there, and systemd understands every line."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNITS = ROOT / "conf" / "systemd"
SERVICES = {"writ-server.service": "writ-server", "writ-agent.service": "writ-agent"}


def settings(unit):
    """Key -> values of a unit's [Service] section."""
    found = {}
    section = ""
    for line in (UNITS / unit).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def starts_the_daemon_with_its_configuration(unit, program):
    service = settings(unit)
    command = service["ExecStart"][0].split()
    name = program.removeprefix("writ-")
    if command != [f"/usr/bin/{program}", "run", "--config", f"/etc/writ/{name}.yaml"]:
        return f"ExecStart is {command}"
    if not (ROOT / "conf" / f"{name}.yaml").exists():
        return f"conf/{name}.yaml is not there"
    if service["Type"] != ["notify"]:
        return "the daemons notify; Type must be notify"
    return ""


def directories_fit_the_defaults(unit, program):
    service = settings(unit)
    name = program.removeprefix("writ-")
    text = (ROOT / "conf" / f"{name}.yaml").read_text(encoding="utf-8")
    state = "/var/lib/" + service["StateDirectory"][0]
    if f"data_dir: {state}\n" not in text:
        return f"StateDirectory {state} is not data_dir's default"
    run = "/run/" + service["RuntimeDirectory"][0] + "/"
    sockets = re.findall(r"_socket: (/\S+)", text)
    outside = [s for s in sockets if not s.startswith(run)]
    return f"{outside} are not below {run}" if outside or not sockets else ""


def holds_few_rights(unit, _):
    service = settings(unit)
    for key, value in (("NoNewPrivileges", "yes"), ("ProtectSystem", "strict"),
                       ("LimitCORE", "0"), ("UMask", "0077"), ("StateDirectoryMode", "0700")):
        if service.get(key) != [value]:
            return f"{key} is not {value}"
    return "" if "CapabilityBoundingSet" in service else "CapabilityBoundingSet is missing"


def systemd_understands_it(unit, _):
    """The unit with a program that exists here in the place of ours."""
    with tempfile.TemporaryDirectory() as directory:
        text = (UNITS / unit).read_text(encoding="utf-8")
        text = re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text)
        text = re.sub(r"(?m)^(User|Group)=.*$", r"\1=root", text)
        text = text.replace("Documentation=", "#Documentation=")
        copy = pathlib.Path(directory, unit)
        copy.write_text(text, encoding="utf-8")
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        complaints = [l for l in done.stdout.splitlines() if unit in l]
        return "; ".join(complaints)


def main():
    failed = 0
    for unit, program in SERVICES.items():
        for test in (starts_the_daemon_with_its_configuration, directories_fit_the_defaults,
                     holds_few_rights, systemd_understands_it):
            name = f"{unit}.{test.__name__}"
            if test is systemd_understands_it and shutil.which("systemd-analyze") is None:
                print(f"skip {name}: systemd-analyze is not installed")
                continue
            problem = test(unit, program)
            failed += 1 if problem else 0
            print(f"FAIL {name}: {problem}" if problem else f"ok {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
