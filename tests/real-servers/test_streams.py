"""Streams that carry both ways, that are acknowledged, and that the inside takes on weaker terms."""

import contextlib
import uuid

import pytest

import ejabberd
import prosody
from addresses import GATEWAY, STREET
from relay import Relay
from street import MINT, House, Street, record

BOTH_WAYS = prosody.Stance(modules=("tls", "s2s_bidi"))
DIALING_BACK = prosody.Stance(strict=False, modules=("tls", "dialback"))


@contextlib.contextmanager
def street(name, **settings):
    world = Street(name, **settings)
    try:
        yield world
    finally:
        world.stop()


def streams(world, side, domain):
    return [s for s in world.status()["streams"] if s["side"] == side and domain in (s["remote"], s["local"])]


def balanced(world):
    world.gateway.wait_until(lambda: len(set(world.balance())) == 1, f"balance of {world.balance()}", 30)


def test_one_stream_with_a_partner_carries_both_ways_whoever_opened_it():
    partner = House("both", BOTH_WAYS)
    with street("bidi", houses=(partner,), partners=record(partner.domain)) as world:
        assert world.run(world.converse(partner)) == (None, None)
        assert len(streams(world, "federation", partner.domain)) == 1, "ours, and the answer came over it"
        # The partner opens the next one: a record that is taken away and put back ends the first.
        world.reconfigure("")
        world.gateway.wait_until(lambda: not streams(world, "federation", partner.domain), "the end of the stream", 20)
        world.reconfigure(record(partner.domain))

        async def from_outside():
            text = uuid.uuid4().hex
            await world.both.say("olga@org.test", text)
            await world.olga.body(text)
            return await world.converse(partner)

        assert world.run(from_outside()) == (None, None)
        (stream,) = streams(world, "federation", partner.domain)
        assert not stream["address"].endswith(":5269"), "the partner's own, and our answer went over it"
        balanced(world)


def test_bidi_that_the_operator_forbids_is_not_used():
    partner = House("both", BOTH_WAYS)
    with street("no-bidi", houses=(partner,), partners=record(partner.domain, bidi=False)) as world:
        assert world.run(world.converse(partner)) == (None, None)
        assert len(streams(world, "federation", partner.domain)) == 2


def test_an_internal_server_with_bidi_needs_no_connection_from_the_gateway():
    """The three rules of the firewall and no fourth."""
    partner = House("certain", prosody.Stance())
    with street("inside-bidi", houses=(partner,), inside=BOTH_WAYS, reached="", partners=record(partner.domain)) as world:
        # Nobody inside has opened a stream yet: the partner's user is told, and nothing is lost.
        identifier = world.run(world.certain.say("olga@org.test", "too early"))
        assert world.run(world.certain.error(identifier)) == "resource-constraint"
        assert world.run(world.converse(partner)) == (None, None)
        (inside,) = streams(world, "internal", partner.domain)
        assert inside["local"] == partner.domain
        balanced(world)


@pytest.mark.parametrize("inside", [DIALING_BACK, ejabberd.Stance(dialback=True)], ids=lambda stance: stance.__module__)
@pytest.mark.parametrize("internal", [MINT, ""], ids=["minted", "fixed-certificate"])
def test_an_inside_that_knows_dialback_is_served_with_and_without_minting(inside, internal):
    partner = House("certain", prosody.Stance())
    with street("inside-dialback", houses=(partner,), inside=inside, internal=internal, partners=record(partner.domain)) as world:
        assert world.run(world.converse(partner), seconds=100) == (None, None)
        (inward,) = [s for s in streams(world, "internal", partner.domain) if s["direction"] == "inbound"]
        assert inward["method"].split()[0] == ("external" if internal == MINT else "tls-dialback"), inward
        balanced(world)


def test_delivered_means_acknowledged_and_a_broken_connection_bounces_what_was_not():
    partner = House("acks", prosody.Stance(modules=("tls", "smacks")))
    hop = f"{STREET}200"
    with street("management", houses=(partner,), partners=record(partner.domain, proxy=f"{hop}:5269")) as world:
        relay = Relay(world.loop, hop, 5269, (world.address(partner), 5269))
        try:
            assert world.run(world.converse(partner)) == (None, None)
            balanced(world)
            relay.hold()

            async def into_the_void():
                return [await world.olga.say(partner.jid, f"held {number}") for number in range(5)]

            held = world.run(into_the_void())
            for identifier in held:
                world.wait_journal("the message", lambda r: r.get("id") == identifier and r["verdict"] == "pass")
            received, ended = world.balance()
            assert received - ended == 5, "written to the socket is not delivered"
            relay.cut()

            async def bounced():
                return [await world.olga.error(identifier) for identifier in held]

            assert world.run(bounced()) == ["remote-server-timeout"] * 5
            balanced(world)
            # The next connection carries on.
            assert world.run(world.converse(partner)) == (None, None)
            assert not [body for body in world.acks.bodies("olga@org.test") if body.startswith("held")]
            balanced(world)
        finally:
            relay.close()


def test_an_inside_with_acknowledgements_loses_nothing_when_its_connection_breaks():
    """Prosody sends again what the gateway has not acknowledged; what it has acknowledged comes once."""
    partner, hop = House("certain", prosody.Stance()), f"{STREET}201"
    inside = prosody.Stance(modules=("tls", "smacks"), more="smacks_s2s_resend = true")
    with street("inside-acks", houses=(partner,), inside=inside, partners=record(partner.domain), door=hop) as world:
        relay = Relay(world.loop, hop, 23456, (GATEWAY, 23456))
        try:
            assert world.run(world.converse(partner)) == (None, None)
            relay.hold()

            async def into_the_void():
                for number in range(5):
                    await world.olga.say(partner.jid, f"held {number}")
                # Prosody has taken them all once it answers what was said behind them.
                await world.olga.ping_answer("org.test")

            world.run(into_the_void())
            relay.cut()

            async def arrived():
                await world.olga.say(partner.jid, "after")
                await world.certain.body("after")
                for number in range(5):
                    await world.certain.body(f"held {number}")

            world.run(arrived(), seconds=100)
            assert sorted(b for b in world.certain.bodies("olga@org.test") if b.startswith("held")) == [f"held {n}" for n in range(5)]
            balanced(world)
        finally:
            relay.close()
