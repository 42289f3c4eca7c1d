"""A street of partners, each with a stance of its own, and the gateway on whatever terms a test writes."""

import asyncio
import dataclasses
import itertools
import json
import uuid

import certificates
import ejabberd
import prosody
import resolvers
from addresses import ADMIN, DNS_INTERNAL, DNS_PUBLIC, GATEWAY, ORG, SOURCE, STREET
from ground import Ground

CONFIG = """
[gateway]
domains = ["org.test", "conference.org.test"]
data_dir = "data"
plugins_dir = "plugins"

[federation]
listen = ["{gateway}:5269"]
source = "{source}"
certificate = "{certificates}/{shown}.pem"
key = "{certificates}/{shown}.key"
trust = ["{certificates}/public-ca.pem"]
{federation}

[internal]
listen = ["{gateway}:23456"]
certificate = "ca/gateway.pem"
key = "ca/gateway.key"
client_ca = "ca/internal-ca.pem"
{internal}

[[internal.server]]
domains = ["org.test", "conference.org.test"]
{connect}

[dns]
servers = ["{dns}:53"]
allow_private = true

{partners}

[[plugin]]
name = "audit"
component = "audit_log.wasm"

[admin]
listen = "{admin}"
"""
MINT = 'mint = { ca = "ca/mint-ca.pem", key = "ca/mint-ca.key" }'
CONNECT = f'connect = ["{ORG}:5269"]'
CERTIFIED, SELF_SIGNED, SERVER_ONLY = "certified", "self-signed", "server-only"


@dataclasses.dataclass(frozen=True)
class House:
    """One partner: `NAME.test`, with the user `NAME`."""

    name: str
    stance: object
    certificate: str = CERTIFIED

    @property
    def domain(self):
        return f"{self.name}.test"

    @property
    def jid(self):
        return f"{self.name}@{self.name}.test"


ports = itertools.count(5250)  # of the distribution of each ejabberd


class Street(Ground):
    """`inside`: the stance of the organisation's own server; its user is olga."""

    houses = ()
    inside = prosody.Stance()
    shown = "org"         # the certificate that the gateway shows to partners
    federation = ""
    internal = MINT
    reached = CONNECT     # how the gateway connects to the internal server
    partners = ""
    door = GATEWAY        # where the inside connects to
    webs = ()             # domains of houses that have a web server

    def __init__(self, name, **settings):
        for key, value in settings.items():
            assert hasattr(type(self), key), key
            setattr(self, key, value)
        super().__init__(name)

    def address(self, house):
        return f"{STREET}{self.houses.index(house) + 2}"

    def _start(self):
        public = certificates.make(self.directory / "certificates")
        certificates.issue(public, "org-server-only", "serverAuth", "org.test")
        resolvers.start(self.directory, "direct", {house.domain: self.address(house) for house in self.houses},
                        self.door, self.webs)
        for house in self.houses:
            if house.certificate == SELF_SIGNED:
                certificates.self_signed(public, house.name)
            else:
                certificates.issue(public, house.name, *(["serverAuth"] if house.certificate == SERVER_ONLY else []))
            start(self.directory, house.domain, self.address(house), DNS_PUBLIC, public / "public-ca.pem",
                  public / f"{house.name}.pem", public / f"{house.name}.key", [house.name], next(ports), house.stance)
        inside = self.certificate_authorities()
        start(self.directory, "org.test", ORG, DNS_INTERNAL, inside / "trust.pem", inside / "org.pem", inside / "org.key",
              ["olga"], next(ports), self.inside)
        self.components("audit_log")
        self.configure(self.partners)
        self.known = self.partners
        self.gateway = self.start_gateway()
        self.meet([("olga@org.test", ORG)] + [(house.jid, self.address(house)) for house in self.houses])

    def configure(self, partners):
        return self.write_config(CONFIG.format(
            gateway=GATEWAY, source=SOURCE, certificates=self.directory / "certificates", shown=self.shown, dns=DNS_PUBLIC,
            admin="%s:%d" % ADMIN, federation=self.federation, internal=self.internal, connect=self.reached, partners=partners))

    def reconfigure(self, partners):
        if partners == self.known:
            return  # the same again is no new generation
        before, self.known = self.generation(), partners
        self.configure(partners)
        self.wait_generation(before)

    def proofs(self, house, since=0):
        """How streams with this partner came to be, after the first `since` records: {(direction, method)}."""
        def with_the_partner(r):
            # Prosody connects out from an address of the system's choice; what goes in ends at the inside's own.
            there = r["address"].startswith(f"{self.address(house)}:")
            return there if r["direction"] == "outbound" else not r["address"].startswith(f"{ORG}:")

        return {(r["direction"], r["method"]) for r in self.journal()[since:]
                if r["event"] == "stream" and r["verdict"] == "allow" and r["partner"] == house.domain and with_the_partner(r)}

    def wait_proofs(self, house, expected, since=0):
        self.gateway.wait_until(lambda: self.proofs(house, since) == expected,
                                f"streams with {house.domain} as {expected}, but {self.proofs(house, since)}", 20)

    async def converse(self, house):
        """A line in, a line out; what refuses one answers with an error: (error or none, error or none)."""
        olga, other = self.clients["olga"], self.clients[house.name]
        out = await tell(olga, other, house.jid)
        back = await tell(other, olga, "olga@org.test")
        # ejabberd refuses by itself for a while (s2s_max_retry_delay) what was refused to it before.
        attempts = 10 if isinstance(house.stance, ejabberd.Stance) and out is None else 0
        while back is not None and attempts:
            await asyncio.sleep(1)
            attempts, back = attempts - 1, await tell(other, olga, "olga@org.test")
        return out, back


async def tell(sender, receiver, to):
    """None once the message has arrived, or the condition of the error that came instead."""
    text = uuid.uuid4().hex
    identifier = await sender.say(to, text)
    arrived = asyncio.ensure_future(receiver.body(text))
    refused = asyncio.ensure_future(sender.error(identifier))
    done, late = await asyncio.wait([arrived, refused], return_when=asyncio.FIRST_COMPLETED)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    first = done.pop()
    outcome = first.result()
    return outcome if first is refused else None


def start(directory, domain, address, nameserver, ca, certificate, key, users, distribution_port, stance):
    arguments = (directory, domain, address, nameserver, ca, certificate, key, users)
    if isinstance(stance, ejabberd.Stance):
        return ejabberd.start(*arguments, distribution_port, stance)
    return prosody.start(*arguments, stance)


def record(domain, **keys):
    """A partner record in TOML."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"domain": domain, "type": "federated", **keys}.items()]
    return "[[partner]]\n" + "\n".join(lines) + "\n"
