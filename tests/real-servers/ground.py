"""The ground that every world stands on: a directory, clients, and one gateway as its operator sees it."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import tomllib
import urllib.error
import urllib.request

from addresses import ADMIN
from clients import Client, Loop
from processes import Failed, Process, stop_all

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = pathlib.Path(os.environ.get("PORTCULLIS", TARGET / "release" / "portcullis"))
PLUGINS = TARGET / "plugins"


class Ground:
    last = None  # the one that was made last, for the report of a test that failed

    def __init__(self, name):
        Ground.last = self
        self.gateway, self.said = None, ""
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"portcullis-{name}-"))
        self.directory.chmod(0o755)
        self.clients, self.loop = {}, Loop()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self):
        raise NotImplementedError

    def certificate_authorities(self):
        """The CAs of the inside, and what the operator carries to the internal server."""
        run([BINARY, "ca", "init", self.directory / "ca", "--domain", "org.test", "--domain", "conference.org.test"])
        inside = self.directory / "inside"
        inside.mkdir()
        for source, name in [("ca/internal-servers-trust.pem", "trust.pem"), ("ca/org.test.pem", "org.pem"), ("ca/org.test.key", "org.key")]:
            shutil.copy(self.directory / source, inside / name)
            (inside / name).chmod(0o644)
        return inside

    def components(self, *names):
        (self.directory / "plugins").mkdir()
        for name in names:
            shutil.copy(PLUGINS / f"{name}.wasm", self.directory / "plugins")

    async def connect(self, jid, address):
        return await Client(self.loop.loop, jid, address).start()

    def meet(self, people):
        """`people`: pairs of an address of XMPP and the server's of IP. Each client gets its user's name."""
        for jid, address in people:
            self.clients[jid.split("@")[0]] = self.loop.run(self.connect(jid, address))

    def __getattr__(self, name):
        try:
            return self.__dict__["clients"][name]
        except KeyError:
            raise AttributeError(name) from None

    def run(self, coroutine, **more):
        return self.loop.run(coroutine, **more)

    # The gateway, as its operator sees it.

    def write_config(self, text):
        tomllib.loads(text)
        path = self.directory / "portcullis.toml"
        draft = path.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(path)  # as a careful editor does: the gateway never sees half a file
        return path

    def start_gateway(self):
        process = Process("gateway", [BINARY, "run", "--config", self.directory / "portcullis.toml"],
                          self.directory / "gateway.log", env={"RUST_LOG": os.environ.get("RUST_LOG", "info,portcullis=debug")})
        process.wait_until(lambda: http("/health/ready")[0] == 200, "readiness")
        return process

    def status(self):
        return json.loads(run([BINARY, "status", "--config", self.directory / "portcullis.toml", "--json"]))

    def metrics(self):
        """{name: {labels as a sorted tuple: value}}"""
        table = {}
        for line in http("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                name, _, labels = name.partition("{")
                key = tuple(sorted(tuple(part.split("=", 1)) for part in labels.rstrip("}").replace('"', "").split(",") if part))
                table.setdefault(name, {})[key] = float(value)
        return table

    def generation(self):
        return int(sum(self.metrics()["portcullis_generation"].values()))

    def wait_generation(self, above):
        self.gateway.wait_until(lambda: self.generation() > above, f"a generation above {above}", 30)

    def journal(self):
        """The decisions in the audit journal, without the journal's records about itself."""
        path = self.directory / "data" / "audit" / "current.jsonl"
        # Without the line that is being written.
        whole, _, _ = path.read_text().rpartition("\n") if path.exists() else ("", "", "")
        records = [json.loads(line) for line in whole.splitlines()]
        return [record for record in records if record["event"] != "journal"]

    def wait_journal(self, what, condition, seconds=15):
        return self.gateway.wait_until(lambda: next((r for r in self.journal() if condition(r)), None), f"journal record: {what}", seconds)

    def balance(self):
        metrics = self.metrics()
        received = sum(metrics.get("portcullis_stanzas_received_total", {}).values())
        ended = sum(metrics.get("portcullis_stanzas_total", {}).values())
        return received, ended

    def log(self):
        """The gateway's, its last lines, also after the end."""
        return self.gateway.tail(200) if self.gateway and self.gateway.log.exists() else self.said

    def stop(self):
        self.said = self.log()
        for client in self.clients.values():
            try:
                self.loop.run(client.end(), seconds=12)
            except Exception:
                pass  # the server it spoke to may be gone; the processes are ended below all the same
        self.loop.stop()
        stop_all()
        if os.environ.get("KEEP"):
            print(f"kept: {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)


def run(command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, **more)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def http(path):
    try:
        with urllib.request.urlopen("http://%s:%d%s" % (*ADMIN, path), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""
