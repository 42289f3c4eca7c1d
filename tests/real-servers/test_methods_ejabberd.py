"""Rows of the negotiation matrix against ejabberd: with a good certificate, with a bad one, and without TLS.

ejabberd offers EXTERNAL to everybody and refuses it afterwards: what follows is on the same stream.
"""

import pytest

import ejabberd
from matrix import ROWS, N, O, R, check
from street import SELF_SIGNED, House, Street

TLS = ejabberd.Stance("optional", dialback=True)
KINDS = (House("known", TLS), House("unknown", TLS, SELF_SIGNED), House("clear", ejabberd.Stance("false", dialback=True)))
# One of each result; ejabberd rests for seconds after each refusal.
SOME = [(R, R, False), (O, R, True), (R, O, True), (R, N, True), (N, N, True)]


@pytest.fixture(scope="module")
def street():
    street = Street("matrix-ejabberd", houses=KINDS)
    yield street
    street.stop()


@pytest.mark.parametrize("tls,sasl,dialback,known,unknown,clear", [row for row in ROWS if row[:3] in SOME], ids=str)
def test_a_row_of_the_matrix(street, tls, sasl, dialback, known, unknown, clear):
    check(street, tls, sasl, dialback, dict(zip(KINDS, (known, unknown, clear))))
