"""Two views of the DNS, as an operator would publish them: the public one, and the inside's."""

from addresses import DNS_INTERNAL, DNS_PUBLIC, GATEWAY
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


def start(directory, tls, partners, door=GATEWAY, webs=()):
    """`tls`: how the inside is told to reach the gateway, `direct` or `starttls`; `partners`: their addresses; `door`: the gateway's;
    `webs`: partners whose domain itself has an address, as that of a web server has."""
    public = COMMON + f"listen-address={DNS_PUBLIC}\n"
    for domain, address in [*partners.items(), ("org.test", GATEWAY), ("conference.org.test", GATEWAY)]:
        public += f"host-record=xmpp.{domain},{address}\nsrv-host=_xmpp-server._tcp.{domain},xmpp.{domain},5269,0,5\n"
    public += "".join(f"host-record={domain},{partners[domain]}\n" for domain in webs)

    inside = COMMON + f"listen-address={DNS_INTERNAL}\nhost-record=gateway.test,{door}\n"
    service = {"direct": "_xmpps-server", "starttls": "_xmpp-server"}[tls]
    for domain in partners:
        inside += f"srv-host={service}._tcp.{domain},gateway.test,23456,0,5\n"

    for name, text, address in [("dns-public", public, DNS_PUBLIC), ("dns-internal", inside, DNS_INTERNAL)]:
        path = directory / f"{name}.conf"
        path.write_text(text)
        process = Process(name, ["dnsmasq", f"--conf-file={path}"], directory / f"{name}.log")
        process.wait_listening(address, 53)
