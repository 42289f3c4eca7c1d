"""Real servers and real clients on all sides, the gateway between them, strict certificate checks everywhere.

The tests of one world run in the order of this file and share its servers.
"""

import asyncio
import json
import uuid

import pytest

PARTNERS = [("alice", "alice@alpha.test"), ("bob", "bob@beta.test")]


@pytest.mark.parametrize("name,jid", PARTNERS)
def test_messages_go_both_ways(world, name, jid):
    partner = getattr(world, name)
    out, back = f"to {name} {uuid.uuid4().hex}", f"from {name} {uuid.uuid4().hex}"
    world.run(world.olga.say(jid, out))
    world.run(partner.body(out, "olga@org.test"))
    world.run(partner.say("olga@org.test", back))
    world.run(world.olga.body(back, jid))
    for direction, sender in [("outbound", "olga@org.test"), ("inbound", jid)]:
        record = world.wait_journal(f"{direction} message", lambda r: r["kind"] == "message" and r["from"].startswith(sender)
                                    and r["partner"] == jid.split("@")[1])
        assert (record["direction"], record["verdict"], record["method"]) == (direction, "pass", "external")
        assert record["tls"].startswith("TLSv1.")


def test_no_body_is_in_the_journal_or_the_log(world):
    text = f"secret {uuid.uuid4().hex}"
    identifier = world.run(world.olga.say("alice@alpha.test", text))
    world.run(world.alice.body(text))
    world.wait_journal("that message", lambda r: r.get("id") == identifier)
    assert text not in json.dumps(world.journal())
    assert text not in world.gateway.output()


@pytest.mark.parametrize("name,jid", PARTNERS)
def test_iq_ping_and_disco_go_both_ways(world, name, jid):
    partner = getattr(world, name)
    for client, server in [(world.olga, jid.split("@")[1]), (partner, "org.test")]:
        assert world.run(client.ping_answer(server)) == "pong"
        assert ("server", "im") in world.run(client.identities(server))
        world.wait_journal("the ping", lambda r: r.get("kind") == "iq" and r.get("type") == "get" and r["partner"] == jid.split("@")[1]
                           and r["direction"] == ("outbound" if client is world.olga else "inbound"))
    # And to a client's full address: the answer comes back over the other stream of the pair.
    assert world.run(world.olga.ping_answer(partner.boundjid.full)) == "pong"
    assert world.run(partner.ping_answer(world.olga.boundjid.full)) == "pong"


@pytest.mark.parametrize("name,jid", PARTNERS)
def test_a_subscription_completes_both_ways_and_presence_loses_its_status(world, name, jid):
    partner, olga = getattr(world, name), world.olga

    async def subscribe():
        olga.send_presence_subscription(jid)
        await partner.presence("subscribe", "olga@org.test")
        partner.send_presence_subscription("olga@org.test", ptype="subscribed")
        await olga.presence("subscribed", jid)
        partner.send_presence_subscription("olga@org.test")
        await olga.presence("subscribe", jid)
        olga.send_presence_subscription(jid, ptype="subscribed")
        await partner.presence("subscribed", "olga@org.test")

    world.run(subscribe(), seconds=120)
    inside, outside = uuid.uuid4().hex, uuid.uuid4().hex

    async def show():
        olga.send_presence(pshow="dnd", pstatus=inside)
        partner.send_presence(pshow="away", pstatus=outside)
        seen = await partner.wait("olga's dnd", lambda s: s.name == "presence" and s["type"] == "dnd" and s["from"].bare == "olga@org.test")
        heard = await olga.wait("the partner's status", lambda s: s.name == "presence" and s["status"] == outside)
        return seen, heard

    seen, heard = world.run(show())
    assert seen["status"] == "", "outbound level `show` lets no status text out"
    assert heard["from"].bare == jid, "inbound level `full` keeps it"
    assert world.wait_journal("presence", lambda r: r["kind"] == "presence" and r["from"].startswith("olga@") and r["partner"] == jid.split("@")[1])


