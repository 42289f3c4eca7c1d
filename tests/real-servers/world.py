"""One whole world: partners, the inside, resolvers, and the gateway between them."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import tomllib
import urllib.request

import certificates
import ejabberd
import prosody
import resolvers
from addresses import (ADMIN, ALPHA, BETA, DNS_INTERNAL, DNS_PUBLIC, GAMMA, GATEWAY, ORG, SOURCE)
from clients import Client, Loop
from processes import Failed, Process, stop_all

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = pathlib.Path(os.environ.get("PORTCULLIS", TARGET / "release" / "portcullis"))
PLUGINS = TARGET / "plugins"

CONFIG = """
[gateway]
domains = ["org.test", "conference.org.test"]
data_dir = "data"
plugins_dir = "plugins"

[federation]
listen = ["{gateway}:5269"]
source = "{source}"
certificate = "{certificates}/org.pem"
key = "{certificates}/org.key"
trust = ["{certificates}/public-ca.pem"]

[internal]
listen = ["{gateway}:23456"]
certificate = "ca/gateway.pem"
key = "ca/gateway.key"
client_ca = "ca/internal-ca.pem"
mint = {{ ca = "ca/mint-ca.pem", key = "ca/mint-ca.key" }}

[[internal.server]]
domains = ["org.test", "conference.org.test"]
connect = ["{org}:{org_port}"]
tls = "{tls}"

[dns]
servers = ["{dns}:53"]
allow_private = true

[[partner]]
domain = "alpha.test"
also = ["conference.alpha.test"]
type = "federated"
dialback = false

[[plugin]]
name = "allowlist"
component = "partner_allowlist.wasm"
[plugin.config]
allow = {allow}

[[plugin]]
name = "presence"
component = "presence_filter.wasm"
[plugin.config]
{presence}

[[plugin]]
name = "audit"
component = "audit_log.wasm"
{extra}
[admin]
listen = "{admin}"
"""
PRESENCE = 'outbound = "show"'  # no status text leaves the organisation


class World:
    def __init__(self, inside, tls):
        self.inside, self.tls = inside, tls
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"portcullis-{inside}-{tls}-"))
        self.directory.chmod(0o755)
        self.clients, self.loop = {}, Loop()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self):
        public = certificates.make(self.directory / "certificates")
        ca = public / "public-ca.pem"
        resolvers.start(self.directory, self.tls)
        for name, address, users in [("alpha", ALPHA, ["alice"]), ("gamma", GAMMA, ["greta"])]:
            prosody.start(self.directory, f"{name}.test", address, DNS_PUBLIC, ca, public / f"{name}.pem",
                          public / f"{name}.key", users)
        ejabberd.start(self.directory, "beta.test", BETA, DNS_PUBLIC, ca, public / "beta.pem", public / "beta.key",
                       ["bob"], 5239)

        run([BINARY, "ca", "init", self.directory / "ca", "--domain", "org.test", "--domain", "conference.org.test"])
        inside = self.directory / "inside"  # what the operator carries to the internal server
        inside.mkdir()
        for source, name in [("ca/internal-servers-trust.pem", "trust.pem"), ("ca/org.test.pem", "org.pem"), ("ca/org.test.key", "org.key")]:
            shutil.copy(self.directory / source, inside / name)
            (inside / name).chmod(0o644)
        self.start_inside()

        (self.directory / "plugins").mkdir()
        for component in ("partner_allowlist", "presence_filter", "audit_log"):
            shutil.copy(PLUGINS / f"{component}.wasm", self.directory / "plugins")
        self.configure()
        self.gateway = self.start_gateway()
        for jid, address in [("alice@alpha.test", ALPHA), ("bob@beta.test", BETA), ("greta@gamma.test", GAMMA),
                             ("olga@org.test", ORG), ("otto@org.test", ORG)]:
            self.clients[jid.split("@")[0]] = self.loop.run(self.connect(jid, address))

    def start_inside(self):
        inside = self.directory / "inside"
        arguments = (self.directory, "org.test", ORG, DNS_INTERNAL, inside / "trust.pem", inside / "org.pem",
                     inside / "org.key", ["olga", "otto"])
        if self.inside == "prosody":
            prosody.start(*arguments)
        else:
            ejabberd.start(*arguments, 5249)

    async def connect(self, jid, address):
        return await Client(self.loop.loop, jid, address).start()

    def __getattr__(self, name):
        try:
            return self.__dict__["clients"][name]
        except KeyError:
            raise AttributeError(name) from None

    def run(self, coroutine, **more):
        return self.loop.run(coroutine, **more)

    # The gateway, as its operator sees it.

    def configure(self, allow=("beta.test",), presence=PRESENCE, extra=""):
        text = CONFIG.format(gateway=GATEWAY, source=SOURCE, certificates=self.directory / "certificates", org=ORG,
                             org_port={"direct": 5270, "starttls": 5269}[self.tls], tls=self.tls, dns=DNS_PUBLIC,
                             allow=json.dumps(list(allow)), presence=presence, extra=extra, admin="%s:%d" % ADMIN)
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
        records = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [record for record in records if record["event"] != "journal"]

    def wait_journal(self, what, condition, seconds=15):
        return self.gateway.wait_until(lambda: next((r for r in self.journal() if condition(r)), None), f"journal record: {what}", seconds)

    def balance(self):
        metrics = self.metrics()
        received = sum(metrics.get("portcullis_stanzas_received_total", {}).values())
        ended = sum(metrics.get("portcullis_stanzas_total", {}).values())
        return received, ended

    def stop(self):
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
