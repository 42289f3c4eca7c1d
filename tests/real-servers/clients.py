"""Real clients (slixmpp) on one event loop of their own, spoken to from synchronous tests."""

import asyncio
import concurrent.futures
import threading
import uuid

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout

from addresses import PASSWORD

LIMIT = 30.0  # seconds for one exchange, first contact with its DNS, TLS and both streams included


class Loop:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, coroutine, seconds=LIMIT + 15):
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result(seconds)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise AssertionError(f"nothing within {seconds} s: {coroutine}") from None

    def stop(self):
        async def settle():
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self.run(settle(), 10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


class Client(slixmpp.ClientXMPP):
    """Keeps every stanza that it gets, in order, and lets a test wait for one."""

    def __init__(self, loop, jid, address):
        asyncio.set_event_loop(loop)
        super().__init__(f"{jid}/{uuid.uuid4().hex[:6]}", PASSWORD)
        self.enable_direct_tls = False
        self.enable_starttls = False
        self.enable_plaintext = True
        self.plugin["feature_mechanisms"].unencrypted_plain = True
        self.auto_authorize = None      # a test says for itself what it answers
        self.auto_subscribe = False
        for plugin in ("xep_0030", "xep_0045", "xep_0199"):
            self.register_plugin(plugin)
        self.seen = []
        self.changed = asyncio.Condition()
        self.address = address
        self.add_event_handler("session_start", self._started)
        self.ready = loop.create_future()
        self.register_handler(slixmpp.xmlstream.handler.Callback(
            "all messages", slixmpp.xmlstream.matcher.StanzaPath("message"), self._keep))
        self.register_handler(slixmpp.xmlstream.handler.Callback(
            "all presence", slixmpp.xmlstream.matcher.StanzaPath("presence"), self._keep))

    async def start(self):
        self.connect(self.address, 5222)
        await asyncio.wait_for(asyncio.shield(self.ready), LIMIT)
        return self

    async def end(self):
        await asyncio.wait_for(self.disconnect(), 10)

    async def _started(self, _event):
        await self.get_roster()
        self.send_presence()
        if not self.ready.done():
            self.ready.set_result(True)

    def _keep(self, stanza):
        self.seen.append(stanza)
        self.loop.create_task(self._notify())

    async def _notify(self):
        async with self.changed:
            self.changed.notify_all()

    async def wait(self, what, condition, seconds=LIMIT):
        """The first stanza, past ones included, for which the condition holds."""
        async def found():
            async with self.changed:
                while True:
                    for stanza in self.seen:
                        if condition(stanza):
                            return stanza
                    await self.changed.wait()
        try:
            return await asyncio.wait_for(found(), seconds)
        except asyncio.TimeoutError:
            got = "\n".join(str(s) for s in self.seen[-12:])
            raise AssertionError(f"{self.boundjid}: no {what} within {seconds} s. The last it got:\n{got}") from None

    async def say(self, to, text, kind="chat"):
        message = self.make_message(mto=to, mbody=text, mtype=kind)
        message["id"] = uuid.uuid4().hex
        message.send()
        return message["id"]

    async def body(self, text, sender=None):
        return await self.wait(f"message {text!r}", lambda s: s.name == "message" and s["type"] != "error"
                               and s["body"] == text and (sender is None or s["from"].bare == sender))

    async def error(self, identifier):
        """The condition of the error that answers the stanza with this id."""
        stanza = await self.wait(f"error for {identifier}", lambda s: s["type"] == "error" and s["id"] == identifier)
        # Read from the XML: slixmpp does not know every condition of RFC 6120.
        space = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
        names = [child.tag.removeprefix(space) for child in stanza["error"].xml if child.tag.startswith(space)]
        return next(name for name in names if name != "text")

    async def presence(self, kind, sender):
        return await self.wait(f"presence {kind} from {sender}", lambda s: s.name == "presence"
                               and s["type"] == kind and s["from"].bare == sender)

    def bodies(self, sender):
        return [s["body"] for s in self.seen if s.name == "message" and s["type"] != "error" and s["from"].bare == sender and s["body"]]

    async def ping_answer(self, to):
        """`pong`, or the error condition that came instead."""
        try:
            await self.plugin["xep_0199"].send_ping(to, timeout=LIMIT)
            return "pong"
        except IqError as error:
            return error.condition
        except IqTimeout:
            return "no answer"

    async def identities(self, to):
        info = await self.plugin["xep_0030"].get_info(jid=to, timeout=LIMIT, cached=False)
        return [identity[:2] for identity in info["disco_info"]["identities"]]