def test_a_room_of_a_partner_is_joined_from_inside_and_spoken_in(world):
    room = f"room-{uuid.uuid4().hex[:6]}@conference.alpha.test"
    text = f"in the room {uuid.uuid4().hex}"

    async def meet():
        await world.alice.plugin["xep_0045"].join_muc_wait(room, "alice", timeout=30)
        await world.alice.plugin["xep_0045"].set_room_config(room, world.alice.plugin["xep_0004"].make_form(ftype="submit"))
        await world.olga.plugin["xep_0045"].join_muc_wait(room, "olga", timeout=30)
        await world.olga.say(room, text, kind="groupchat")
        await world.alice.wait("the line", lambda s: s.name == "message" and s["body"] == text and s["from"].bare == room)
        await world.olga.wait("its reflection", lambda s: s.name == "message" and s["body"] == text and s["from"].bare == room)

    world.run(meet(), seconds=120)
    assert world.wait_journal("the room's message", lambda r: r["partner"] == "conference.alpha.test" and r.get("type") == "groupchat")


def test_a_stranger_is_refused_both_ways(world):
    identifier = world.run(world.olga.say("greta@gamma.test", "hello?"))
    assert world.run(world.olga.error(identifier)) == "not-allowed"
    identifier = world.run(world.greta.say("olga@org.test", "hello!"))
    # Prosody reports a stream that was refused as it was being opened.
    assert world.run(world.greta.error(identifier)) in ("remote-server-timeout", "remote-server-not-found")
    assert world.wait_journal("the stranger at the door", lambda r: r["event"] == "stream" and r["partner"] == "gamma.test"
                              and r["verdict"] == "refuse")
    assert "policy-violation" in (world.directory / "prosody-gamma.test" / "prosody.log").read_text(errors="replace")


def test_the_allowlist_changes_while_messages_flow(world):
    """beta.test is taken off the list: from then on it is refused, and alpha.test notices nothing."""
    before, streams = world.generation(), world.metrics()["portcullis_streams"]
    assert sum(streams.values()) > 0
    inside = opened(world, "alpha.test")
    stop = asyncio.Event()

    async def flow():
        count = 0
        while not stop.is_set() and count < 5000:
            await world.olga.say("alice@alpha.test", f"flow {count}")
            await world.alice.say("olga@org.test", f"back {count}")
            count += 1
            await asyncio.sleep(0.005)  # the rate of the traffic, not a wait
        return count

    sender = asyncio.run_coroutine_threadsafe(flow(), world.loop.loop)
    world.run(world.alice.body("flow 20"))
    world.configure(allow=[])
    world.wait_generation(before)
    identifier = world.run(world.olga.say("bob@beta.test", "still there?"))
    assert world.run(world.olga.error(identifier)) == "not-allowed"
    world.loop.loop.call_soon_threadsafe(stop.set)
    count = sender.result(60)
    world.run(world.alice.body(f"flow {count - 1}"))
    world.run(world.olga.body(f"back {count - 1}"))
    assert flows(world.alice, "olga@org.test", "flow") == list(range(count)), "none lost, none doubled, in order"
    assert flows(world.olga, "alice@alpha.test", "back") == list(range(count))
    assert opened(world, "alpha.test") == inside, "no stream of alpha.test was dropped and opened again"
    assert world.wait_journal("beta's stream ended by the new rule", lambda r: r["event"] == "stream" and r["partner"] == "beta.test"
                              and r["verdict"] == "refuse")

    world.configure()
    world.wait_generation(before + 1)
    text = f"welcome back {uuid.uuid4().hex}"

    async def again():
        # ejabberd holds its answer for some seconds (s2s_max_retry_delay) after a refusal.
        for _ in range(20):
            await world.olga.say("bob@beta.test", text)
            try:
                return await world.bob.wait("the message", lambda s: s.name == "message" and s["body"] == text, seconds=3)
            except AssertionError:
                continue
        raise AssertionError("beta.test is allowed again and hears nothing")

    world.run(again(), seconds=90)


def test_every_stanza_that_came_in_has_ended(world):
    world.gateway.wait_until(lambda: len(set(world.balance())) == 1, f"balance of {world.balance()}", 30)
    received, ended = world.balance()
    assert received == ended > 0


def test_sigterm_drains_and_ends_with_zero(world):
    text = f"last words {uuid.uuid4().hex}"
    world.run(world.olga.say("alice@alpha.test", text))
    world.run(world.alice.body(text))
    assert world.gateway.stop() == 0, world.gateway.tail()


def flows(client, sender, word):
    return [int(body.split()[1]) for body in client.bodies(sender) if body.startswith(word + " ")]


def opened(world, partner):
    return [r["stream"] for r in world.journal() if r["event"] == "stream" and r["partner"] == partner and r["verdict"] == "allow"]
