# SPDX-License-Identifier: Apache-2.0
"""What every client of test/interop meets: one agent, two entries for this user with short lives,
and nothing for the user `nobody`. Also finds the toolchains that are not Debian's."""

import io
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from harness import Deployment, Skip, own_uid, wait_until  # pylint: disable=wrong-import-position

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "writ"
NOBODY = 65534
GO_VERSION = "1.26.0"
GO_MINOR_MIN = 25


def deploy():
    deployment = Deployment()
    deployment.start_server()
    deployment.start_agent()
    deployment.entry("/workload", [own_uid()], "/node", "--x509-ttl", "30s", "--jwt-ttl", "60s")
    deployment.entry("/second", [own_uid()], "/node", "--x509-ttl", "40s", "--hint", "internal",
                     "--dns-name", "second.test", "--dns-name", "alias.test")
    wait_until(lambda: len(deployment.workload_json("svid", "fetch", "x509")["svids"]) == 2,
               "both identities")
    return deployment


def endpoint(deployment):
    return f"unix://{deployment.workload_socket()}"


def as_nobody():
    """Popen arguments that run a child as a user without an entry."""
    if os.getuid() != 0:
        raise Skip("only root can run a child as another user")
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def need_programs(packages):
    """Debian's packages, by the program that each brings; installed where we may."""
    missing = [package for program, package in packages.items() if not shutil.which(program)]
    if not missing:
        return
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise Skip(f"these packages are missing: {' '.join(missing)}")
    done = subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
                          env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Skip(f"apt gave no {' '.join(missing)}: {done.stdout[-300:]}")


def run_client(deployment, name, command_in, **env):
    """Runs a client twice in a directory that everybody may read: as this user with the identities,
    then, where we may, as one without. `command_in(directory)`: the command. The exit status."""
    env = dict(os.environ, SPIFFE_ENDPOINT_SOCKET=endpoint(deployment), **env)
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        command = command_in(pathlib.Path(directory))
        code = subprocess.run(command, env=env, check=False).returncode
        try:
            nobody = as_nobody()
        except Skip as reason:
            print(f"skip {name} without an identity: {reason}")
            return code
        env["WRIT_EXPECT_NO_IDENTITY"] = "1"
        return code or subprocess.run(command, env=env, cwd="/", check=False, **nobody).returncode


def find_go():
    """A Go of 1.25 or later: the machine's, or one from the Go module proxy, kept in the cache."""
    own = shutil.which("go")
    if own:
        text = subprocess.run([own, "env", "GOVERSION"], stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, GOTOOLCHAIN="local"), check=False).stdout
        parts = text.strip().removeprefix("go").split(".")
        if len(parts) > 1 and int("".join(filter(str.isdigit, parts[1])) or 0) >= GO_MINOR_MIN:
            return own
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    name = f"v0.0.1-go{GO_VERSION}.linux-{machine}"
    home = CACHE / name
    program = home / f"golang.org/toolchain@{name}" / "bin" / "go"
    if program.exists():
        return str(program)
    proxy = os.environ.get("GOPROXY", "https://proxy.golang.org").split(",")[0]
    try:
        with urllib.request.urlopen(f"{proxy}/golang.org/toolchain/@v/{name}.zip",
                                    timeout=300) as answer:
            archive = zipfile.ZipFile(io.BytesIO(answer.read()))
    except OSError as failure:
        raise Skip(f"no Go 1.{GO_MINOR_MIN} here, and the module proxy gave none: {failure}")
    partial = home.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    archive.extractall(partial)
    for tool in partial.rglob("*"):
        if tool.is_file() and ("bin" in tool.parts or "tool" in tool.parts):
            tool.chmod(0o755)
    partial.rename(home)
    return str(program)


def python_with(requirements):
    """A virtual environment in the cache that holds these pinned packages."""
    name = "venv-" + "-".join(requirements).replace("==", "-")
    home = CACHE / name
    program = home / "bin" / "python"
    if (home / "complete").exists():
        return str(program)
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    done = subprocess.run([str(program), "-m", "pip", "install", "-q", *requirements],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Skip(f"PyPI gave no {requirements}: {done.stdout[-300:]}")
    (home / "complete").touch()
    return str(program)
