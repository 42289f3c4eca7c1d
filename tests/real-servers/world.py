"""One whole world: partners, the inside, resolvers, and the gateway between them, all as strict as can be."""

import json

import certificates
import ejabberd
import prosody
import resolvers
from addresses import (ADMIN, ALPHA, BETA, DNS_INTERNAL, DNS_PUBLIC, GAMMA, GATEWAY, ORG, SOURCE)
from ground import Ground

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


class World(Ground):
    def __init__(self, inside, tls):
        self.inside, self.tls = inside, tls
        super().__init__(f"{inside}-{tls}")

    def _start(self):
        public = certificates.make(self.directory / "certificates")
        ca = public / "public-ca.pem"
        resolvers.start(self.directory, self.tls, {"alpha.test": ALPHA, "conference.alpha.test": ALPHA, "beta.test": BETA, "gamma.test": GAMMA})
        for name, address, users in [("alpha", ALPHA, ["alice"]), ("gamma", GAMMA, ["greta"])]:
            prosody.start(self.directory, f"{name}.test", address, DNS_PUBLIC, ca, public / f"{name}.pem",
                          public / f"{name}.key", users)
        ejabberd.start(self.directory, "beta.test", BETA, DNS_PUBLIC, ca, public / "beta.pem", public / "beta.key",
                       ["bob"], 5239)
        inside = self.certificate_authorities()
        arguments = (self.directory, "org.test", ORG, DNS_INTERNAL, inside / "trust.pem", inside / "org.pem",
                     inside / "org.key", ["olga", "otto"])
        if self.inside == "prosody":
            prosody.start(*arguments)
        else:
            ejabberd.start(*arguments, 5249)
        self.components("partner_allowlist", "presence_filter", "audit_log")
        self.configure()
        self.gateway = self.start_gateway()
        self.meet([("alice@alpha.test", ALPHA), ("bob@beta.test", BETA), ("greta@gamma.test", GAMMA),
                   ("olga@org.test", ORG), ("otto@org.test", ORG)])

    def configure(self, allow=("beta.test",), presence=PRESENCE, extra=""):
        text = CONFIG.format(gateway=GATEWAY, source=SOURCE, certificates=self.directory / "certificates", org=ORG,
                             org_port={"direct": 5270, "starttls": 5269}[self.tls], tls=self.tls, dns=DNS_PUBLIC,
                             allow=json.dumps(list(allow)), presence=presence, extra=extra, admin="%s:%d" % ADMIN)
        return self.write_config(text)
