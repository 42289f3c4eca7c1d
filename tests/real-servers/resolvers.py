"""Two views of the DNS, as an operator would publish them: the public one, and the inside's."""

from addresses import ALPHA, BETA, DNS_INTERNAL, DNS_PUBLIC, GAMMA, GATEWAY
from processes import Process

COMMON = """port=53
bind-interfaces
no-resolv
no-hosts
keep-in-foreground
user=root
group=root
pid-file=
local=/test/
"""
REMOTE = ["alpha.test", "conference.alpha.test", "beta.test", "gamma.test"]


def start(directory, tls):
    """`tls`: how the inside is told to reach the gateway, `direct` or `starttls`."""
    public = COMMON + f"listen-address={DNS_PUBLIC}\n"
    for domain, address in [("alpha.test", ALPHA), ("conference.alpha.test", ALPHA), ("beta.test", BETA),
                            ("gamma.test", GAMMA), ("org.test", GATEWAY), ("conference.org.test", GATEWAY)]:
        public += f"host-record=xmpp.{domain},{address}\nsrv-host=_xmpp-server._tcp.{domain},xmpp.{domain},5269,0,5\n"

    inside = COMMON + f"listen-address={DNS_INTERNAL}\nhost-record=gateway.test,{GATEWAY}\n"
    service = {"direct": "_xmpps-server", "starttls": "_xmpp-server"}[tls]
    for domain in REMOTE:
        inside += f"srv-host={service}._tcp.{domain},gateway.test,23456,0,5\n"

    for name, text, address in [("dns-public", public, DNS_PUBLIC), ("dns-internal", inside, DNS_INTERNAL)]:
        path = directory / f"{name}.conf"
        path.write_text(text)
        process = Process(name, ["dnsmasq", f"--conf-file={path}"], directory / f"{name}.log")
        process.wait_listening(address, 53)
