"""The valid rows of the negotiation matrix, and how one is tried on a street.

For each row the gateway's record is changed while it runs; a line in and a line out must arrive, or be refused, and the
streams must have been proven by exactly the method that the row names for that kind of server.
"""

import asyncio

from street import record

R, O, N = "required", "optional", "not-supported"
EXTERNAL, TLS_DIALBACK, TCP_DIALBACK, REFUSED = "external", "tls-dialback", "tcp-dialback", None

# TLS, SASL, dialback, then the method with each kind of server.
ROWS = [
    (R, R, True, EXTERNAL, REFUSED, REFUSED),
    (R, R, False, EXTERNAL, REFUSED, REFUSED),
    (O, R, True, EXTERNAL, TLS_DIALBACK, TCP_DIALBACK),
    (O, R, False, EXTERNAL, REFUSED, REFUSED),
    (N, R, True, TCP_DIALBACK, TCP_DIALBACK, TCP_DIALBACK),
    (R, O, True, EXTERNAL, TLS_DIALBACK, REFUSED),
    (R, O, False, EXTERNAL, REFUSED, REFUSED),
    (O, O, True, EXTERNAL, TLS_DIALBACK, TCP_DIALBACK),
    (O, O, False, EXTERNAL, REFUSED, REFUSED),
    (N, O, True, TCP_DIALBACK, TCP_DIALBACK, TCP_DIALBACK),
    (R, N, True, TLS_DIALBACK, TLS_DIALBACK, REFUSED),
    (O, N, True, TLS_DIALBACK, TLS_DIALBACK, TCP_DIALBACK),
    (N, N, True, TCP_DIALBACK, TCP_DIALBACK, TCP_DIALBACK),
]


def check(street, tls, sasl, dialback, expected):
    street.reconfigure("")  # ends the streams of the row before
    since = len(street.journal())
    street.reconfigure("".join(record(house.domain, tls=tls, sasl=sasl, dialback=dialback) for house in expected))

    async def all_at_once():
        return await asyncio.gather(*(street.converse(house) for house in expected))

    answers = dict(zip(expected, street.run(all_at_once(), seconds=150)))
    for house, method in expected.items():
        if method is REFUSED:
            assert None not in answers[house], f"{house.domain} should be refused both ways: {answers[house]}"
            assert not street.proofs(house, since)
        else:
            assert answers[house] == (None, None), f"{house.domain} by {method}: {answers[house]}"
            street.wait_proofs(house, {("inbound", method), ("outbound", method)}, since)
