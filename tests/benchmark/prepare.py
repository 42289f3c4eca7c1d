"""What must be there before anything is measured: the programs, the plugins, the peers from Debian's packages."""

import os
import pathlib
import shutil
import subprocess
import sys

from .places import GATEWAY, PLUGINS, ROOT

PLUGGED = ("partner-allowlist", "presence-filter", "audit-log", "content-filter")
PEERS = {"prosody": "prosody", "ejabberd": "ejabberdctl", "haproxy": "haproxy"}  # package: program


def build():
    # The same choice of crates and features as tests/run, so that a clone compiles its dependencies once.
    run = subprocess.run([os.environ.get("CARGO", "cargo"), "build", "--release", "--locked", "--workspace", "--bin", "portcullis", "--bin", "portcullis-load"], cwd=ROOT)
    if run.returncode:
        sys.exit("the gateway or the generator does not build")
    for crate in PLUGGED:
        component = PLUGINS / f"{crate.replace('-', '_')}.wasm"
        built = subprocess.run([GATEWAY, "plugin", "build", ROOT / "plugins" / crate], capture_output=True, text=True)
        if built.returncode:
            sys.exit(f"plugins/{crate} does not build:\n{built.stdout}{built.stderr}")
        if not component.exists():
            sys.exit(f"plugins/{crate} has no {component}")


def installed(program):
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def install():
    """Installs the peers that are not here, where that may be done. Returns those that stay away, with why."""
    missing = [package for package, program in PEERS.items() if not installed(program)]
    if not missing:
        return {}
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return dict.fromkeys(missing, "not installed, and this is not root on Debian")
    # Keeps Debian from starting the servers that it installs: the bench starts its own.
    policy = pathlib.Path("/usr/sbin/policy-rc.d")
    made = not policy.exists()
    if made:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update"], capture_output=True)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *missing], env=environment, capture_output=True)
    finally:
        if made:
            policy.unlink()
    return {package: "not installed, and apt-get cannot" for package in missing if not installed(PEERS[package])}
