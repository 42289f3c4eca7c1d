"""Starts what a test needs on loopback, waits until it answers, and ends it by process id."""

import os
import pathlib
import signal
import socket
import subprocess
import time

START_LIMIT = 120.0  # seconds; ejabberd's Erlang VM on a busy two-core machine is the slow one
STOP_LIMIT = 20.0


class Failed(Exception):
    pass


class Process:
    """A child in its own session, its output in a file. `stop_all` ends whatever was started."""

    running = []

    def __init__(self, name, arguments, log, env=None, cwd=None, pid_file=None):
        """`pid_file`: of a server that leaves this session, written by itself."""
        self.name, self.log, self.pid_file = name, pathlib.Path(log), pid_file
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                [str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env={**os.environ, **(env or {})}, cwd=cwd, start_new_session=True)
        Process.running.append(self)

    def output(self):
        return self.log.read_text(errors="replace")

    def wait_output(self, text, seconds=START_LIMIT):
        return self.wait_until(lambda: text in self.output(), f"{text!r} in its output", seconds)

    def wait_listening(self, address, port, seconds=START_LIMIT):
        self.wait_until(lambda: listening(address, port), f"a listener on {address}:{port}", seconds)

    def wait_until(self, condition, what, seconds=START_LIMIT):
        deadline = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            if self.child.poll() is not None:
                raise Failed(f"{self.name} ended with {self.child.returncode} before {what}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.name}: no {what} within {seconds:.0f} s:\n{self.tail()}")
            time.sleep(0.05)  # the pace of asking; the condition is the event

    def tail(self, lines=40):
        return "\n".join(self.output().splitlines()[-lines:])

    def signal(self, number):
        self.child.send_signal(number)

    def stop(self):
        """SIGTERM, a bounded wait, then SIGKILL to the whole session; returns the exit code."""
        own = self._own_pid()
        if own is not None:
            _kill(own, signal.SIGTERM)
        elif self.child.poll() is None:
            self.child.terminate()
        if self.child.poll() is None:
            try:
                self.child.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                pass
        if own is not None:
            _kill(own, signal.SIGKILL)
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.child.wait()

    def _own_pid(self):
        try:
            return int(pathlib.Path(self.pid_file).read_text())
        except (OSError, TypeError, ValueError):
            return None


def stop_all():
    """The last one first: what was started later may need what was there before."""
    while Process.running:
        Process.running.pop().stop()


def _kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def listening(address, port):
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((address, port)) == 0


def with_resolver(directory, name, nameserver, command):
    """The command, as a shell line, in a mount namespace of its own whose /etc/resolv.conf names one server."""
    resolv = pathlib.Path(directory) / f"resolv-{name}.conf"
    resolv.write_text(f"nameserver {nameserver}\noptions timeout:1 attempts:2\n")
    # Debian may have /etc/resolv.conf as a link; the mount needs a file that exists.
    return ["unshare", "--mount", "sh", "-c",
            f"mount --bind {resolv} $(readlink -f /etc/resolv.conf) && exec {command}"]
