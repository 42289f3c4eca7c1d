"""A policy in Python: messages from outside may have so many characters, in whatever language.

What flows in: messages of partners. What flows out: those that are short enough. What can fail: the
configuration, with a text for the operator.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log
from wit_world.imports.types import (
    Condition,
    Directions,
    Header,
    Kinds,
    Rejection,
    Stanza,
    Subscription,
    Verdict,
    Verdict_Pass,
    Verdict_Reject,
)


class Lifecycle(exports.Lifecycle):
    limit = 1000

    def init(self, config: str) -> Subscription:
        values = json.loads(config)
        limit = values.pop("limit", Lifecycle.limit)
        if values or not isinstance(limit, int):
            raise Err("`limit`, a whole number, is the only key")
        Lifecycle.limit = limit
        return Subscription(Kinds.MESSAGE, Directions.INBOUND, [], None)

    def started(self) -> None:
        log.write(log.Level.INFO, f"at most {Lifecycle.limit} characters")


class Filter(exports.Filter):
    def decide(self, header: Header, stanza: Stanza) -> Verdict:
        # Every body: the first is not the only one.
        bodies = stanza.texts([("body", "jabber:server")])
        if all(len(text) <= Lifecycle.limit for _, text in bodies):
            return Verdict_Pass()
        told = f"at most {Lifecycle.limit} characters, please"
        return Verdict_Reject(Rejection(Condition.POLICY_VIOLATION, told, "too long"))
