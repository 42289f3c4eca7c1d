"""Where it was measured: a figure without that is worth nothing."""

import datetime
import os
import pathlib
import platform
import subprocess

from .places import ROOT
from .prepare import PEERS


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.strip()
    except OSError:
        return ""


def versions():
    """{what: version} of the compiler and of the peers that are here."""
    found = {"rustc": output("rustc", "--version").split(" (")[0].removeprefix("rustc ")}
    for package in PEERS:
        version = output("dpkg-query", "--show", "--showformat=${Version}", package)
        if version:
            found[package] = version
    return found


def described():
    version = ", ".join(f"{what} {which}" for what, which in versions().items())
    commit = output("git", "rev-parse", "--short", "HEAD")
    changed = " with changes" if output("git", "status", "--porcelain", "--untracked-files=no") else ""
    return [
        f"{os.cpu_count()} × {processor()}, {memory_gib():.0f} GiB, {platform.system()} {platform.release()}",
        f"{version}; commit {commit}{changed}; {datetime.date.today().isoformat()}",
    ]
