"""Certificates that are good for servers only: public CAs issue no others any more."""

import pytest

import ejabberd
import prosody
from matrix import EXTERNAL, TLS_DIALBACK
from street import SERVER_ONLY, House, Street, record

SERVER_ONLY_PEERS = (House("sprosody", prosody.Stance(), SERVER_ONLY), House("sejabberd", ejabberd.Stance(dialback=True), SERVER_ONLY))


@pytest.fixture(scope="module")
def server_only():
    street = Street("server-only", houses=SERVER_ONLY_PEERS, shown="org-server-only",
                    partners="".join(record(house.domain, sasl="optional") for house in SERVER_ONLY_PEERS))
    yield street
    street.stop()


def test_a_partner_whose_certificate_is_good_for_servers_only_is_proven_by_it(server_only):
    for house in SERVER_ONLY_PEERS:
        assert server_only.run(server_only.converse(house), seconds=100) == (None, None), house
        server_only.gateway.wait_until(lambda: ("inbound", EXTERNAL) in server_only.proofs(house), f"{house.domain} by EXTERNAL", 20)


def test_our_own_certificate_for_servers_only_is_enough_for_prosody_and_falls_back_to_dialback_with_ejabberd(server_only):
    tolerant, strict = SERVER_ONLY_PEERS
    for house, method in ((tolerant, EXTERNAL), (strict, TLS_DIALBACK)):
        assert server_only.run(server_only.converse(house), seconds=100) == (None, None), house
        assert ("outbound", method) in server_only.proofs(house)
    assert "certificate purpose" in server_only.gateway.output(), "the log says why EXTERNAL was refused"
